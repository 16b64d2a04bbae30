"""``package.json``: which folders are front ends that are deployed, what they depend on, and what bundles them."""

from __future__ import annotations

import json
import re
from functools import cached_property
from posixpath import basename, dirname, join
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from sentry_audit.facts import Component
from sentry_audit.model import Evidence, Problem
from sentry_audit.python.paths import deployed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sentry_audit.python.program import Files

#: What is known from an init, and from ``package.json``.
OF_INIT = frozenset(
    {
        "frontend_setup",
        "frontend_dsn",
        "dsn_guard",
        "frontend_tracing",
        "hook",
        "sample_rate",
        "privacy",
        "deployed_environment",
    }
)
KINDS = OF_INIT | {"frontend_sdk"}
#: (the package that tells, the framework, the SDK made for it).
_FRAMEWORKS = (
    ("next", "nextjs", "@sentry/nextjs"),
    ("nuxt", "nuxt", "@sentry/nuxt"),
    ("@remix-run/react", "remix", "@sentry/remix"),
    ("@react-router/dev", "remix", "@sentry/react-router"),
    ("@sveltejs/kit", "sveltekit", "@sentry/sveltekit"),
    ("gatsby", "gatsby", "@sentry/gatsby"),
    ("@angular/core", "angular", "@sentry/angular"),
    ("react-scripts", "cra", "@sentry/react"),
    ("vite", "vite", "@sentry/react"),
    ("@vue/cli-service", "vue", "@sentry/vue"),
    ("webpack", "webpack", "@sentry/browser"),
)
_COMMENTS = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING = re.compile(r",(\s*[}\]])")
#: SDKs that send from browsers; @sentry/node and the bundler plugins do not.
_BROWSER = re.compile(
    r"^@sentry/(nextjs|nuxt|remix|react-router|sveltekit|svelte|gatsby|angular|angular-ivy|react|vue|browser|solid|solidstart|astro|ember|tanstackstart-react|capacitor|electron)$"
)


class Manifest(Struct, frozen=True, dict=True):
    """A ``package.json``: its names and its dependencies, each with the section it stands in and its line."""

    path: str
    name: str
    scripts: Mapping[str, str]
    dependencies: Mapping[str, tuple[str, str, int | None]]

    @cached_property
    def folder(self) -> str:
        """The folder that it describes."""
        return dirname(self.path)


class Frontend(Struct, dict=True):
    """A front end that is built and deployed."""

    fact: Component
    manifest: Manifest
    framework: str
    sdk: str
    manifests: Mapping[str, Manifest] = field(default_factory=dict)

    def call(self, name: str) -> None:
        """Give the component another name."""
        self.fact = replace(self.fact, name=name, component=name)

    @cached_property
    def folder(self) -> str:
        """The component's folder, ``""`` for the root."""
        return self.manifest.folder

    @cached_property
    def used(self) -> tuple[Manifest, ...]:
        """The packages of the repository that it depends on."""
        known = self.manifests
        return tuple(known[name] for name in self.manifest.dependencies if name in known)

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """Its folder, and those of the packages of the repository that it depends on."""
        return (self.folder, *(item.folder for item in self.used))

    def within(self, path: str) -> bool:
        """Whether ``path`` is below the component's folder."""
        return self.fact.holds(path)


def relaxed(text: str) -> Any:
    """JSON with comments and trailing commas. Raises json.JSONDecodeError."""
    plain = _COMMENTS.sub(lambda match: match[1] or re.sub(r"[^\n]", " ", match[0]), text)
    return json.loads(_TRAILING.sub(r"\1", plain))


def discover(files: Files) -> tuple[list[Frontend], list[Problem]]:
    """The front ends of a repository, and the manifests that could not be read."""
    manifests: dict[str, Manifest] = {}
    problems: list[Problem] = []
    for path in sorted(files.paths.called("package.json")):
        if "node_modules/" not in path and deployed(path):
            manifest, problem = _read(path, files.text(path))
            if manifest is not None:
                manifests[path] = manifest
            if problem is not None:
                problems.append(problem)
    found: list[Frontend] = []
    for manifest in manifests.values():
        told = _framework(manifest, files)
        if told is not None:
            framework, sdk, reason = told
            found.append(_frontend(manifest, framework, sdk, reason, manifests))
    return _named(found), problems


