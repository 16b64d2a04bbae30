"""Which Sentry SDK a front end depends on, and whether the build installs it."""

from __future__ import annotations

import re
from posixpath import join
from typing import TYPE_CHECKING

from sentry_audit.facts import FrontendSdk
from sentry_audit.javascript.packages import is_browser_sdk
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from sentry_audit.javascript.analysis import Analysis


def frontend_sdk(analysis: Analysis) -> FrontendSdk:
    """The SDK for browsers among the dependencies of a front end, or of a package of the repository that it uses."""
    frontend = analysis.frontend
    manifest = frontend.manifest
    mine = {name: item for name, item in manifest.dependencies.items() if is_browser_sdk(name)}
    where = manifest
    if not mine:
        for name in manifest.dependencies:
            other = frontend.manifests.get(name)
            shared = (
                {item: value for item, value in other.dependencies.items() if is_browser_sdk(item)} if other else {}
            )
            if other is not None and shared:
                mine, where = shared, other
    if not mine:
        here = Evidence(manifest.path, None, None, None, f"{len(manifest.dependencies)} dependencies")
        why = f"{manifest.path} names no Sentry SDK for browsers ({frontend.sdk})"
        return FrontendSdk(why_not=why, evidence=(here,))
    package = frontend.sdk if frontend.sdk in mine else min(mine)
    specifier, section, line = mine[package]
    here = Evidence(where.path, line, None, None, f"{package} {specifier} in {section}")
    lock = analysis.locked(package).evidence
    dev = section == "devDependencies"
    omitted = _omitted(analysis) if dev else ""
    fits = not (frontend.framework == "nextjs" and package != frontend.sdk and not analysis.is_static)
    problem = (
        ""
        if fits
        else f"{package} in a Next.js application: errors of its server and source maps are missing; use {frontend.sdk}"
    )
    return FrontendSdk(
        declared=not omitted, package=package, specifier=specifier, version=analysis.version(package), dev=dev,
        why_not=omitted, matches_framework=fits, problem=problem, evidence=(here, lock) if lock else (here,),
    )  # fmt: skip


def _omitted(analysis: Analysis) -> str:
    """How the image leaves development dependencies out before it builds, or ``""``."""
    path = join(analysis.frontend.folder, "Dockerfile")
    text = analysis.files.text(path) or "" if path in analysis.files.paths else ""
    for number, row in enumerate(text.splitlines(), 1):
        if (
            re.search(r"\b(build)\b", row)
            and row.lstrip().upper().startswith("RUN")
            and "install" not in row
            and " ci" not in row
        ):
            return ""
        if re.search(r"\b(npm|yarn|pnpm)\b.*(--omit[= ]dev|--production|--prod\b|--only[= ]prod)", row):
            return f"it is a development dependency, and {path}:{number} installs without those before it builds"
    return ""
