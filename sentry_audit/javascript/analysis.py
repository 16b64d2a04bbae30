"""What is true of one front end: its SDK, its inits and what loads them, its DSN, and the guards in front of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from posixpath import basename, join
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import DsnGuard, FrontendDsn, FrontendSdk, FrontendSetup, FrontendTracing
from sentry_audit.guard import judge
from sentry_audit.javascript.conditions import Condition, guards
from sentry_audit.javascript.loading import Loading
from sentry_audit.javascript.packages import KINDS, is_browser_sdk
from sentry_audit.javascript.syntax import (
    SUFFIXES,
    Source,
    enclosing_functions,
    is_generated,
    line_of,
    name_of,
    options_of,
    text_of,
    walk,
)
from sentry_audit.javascript.values import Values
from sentry_audit.mentions import MENTIONS
from sentry_audit.model import Evidence, Problem
from sentry_audit.python.paths import deployed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.facts import Fact
    from sentry_audit.javascript.packages import Frontend
    from sentry_audit.javascript.values import Origin
    from sentry_audit.python.program import Files

_SERVER = re.compile(
    r"(^|/)(sentry\.(server|edge)\.config|instrumentation(\.node|\.server|\.edge)?|hooks\.server|entry\.server)\.\w+$"
)
_CLIENT_CONFIG = re.compile(r"(^|/)sentry\.client\.config\.\w+$")
#: Prefixes of the variables that each bundler compiles in.
_PREFIXES = {"nextjs": ("NEXT_PUBLIC_",), "cra": ("REACT_APP_",), "gatsby": ("GATSBY_",), "vue": ("VUE_APP_",), "vite": ("VITE_",),
             "sveltekit": ("PUBLIC_", "VITE_"), "nuxt": ("NUXT_PUBLIC_", "VITE_"), "remix": ("VITE_",), "angular": ("NG_APP_",),
             "webpack": ()}  # fmt: skip
#: SDKs that add the browser's tracing by themselves.
_TRACES = frozenset({"@sentry/nextjs", "@sentry/nuxt", "@sentry/sveltekit", "@sentry/gatsby", "@sentry/astro"})
_DYNAMIC = ("nuxt", "angular", "gatsby")  # loaded by modules and builders that are not followed


@dataclass
class _Init:
    source: Source
    call: Any
    package: str

    @property
    def evidence(self) -> Evidence:
        return Evidence(self.source.path, line_of(self.call), None, None, text_of(self.call).partition("\n")[0][:80])


class Analysis:
    """Reads the files of one front end that speak of Sentry."""

    def __init__(self, files: Files, frontend: Frontend) -> None:
        self.files = files
        self.frontend = frontend
        self.loading = Loading(files, frontend)
        self.problems: list[Problem] = []
        self.sources: dict[str, Source | None] = {}
        self.values = Values(self.loading, self.source)
        self.package = ""
        self.variables: dict[str, tuple[Evidence, ...]] = {}

    def source(self, path: str) -> Source | None:
        """The parsed file; None, with a problem, for one that is broken."""
        if path not in self.sources:
            text = self.files.text(path)
            self.sources[path] = None
            if text is not None and path.endswith(SUFFIXES) and not is_generated(text):
                source = Source(path, text)
                line = source.error_line()
                if line is None:
                    self.sources[path] = source
                else:
                    here = Evidence(path, line, None, None, "syntax error")
                    self.problems.append(
                        Problem(
                            "repo",
                            KINDS,
                            "it could not be parsed",
                            f"fix the syntax of {path}",
                            here,
                            self.frontend.fact.name,
                        )
                    )
        return self.sources[path]

    def facts(self) -> list[Fact]:
        """The facts, in the order of the chain."""
        sdk = self._sdk()
        inits = [item for item in self._inits() if not _SERVER.search(item.source.path)]
        loaded = [item for item in inits if self._is_loaded(item) is None]
        found: list[Fact] = [sdk, self._setup(inits, loaded)]
        for item in loaded or inits:
            found += self._dsn(item)
        return found

    # --- the package --------------------------------------------------------------------------

    def _sdk(self) -> FrontendSdk:
        manifest = self.frontend.manifest
        mine = {name: item for name, item in manifest.dependencies.items() if is_browser_sdk(name)}
        where = manifest
        if not mine:
            for name in manifest.dependencies:
                other = self.frontend.manifests.get(name)
                shared = (
                    {item: value for item, value in other.dependencies.items() if is_browser_sdk(item)} if other else {}
                )
                if other is not None and shared:
                    mine, where = shared, other
        if not mine:
            here = Evidence(manifest.path, None, None, None, f"{len(manifest.dependencies)} dependencies")
            why = f"{manifest.path} names no Sentry SDK for browsers ({self.frontend.sdk})"
            return FrontendSdk(why_not=why, evidence=(here,))
        package = self.frontend.sdk if self.frontend.sdk in mine else min(mine)
        self.package = package
        specifier, section, line = mine[package]
        here = Evidence(where.path, line, None, None, f"{package} {specifier} in {section}")
        dev = section == "devDependencies"
        omitted = self._omitted() if dev else ""
        framework = self.frontend.framework
        fits = not (framework == "nextjs" and package != self.frontend.sdk and not self._is_static())
        problem = (
            ""
            if fits
            else f"{package} in a Next.js application: errors of its server and source maps are missing; use {self.frontend.sdk}"
        )
        return FrontendSdk(
            declared=not omitted, package=package, specifier=specifier, dev=dev, why_not=omitted, matches_framework=fits,
            problem=problem, evidence=(here,),
        )  # fmt: skip

    def _omitted(self) -> str:
        """How the image leaves development dependencies out before it builds, or ``""``."""
        path = join(self.frontend.folder, "Dockerfile")
        text = self.files.text(path) or "" if path in self.files.paths else ""
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

    def _is_static(self) -> bool:
        return "output: 'export'" in self._config("next.config").replace('"', "'")

    def _config(self, stem: str) -> str:
        paths = (join(self.frontend.folder, stem + suffix) for suffix in (*SUFFIXES,))
        return "\n".join(self.files.text(path) or "" for path in paths if path in self.files.paths)

    # --- inits --------------------------------------------------------------------------------

    def _inits(self) -> Iterator[_Init]:
        folders = [self.frontend.folder]
        folders += [
            other.folder
            for name in self.frontend.manifest.dependencies
            if (other := self.frontend.manifests.get(name)) is not None
        ]
        for path in self.files.search(MENTIONS):
            if not path.endswith(SUFFIXES) or not deployed(path) or _is_test(path):
                continue
            if not any(not folder or path.startswith(f"{folder}/") for folder in folders):
                continue
            text = self.files.text(path) or ""
            source = self.source(path) if re.search(r"\binit\b", text) else None
            for call, module, name in source.calls() if source is not None else ():
                if name == "init" and source is not None and is_browser_sdk(module):
                    yield _Init(source, call, module)

    def _is_loaded(self, item: _Init) -> str | None:
        """Why an init never runs in a browser; None if it does."""
        path = item.source.path
        if _CLIENT_CONFIG.search(path) and self.frontend.framework == "nextjs":
            if self._turbopack():
                return "Turbopack does not load sentry.client.config: use instrumentation-client"
            if "withSentryConfig" not in self._config("next.config"):
                return "next.config does not use withSentryConfig, which loads sentry.client.config"
            return None
        way = self.loading.way(path)
        if way is None:
            return f"nothing that the framework loads imports {path}"
        return self._called(item, way)

    def _turbopack(self) -> bool:
        scripts = " ".join(self.frontend.manifest.scripts.values())
        specifier = self.frontend.manifest.dependencies.get("next", ("", "", None))[0]
        major = re.search(r"\d+", specifier)
        if "--webpack" in scripts:
            return False
        builds = " ".join(value for name, value in self.frontend.manifest.scripts.items() if "build" in name)
        return "--turbo" in builds or (major is not None and int(major[0]) >= 16) or specifier in {"latest", "canary"}

    def _called(self, item: _Init, way: list[str]) -> str | None:
        """Whether the function around an init is used in a file that is loaded; None if so."""
        names = [
            name
            for name in map(name_of, enclosing_functions(item.call))
            if name and name not in {"register", "useEffect"}
        ]
        if not names:
            return None
        name = names[-1]
        default = re.search(rf"export\s+default\s+(?:async\s+)?(?:function\s+)?{re.escape(name)}\b", item.source.text)
        for path in dict.fromkeys(
            (*way, item.source.path, *(importer for importer in self.loading._importers(item.source.path)))
        ):
            source = self.source(path)
            if source is None:
                if path.endswith((".vue", ".svelte")):
                    return None
                continue
            local = [
                key
                for key, value in source.imports.items()
                if value.name == name or (default and value.name == "default")
            ]
            if path == item.source.path:
                local = [name]
            if any(_is_used(source, alias) for alias in local):
                return None
        return f"{name} in {item.source.path} initialises the SDK, and nothing calls or renders it"

    def _setup(self, inits: list[_Init], loaded: list[_Init]) -> FrontendSetup:
        places = tuple(item.evidence for item in inits)
        if loaded:
            return FrontendSetup(present=True, loaded=True, evidence=tuple(item.evidence for item in loaded))
        if not inits:
            reason = "no file of the front end initialises the SDK in browsers"
            if self.frontend.framework in _DYNAMIC or self._wrapped():
                return FrontendSetup(unknown=f"{reason} that could be followed", evidence=self._wrapped())
            here = Evidence(self.frontend.manifest.path, None, None, None, "no Sentry.init in its folder")
            return FrontendSetup(why_not=reason, evidence=(here,))
        if self.frontend.framework in {"webpack", *_DYNAMIC}:
            reason = f"whether anything loads {inits[0].source.path} was not followed"
            return FrontendSetup(unknown=reason, evidence=places)
        reasons = {item.source.path: self._is_loaded(item) or "" for item in inits}
        ignored = all("Turbopack" in reason for reason in reasons.values())
        return FrontendSetup(
            present=True, ignored=ignored, why_not="; ".join(dict.fromkeys(reasons.values())), evidence=places
        )  # fmt: skip

    def _wrapped(self) -> tuple[Evidence, ...]:
        """A loader script or a module of the framework that may initialise instead."""
        for path in self.files.search(
            ("js.sentry-cdn.com", "@sentry/nuxt/module", "sentryAstro", "Sentry.onLoad", "browser.sentry-cdn.com")
        ):
            if self.frontend.within(path) and deployed(path):
                return (Evidence(path, None, None, None, "a loader of Sentry"),)
        return ()

    # --- the DSN ------------------------------------------------------------------------------

    def _dsn(self, item: _Init) -> Iterator[Fact]:
        found = options_of(item.call)
        if found is None:
            yield FrontendDsn(unknown="the options of init were not followed", evidence=(item.evidence,))
            return
        options, spread = found
        node = options.get("dsn")
        if node is None:
            reason = "init is given no dsn, and the SDK in a browser reads no variable by itself"
            yield FrontendDsn(
                unknown="init's options are spread from elsewhere" if spread else "",
                problem=reason,
                public=False,
                evidence=(item.evidence,),
            )
            return
        origin = self.values.origin(node, item.source)
        yield self._argument(item, origin)
        yield from self._guards(item, origin, options)
        yield from self._tracing(item, options, spread)

    def _argument(self, item: _Init, origin: Origin) -> FrontendDsn:
        trail = tuple(dict.fromkeys((item.evidence, *origin.trail)))
        if origin.variables:
            hidden = [name for name, how in origin.variables if not self._public(name, how)]
            if len(hidden) < len(origin.variables):
                name = next(name for name, how in origin.variables if self._public(name, how))
                self.variables[name] = trail
                return FrontendDsn(variable=name, source=f"the variable {name}", evidence=trail)
            if self.frontend.framework in {"webpack", *_DYNAMIC}:
                reason = f"whether the bundler puts {hidden[0]} in was not followed"
                return FrontendDsn(variable=hidden[0], unknown=reason, evidence=trail)
            wanted = "/".join(_PREFIXES[self.frontend.framework])
            how = next(how for name, how in origin.variables if name == hidden[0])
            problem = (
                f"{how}.{hidden[0]} is not compiled into what browsers load (only {wanted}… are): it is undefined there"
            )
            return FrontendDsn(variable=hidden[0], public=False, problem=problem, evidence=trail)
        if any("://" in text for text in origin.literals):
            return FrontendDsn(source="a literal", evidence=trail)
        if origin.page:
            return FrontendDsn(unknown="the DSN comes from the page or a request at run time", evidence=trail)
        if origin.unknown:
            return FrontendDsn(unknown=f"the DSN could not be followed: {origin.unknown[0]}", evidence=trail)
        return FrontendDsn(public=False, problem="the DSN is empty", evidence=trail)

    def _public(self, name: str, how: str) -> bool:
        framework = self.frontend.framework
        config = self._config("next.config") + self._config("vite.config") + self._config("nuxt.config")
        if how == "import.meta.env" and framework == "nextjs":
            return False
        if how.endswith("process.env") and framework in {"vite", "sveltekit"}:
            return (
                bool(re.search(rf"process\.env(\.{re.escape(name)})?['\"\]]", config)) or "EnvironmentPlugin" in config
            )
        custom = re.findall(r"envPrefix\s*:\s*\[?\s*['\"]([^'\"]+)", config)
        return name.startswith((*_PREFIXES[framework], *custom)) or bool(re.search(rf"\b{re.escape(name)}\b", config))

    def _guards(self, item: _Init, origin: Origin, options: dict[str, Any]) -> Iterator[Fact]:
        names = frozenset({name for name, _ in origin.variables} | {text_of(options["dsn"])})
        conditions = guards(item.call)
        if "enabled" in options and options["enabled"] is not None:
            conditions.append((options["enabled"], True))
        for node, wanted in conditions:
            condition = Condition(self.values, item.source, names, node, wanted)
            verdict = judge(condition)
            here = (Evidence(item.source.path, condition.line, None, None, text_of(node)[:80]),)
            shown = re.sub(r"^\((.*)\)$", r"\1", text_of(node), flags=re.DOTALL)[:80]
            if verdict.rejects:
                yield DsnGuard(expression=shown, keeps_real=verdict.keeps_real, rejects=verdict.rejects, evidence=here)
            elif verdict.undecided:
                yield DsnGuard(expression=shown, unknown=f"the guard {shown} was not followed", evidence=here)
            elif condition.about:
                yield DsnGuard(expression=shown, evidence=here)

    def _tracing(self, item: _Init, options: dict[str, Any], spread: bool) -> Iterator[Fact]:
        if not {"tracesSampleRate", "tracesSampler"} & options.keys() or spread:
            return
        package = self.package or item.package
        text = text_of(options.get("integrations"))
        if package in _TRACES or re.search(r"[tT]racing", text) or (text and not text.startswith("[")):
            yield FrontendTracing(evidence=(item.evidence,))
            return
        problem = f"a sampling rate is set, but {package} makes no spans without browserTracingIntegration()"
        yield FrontendTracing(effective=False, problem=problem, evidence=(item.evidence,))


def _is_used(source: Source, name: str) -> bool:
    """Whether a name is called, rendered or handed on in a file, not only imported, defined or exported."""
    for node in walk(source.root):
        if node.type in {"identifier", "jsx_identifier"} and text_of(node) == name:
            parent = node.parent.type if node.parent is not None else ""
            if parent in {
                "call_expression",
                "jsx_self_closing_element",
                "jsx_opening_element",
                "arguments",
                "pair",
                "array",
                "new_expression",
                "jsx_expression",
            }:
                return True
    return False


def _is_test(path: str) -> bool:
    return bool(re.search(r"\.(test|spec|stories)\.\w+$|(^|/)(__tests__|__mocks__|e2e|cypress)/", path)) or basename(
        path
    ).startswith("mock")