def _read(path: str, text: str | None) -> tuple[Manifest | None, Problem | None]:
    if text is None or "{%" in text or "{{" in text:  # a template becomes a manifest elsewhere
        return None, None
    try:
        data = relaxed(text)
    except (json.JSONDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        here = Evidence(path, line, getattr(error, "colno", None), None, "syntax error")
        return None, Problem("repo", KINDS, f"not valid JSON: {getattr(error, 'msg', error)}", f"fix {path}", here)
    if not isinstance(data, dict):
        return None, None
    found: dict[str, tuple[str, str, int | None]] = {}
    for section in ("peerDependencies", "devDependencies", "optionalDependencies", "dependencies"):
        for name, version in _table(data, section).items():
            found[name] = (version, section, _line(text, name))
    return Manifest(path, str(data.get("name", "")), _table(data, "scripts"), found), None


def _table(data: Mapping[str, Any], key: str) -> dict[str, str]:
    value = data.get(key)
    return {str(name): str(item) for name, item in value.items()} if isinstance(value, dict) else {}


def _line(text: str, name: str) -> int | None:
    at = text.find(f'"{name}"')
    return text.count("\n", 0, at) + 1 if at >= 0 else None


def _framework(manifest: Manifest, files: Files) -> tuple[str, str, str] | None:
    """(the framework, its SDK, why), or None for libraries, tools and servers."""
    for package, framework, sdk in _FRAMEWORKS:
        if package not in manifest.dependencies or manifest.dependencies[package][1] == "peerDependencies":
            continue
        if framework == "vite":
            return _vite(manifest, files)
        if framework == "angular" and not any(
            item in files.paths for item in _at(manifest, "angular.json", "project.json")
        ):
            continue
        if framework == "cra" and not any(
            item in files.paths for item in _at(manifest, "public/index.html", "index.html")
        ):
            continue  # a library of components: there is no page that loads it
        if framework == "vue" and "--target lib" in " ".join(manifest.scripts.values()):
            continue
        if framework == "nextjs" and not any(
            word in " ".join(manifest.scripts.values()) for word in ("next ", "next:")
        ):
            continue
        if framework == "webpack" and not any(map(is_browser_sdk, manifest.dependencies)):
            continue  # a library as likely as a front end, and nothing says that Sentry is meant to be there
        return framework, sdk, f"{manifest.path} depends on {package}"
    return None


def _vite(manifest: Manifest, files: Files) -> tuple[str, str, str] | None:
    if join(manifest.folder, "index.html") not in files.paths or "vite" not in " ".join(manifest.scripts.values()):
        return None
    for package, sdk in (
        ("react", "@sentry/react"),
        ("vue", "@sentry/vue"),
        ("svelte", "@sentry/svelte"),
        ("solid-js", "@sentry/solid"),
    ):
        if package in manifest.dependencies:
            return "vite", sdk, f"{manifest.path} bundles {package} with vite"
    return None


def _at(manifest: Manifest, *names: str) -> Iterator[str]:
    for name in names:
        yield join(manifest.folder, name)


def _frontend(manifest: Manifest, framework: str, sdk: str, reason: str, manifests: Mapping[str, Manifest]) -> Frontend:
    name = basename(manifest.folder) or manifest.name.rpartition("/")[2] or "web"
    fact = Component(
        name=name, component=name, path=manifest.folder or ".", ecosystem="npm", role="frontend", framework=framework,
        reasons=(reason,),
    )  # fmt: skip
    return Frontend(fact, manifest, framework, sdk, {item.name: item for item in manifests.values() if item.name})


def _named(found: list[Frontend]) -> list[Frontend]:
    """The front ends with names that tell them apart."""
    names = [item.fact.name for item in found]
    for item in found:
        if names.count(item.fact.name) > 1 and item.folder:
            item.call(item.folder.replace("/", "-"))
    return found


def is_browser_sdk(package: str) -> bool:
    """Whether a package is a Sentry SDK for browsers."""
    return bool(_BROWSER.match(package))
