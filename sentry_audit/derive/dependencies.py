"""Which sentry-sdk a component's image installs, if any, and whether the next major is kept out."""

from __future__ import annotations

import re
from posixpath import basename, dirname, join
from typing import TYPE_CHECKING

from msgspec import Struct, field

from sentry_audit.facts import Dependency, Image, Install, LockedPackage, Manifest, SdkDependency
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sentry_audit.facts import Fact
    from sentry_audit.model import Problem
    from sentry_audit.python.components import Service
    from sentry_audit.sdk_table import SdkTable

_DEVELOPMENT = re.compile(
    r"(^|[-_./])(dev|test|tests|testing|lint|linting|docs?|ci|local|develop|development|typing|types|mypy|build|release|qa)([-_./]|$)",
    re.IGNORECASE,
)
_PROJECT_FILES = ("pyproject.toml", "setup.cfg", "setup.py")


class Installed(Struct):
    """What is installed for a component: declared requirements, and the places that were looked at."""

    dependencies: list[Dependency] = field(default_factory=list)
    looked: list[Evidence] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class Manifests(Struct):
    """The manifests of a repository, indexed once."""

    by_path: dict[str, Manifest]
    declared: dict[str, list[Dependency]]
    locked: list[LockedPackage]
    unread: dict[str, str]

    @classmethod
    def of(cls, facts: Sequence[Fact], problems: Iterable[Problem] = ()) -> Manifests:
        """Index the manifest facts; ``problems`` tell which manifests could not be read."""
        declared: dict[str, list[Dependency]] = {}
        for fact in facts:
            if isinstance(fact, Dependency):
                declared.setdefault(fact.path, []).append(fact)
        return cls(
            {fact.path: fact for fact in facts if isinstance(fact, Manifest)},
            declared,
            [fact for fact in facts if isinstance(fact, LockedPackage)],
            {
                problem.evidence.path: f"{problem.evidence}: {problem.reason}"
                for problem in problems
                if problem.evidence.path and {"dependency", "manifest", "sdk_dependency"} & problem.kinds
            },
        )

    def closure(self, path: str, seen: frozenset[str] = frozenset()) -> list[str]:
        """``path`` with the requirement files that it includes."""
        if path in seen:
            return []
        manifest = self.by_path.get(path)
        found = [path]
        for include in manifest.includes if manifest else ():
            found += self.closure(include, seen | {path})
        return found

    def near(self, project: str) -> list[str]:
        """The runtime manifests that stand in a project folder, or in the nearest folder above it."""
        folder = project
        while True:
            known = [path for path, manifest in self.by_path.items() if not manifest.lock]
            here = sorted(
                path
                for path in dict.fromkeys([*known, *self.unread])
                if _belongs(path, folder) and not _DEVELOPMENT.search(basename(path).rsplit(".", 1)[0])
            )
            if here or not folder:
                return here
            folder = dirname(folder)


def _belongs(path: str, folder: str) -> bool:
    parent = dirname(path)
    return parent == folder or (
        parent in {join(folder, "requirements"), join(folder, "reqs")} and path.endswith((".txt", ".in", ".pip"))
    )


def installed(service: Service, manifests: Manifests) -> Installed:
    """What the component's image installs; without an image, what its folder's manifests declare."""
    image = service.image
    if image is not None and image.installs:
        found = _from_image(image, manifests)
        if found.dependencies or found.looked:
            return found
    found = Installed()
    for path in manifests.near(service.fact.folder):
        for part in manifests.closure(path):
            _take(found, manifests, part)
    return found


def _from_image(image: Image, manifests: Manifests) -> Installed:
    found = Installed()
    for step in image.installs:
        for name in step.packages:
            found.dependencies += _requirement(name, image, step)
        for path in step.files:
            for part in manifests.closure(_manifest_at(path, manifests)):
                _take(found, manifests, part, step)
        if step.tool in {"poetry", "uv", "pipenv", "pdm"} and not step.files:
            name = "Pipfile" if step.tool == "pipenv" else "pyproject.toml"
            for folder in (image.context, dirname(image.path), ""):
                if join(folder, name) in manifests.by_path:
                    _take(found, manifests, join(folder, name), step)
                    break
    found.unknown += [reason for reason in image.unresolved if "install" in reason or "pip" in reason]
    return found


def _manifest_at(path: str, manifests: Manifests) -> str:
    if path in manifests.by_path:
        return path
    folder = "" if path == "." else path
    return next((join(folder, name) for name in _PROJECT_FILES if join(folder, name) in manifests.by_path), path)


