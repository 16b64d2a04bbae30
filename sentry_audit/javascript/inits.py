"""The inits for browsers of a front end: which there are, what loads them, and whether anything calls them."""

from __future__ import annotations

import re
from posixpath import basename
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.facts import FrontendSetup
from sentry_audit.javascript.loading import DYNAMIC
from sentry_audit.javascript.names import COMPONENTS, is_generated
from sentry_audit.javascript.packages import is_browser_sdk
from sentry_audit.javascript.syntax import (
    class_of,
    enclosing_functions,
    line_of,
    name_of,
    options_object,
    text_of,
    walk,
)
from sentry_audit.model import Evidence
from sentry_audit.python.paths import deployed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.syntax import Source

_SERVER = re.compile(r"(^|/)(sentry\.edge\.config|instrumentation|[\w.-]+\.(server|edge|node)(\.config)?)\.\w+$")
_STARTS = re.compile(r"(^|/)instrumentation(\.node)?\.\w+$")
_SERVED = re.compile(r"(^|/)(instrumentation(\.node)?|sentry\.(server|edge)\.config)\.\w+$")
_INSTRUMENTATION = re.compile(r"(^|/)instrumentation-client\.\w+$")
_CLIENT_CONFIG = re.compile(r"(^|/)sentry\.client\.config\.\w+$")
_LOADERS = ("js.sentry-cdn.com", "@sentry/nuxt/module", "sentryAstro", "Sentry.onLoad", "browser.sentry-cdn.com")
_USES = frozenset(
    {"call_expression", "jsx_self_closing_element", "jsx_opening_element", "arguments", "pair", "array", "new_expression",
     "jsx_expression"}
)  # fmt: skip


class Init(Struct, frozen=True):
    """One call of ``init`` of the SDK ``package``."""

    source: Source
    call: Any
    package: str

    @property
    def given(self) -> Any:
        """The object of its options, which may stand apart from the call; the call where there is none."""
        return options_object(self.call) or self.call

    @property
    def evidence(self) -> Evidence:
        """Where it stands."""
        return Evidence(self.source.path, line_of(self.call), None, None, text_of(self.call).partition("\n")[0][:80])

    def at(self, node: Any, option: str) -> Evidence:
        """Where an option stands."""
        saw = f"{option}: {text_of(node)}".partition("\n")[0][:80]
        return Evidence(self.source.path, line_of(node), saw=saw)


def find(analysis: Analysis) -> list[Init]:
    """The inits for browsers in the files of a front end and of the packages that it uses."""
    return [item for item in _everywhere(analysis) if not _is_of_server(analysis, item.source.path)]


def served(analysis: Analysis) -> list[tuple[Init, bool]]:
    """The inits of the server of a Next.js front end, each with whether its instrumentation runs it.

    Before 8 the SDK loaded its files for servers by itself (docs.sentry.io/platforms/javascript/guides/nextjs).
    """
    if analysis.frontend.framework != "nextjs" or analysis.is_static:
        return []
    # Node.js and the edge may be given the same options: the first of them speaks for both.
    found = {(item.source.path, item.given.start_byte): item for item in reversed(list(_of_server(analysis)))}
    told = " ".join(analysis.files.text(path) or "" for path in analysis.mentioning if _STARTS.search(path))
    old = (analysis.major("@sentry/nextjs") or 8) < 8
    return [
        (item, old or bool(_STARTS.search(path)) or basename(path).rpartition(".")[0] in told)
        for (path, _), item in reversed(found.items())
    ]


def _of_server(analysis: Analysis) -> Iterator[Init]:
    return (item for item in _everywhere(analysis) if _SERVED.search(item.source.path))


def _is_of_server(analysis: Analysis, path: str) -> bool:
    """Whether a file is the server's: by its name, or because Node.js is told to load it first (``--import``)."""
    if _SERVER.search(path):
        return True
    commands = " ".join(analysis.frontend.manifest.scripts.values())
    return any(basename(told) == basename(path) for told in re.findall(r"--(?:import|require)[= ]+(\S+)", commands))


def _everywhere(analysis: Analysis) -> Iterator[Init]:
    for path in analysis.mentioning:
        text = analysis.files.text(path) or ""
        source = analysis.source(path) if re.search(r"\binit\b", text) else None
        for call, module, name in source.calls() if source is not None else ():
            if name == "init" and source is not None and is_browser_sdk(module):
                yield Init(source, call, module)


def never_loaded(analysis: Analysis, item: Init) -> str | None:
    """Why an init never runs in a browser; None if it does."""
    path = item.source.path
    if _CLIENT_CONFIG.search(path) and analysis.frontend.framework == "nextjs":
        if turbopack(analysis):
            return "Turbopack does not load sentry.client.config: use instrumentation-client"
        if "withSentryConfig" not in analysis.config("next.config"):
            used_ = analysis.config_path("next.config") or "next.config"
            return f"{used_} does not use withSentryConfig, which loads sentry.client.config"
        return None
    if _INSTRUMENTATION.search(path) and analysis.frontend.framework == "nextjs" and _is_before(analysis, (15, 3)):
        if "withSentryConfig" not in analysis.config("next.config"):
            used_ = analysis.config_path("next.config") or "next.config"
            version = analysis.version("next")
            return f"Next.js {version} does not load instrumentation-client by itself, and {used_} does not use withSentryConfig"
        return None
    way = analysis.loading.way(path)
    if way is None:
        return f"nothing that the framework loads imports {path}"
    return _uncalled(analysis, item, way)