def _requirement(text: str, image: Image, step: Install) -> list[Dependency]:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        return []
    return [
        Dependency(
            path=image.path,
            name=canonicalize_name(parsed.name),
            specifier=str(parsed.specifier),
            line=step.line,
            evidence=(Evidence(image.path, step.line, None, None, f"pip install {text}"),),
        )
    ]


def _take(found: Installed, manifests: Manifests, path: str, step: Install | None = None) -> None:
    found.looked.append(Evidence(path, None, None, None, manifests.unread.get(path, "")))
    if path in manifests.unread:
        found.unknown.append(manifests.unread[path])
    if path not in manifests.by_path and path not in manifests.unread:
        found.unknown.append(f"{path} is installed by the image but was not found")
    found.dependencies += [item for item in manifests.declared.get(path, ()) if _wanted(item, step)]


def _wanted(item: Dependency, step: Install | None) -> bool:
    if step is not None and step.only:
        return item.group in step.only or (not item.group and "main" in step.only)
    if not item.group:
        return True
    if item.optional:
        return step is not None and (item.group in step.extras or "*" in step.extras)
    if step is None or step.tool == "pip":
        return False
    return item.group in step.groups or (step.dev and item.group not in step.without)


def sdk_dependency(service: Service, manifests: Manifests, table: SdkTable) -> tuple[SdkDependency, Installed]:
    """Whether sentry-sdk is among what the component installs, and in which version."""
    found = installed(service, manifests)
    own = [item for item in found.dependencies if item.name == "sentry-sdk"]
    if own:
        first = own[0]
        locked = _lock(first.path, manifests)
        pinned = first.specifier.startswith("==") and "*" not in first.specifier
        version = (
            locked.version
            if locked
            else (first.specifier.lstrip("=").strip() if pinned else table.resolve(first.specifier))
        )
        bounded = pinned or locked is not None or table.bounded(first.specifier)
        evidence = [*first.evidence] or [Evidence(first.path, first.line, None, None, f"sentry-sdk{first.specifier}")]
        if locked:
            evidence += locked.evidence or (
                Evidence(locked.path, locked.line, None, None, f"sentry-sdk {locked.version}"),
            )
        return (
            SdkDependency(
                component=service.fact.name,
                declared=True,
                specifier=f"sentry-sdk{first.specifier}",
                version=version,
                locked=locked is not None or pinned,
                bounded=bounded,
                evidence=tuple(evidence),
            ),
            found,
        )
    why, extra = _why_not(service, manifests, found)
    unknown = ""
    if found.unknown:
        unknown = f"what the image installs could not be read in full: {found.unknown[0]}"
    elif not found.looked and not found.dependencies:
        why = "no manifest was found for it"
    return (
        SdkDependency(
            component=service.fact.name,
            declared=False,
            why_not=why,
            evidence=tuple(dict.fromkeys([*found.looked, *extra]))
            or (Evidence(service.fact.path, None, None, None, "no manifest"),),
            unknown=unknown,
        ),
        found,
    )


def _lock(path: str, manifests: Manifests) -> LockedPackage | None:
    """The lock of sentry-sdk that stands beside the manifest, or in a folder above it (workspaces)."""
    folder = dirname(path)
    locks = {dirname(item.path): item for item in manifests.locked if item.name == "sentry-sdk"}
    while True:
        if folder in locks:
            return locks[folder]
        if not folder:
            return None
        folder = dirname(folder)


def _why_not(service: Service, manifests: Manifests, found: Installed) -> tuple[str, list[Evidence]]:
    looked = ", ".join(dict.fromkeys(item.path for item in found.looked if item.path)) or "nothing"
    folder = "" if service.fact.path == "." else f"{service.fact.path}/"
    elsewhere: list[Dependency] = []
    for items in manifests.declared.values():
        elsewhere += [item for item in items if item.name == "sentry-sdk"]
    for item in elsewhere:
        if item.group and any(item.path == place.path for place in found.looked):
            kind = "extra" if item.optional else "group"
            return f"{item.path} has it only in the {kind} '{item.group}', which is not installed", list(item.evidence)
    for item in elsewhere:
        if item.path.startswith(folder):
            return f"{item.path} has it, but what is installed is {looked}", list(item.evidence)
    for lock in manifests.locked:
        near = dirname(lock.path) == folder.rstrip("/") or not dirname(lock.path)
        if lock.name == "sentry-sdk" and near and lock.required_by:
            return (
                f"{lock.path} has it only because {', '.join(lock.required_by[:2])} pulls it in; {looked} does not declare it",
                list(lock.evidence),
            )
    if elsewhere:
        return f"only {elsewhere[0].path} has it, which belongs to another component", list(elsewhere[0].evidence)
    return f"looked in {looked}", []


def names(found: Installed) -> Collection[str]:
    """The names of what is installed."""
    return {item.name for item in found.dependencies}