def _is_before(analysis: Analysis, version: tuple[int, int]) -> bool:
    """Whether Next.js is older; it loads instrumentation-client since 15.3 (nextjs.org/docs, instrumentation-client)."""
    found = re.match(r"(\d+)\.(\d+)", analysis.version("next"))
    return found is not None and (int(found[1]), int(found[2])) < version


def turbopack(analysis: Analysis) -> bool:
    """Whether Next.js builds with Turbopack: what the script says that builds, else what the version does."""
    manifest = analysis.frontend.manifest
    builds = [script for _, script in sorted(manifest.scripts.items()) if "next build" in script]
    command = (
        manifest.scripts.get("build", "") if "next build" in manifest.scripts.get("build", "") else " ".join(builds)
    )
    if "--webpack" in command:
        return False
    if "--turbo" in command:
        return True
    major = analysis.major("next")
    return major >= 16 if major is not None else manifest.dependencies.get("next", ("",))[0] in {"latest", "canary"}


def _uncalled(analysis: Analysis, item: Init, way: list[str]) -> str | None:
    """Why the function around an init is not used in a file that is loaded; None if it is, or if there is none."""
    functions = enclosing_functions(item.call)
    names = [name for name in map(name_of, functions) if name and name not in {"register", "useEffect"}]
    if not names:
        return None
    name = class_of(functions[-1]) or names[-1]
    if used(analysis, item.source, name, way):
        return None
    return f"{name} in {item.source.path} initialises the SDK, and nothing calls or renders it"


def used(analysis: Analysis, owner: Source, name: str, way: Sequence[str]) -> bool:
    """Whether ``name``, which ``owner`` defines, is called or rendered there, on ``way``, or in a file that imports it."""
    if name not in owner.classes and analysis.loading.is_entry(owner.path) and _is_exported(owner, name):
        return True  # what loads the file takes what it exports: a page, the application of vite-ssg
    default = re.search(rf"export\s+default\s+(?:async\s+)?(?:function\s+|class\s+)?{re.escape(name)}\b", owner.text)
    for path in dict.fromkeys((*way, owner.path, *analysis.loading.importers(owner.path))):
        source = analysis.source(path)
        if source is None:
            if path.endswith(COMPONENTS):
                return True
            continue
        local = [
            key for key, value in source.imports.items() if value.name == name or (default and value.name == "default")
        ]
        if path == owner.path:
            local = [name]
        if any(_is_used(source, alias) for alias in local) or (path.endswith(COMPONENTS) and local):
            return True
    return False


def _is_exported(source: Source, name: str) -> bool:
    return bool(
        re.search(rf"export\s+(default\s+)?(async\s+)?(const|let|var|function)?\s*{re.escape(name)}\b", source.text)
    )


def _is_used(source: Source, name: str) -> bool:
    """Whether a name is called, rendered or handed on in a file, not only imported, defined or exported."""
    uses = _USES | {"member_expression"} if name in source.classes or name[:1].isupper() else _USES
    for node in walk(source.root):
        if node.type in {"identifier", "jsx_identifier"} and text_of(node) == name:
            if node.parent is not None and node.parent.type in uses:
                return True
    return False


def setup(analysis: Analysis, inits: Sequence[Init], loaded: Sequence[Init]) -> FrontendSetup:
    """Whether any of the ``inits`` of a front end is among those that are ``loaded``; if none is, why."""
    places = tuple(item.evidence for item in inits)
    framework = analysis.frontend.framework
    if loaded:
        return FrontendSetup(present=True, loaded=True, evidence=tuple(item.evidence for item in loaded))
    broken = [item.evidence for item in analysis.problems if inits or "frontend_setup" in item.kinds]
    if broken:
        reason = f"{broken[0]}: {broken[0].saw}, so an init in it, or what loads one, would not be seen"
        return FrontendSetup(unknown=reason, evidence=tuple(broken))
    if not inits:
        reason = "no file of the front end initialises the SDK in browsers"
        loader = _loader(analysis)
        if framework in DYNAMIC or loader:
            return FrontendSetup(unknown=f"{reason} that could be followed", evidence=loader)
        here = Evidence(analysis.frontend.manifest.path, None, None, None, "no Sentry.init in its folder")
        return FrontendSetup(why_not=reason, evidence=(here,))
    if not analysis.loading.is_followed:
        reason = f"whether anything loads {inits[0].source.path} was not followed"
        return FrontendSetup(unknown=reason, evidence=places)
    reasons = {item.source.path: never_loaded(analysis, item) or "" for item in inits}
    ignored = all("Turbopack" in reason for reason in reasons.values())
    return FrontendSetup(
        present=True, ignored=ignored, why_not="; ".join(dict.fromkeys(reasons.values())), evidence=places
    )  # fmt: skip


def _loader(analysis: Analysis) -> tuple[Evidence, ...]:
    """A loader script or a module of the framework that may initialise instead."""
    for path in analysis.files.search(_LOADERS):
        if analysis.frontend.within(path) and deployed(path) and not is_generated(analysis.files.text(path) or ""):
            return (Evidence(path, None, None, None, "a loader of Sentry"),)
    return ()
