"""What the code of each component says about Sentry: init calls reached from its entry point, and their arguments."""

from __future__ import annotations

import ast
import re
from posixpath import dirname, join
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from sentry_audit import dsn
from sentry_audit.facts import DsnArgument, EnvVar, SdkInit, SdkSetup, WorkerEntry
from sentry_audit.model import Evidence
from sentry_audit.python import inits
from sentry_audit.python.dsn_guards import DsnGuards
from sentry_audit.python.loading import dynamic_import, roots
from sentry_audit.python.paths import deployed, importable
from sentry_audit.python.reach import Route, route
from sentry_audit.python.truth import Verdict, guards, is_environment_name, same_environment, terms, truth
from sentry_audit.python.values import Resolver, Scope, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_audit.facts import Fact
    from sentry_audit.python.components import Service
    from sentry_audit.python.inits import InitCall
    from sentry_audit.python.program import Program

_LITERAL_NAMES = re.compile(r"(?i)\b\w*env\w*\s*:[^\n]*Literal\[([^\]]+)\]")
_VISIBLE = re.compile(r"\b(exception|error|critical|fatal)$")


class Reached(Struct):
    """An init call that a component runs: how it is reached, and what its parameters are there."""

    init: InitCall
    route: Route
    bindings: list[dict[str, Value]]

    def option(self, name: str, resolver: Resolver) -> Value | None:
        """How an option ends, with the parameters of the functions around the call bound."""
        return self.init.option(name, resolver, self.bindings[0] if self.bindings else None)


class Analysed(Struct):
    """One component in one environment: its files, its reached inits, and the facts so far."""

    service: Service
    resolver: Resolver
    closure: dict[str, str]
    reached: list[Reached]
    facts: list[Fact] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The component's name."""
        return self.service.fact.name


class Code(Struct):
    """The repository's code, searched once for all components and environments."""

    program: Program
    facts: Sequence[Fact]
    services: list[Service]
    _inits: list[InitCall] | None = None
    _closures: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict)
    not_deployed: list[str] = field(default_factory=list)

    @property
    def inits(self) -> list[InitCall]:
        """Every active init call in code that can be deployed."""
        if self._inits is None:
            paths = self.program.files.search(["sentry_sdk"], ".py")
            self.not_deployed = [path for path in paths if not deployed(path)]
            self._inits = inits.find(self.program, [path for path in paths if importable(path)])
        return self._inits

    def closure(self, entries: Sequence[str]) -> dict[str, str]:
        """What loading ``entries`` loads, tests left out; computed once per set of entries."""
        key = tuple(entries)
        if key not in self._closures:
            self._closures[key] = self.program.closure(key, importable)
        return self._closures[key]

    def analyse(self, service: Service, environment: str) -> Analysed:
        """The init calls of one component, as they would run in one environment."""
        resolver = Resolver(self.program, environment, provided(self.facts, service, environment))
        resolver.django_settings = django_settings(self.program, service, environment)
        entries = roots(self.program, service.entries, resolver.django_settings)
        mine = [item for item in self.inits if service.fact.holds(item.module.path) and deployed(item.module.path)]
        if not self.inits:
            closure = self.closure(entries) if self.program.problems else dict.fromkeys(entries, "")
            analysed = Analysed(service, resolver, closure, [])
        else:
            closure = self.closure(entries)
            resolver.vocabulary = vocabulary(self.facts, self.program, closure)
            factory = (service.fact.entry_point or "").partition(":")[2]
            routes = [
                (item, route(self.program, item.module, item.call, closure, service.entries, factory))
                for item in self.inits
                if item.module.path in closure or item in mine
            ]
            reached = [Reached(item, way, way.bindings(resolver)) for item, way in routes if way.reached]
            analysed = Analysed(service, resolver, closure, reached)
            analysed.facts += self._workers(service, environment)
            mine += [item for item, way in routes if item not in mine]
            analysed.facts.append(self._setup(service, mine, routes, analysed))
        if not self.inits:
            analysed.facts.append(self._setup(service, [], [], analysed))
        for item in analysed.reached:
            analysed.facts += self._call(analysed, item)
        return analysed

    def _setup(
        self, service: Service, mine: list[InitCall], routes: list[tuple[InitCall, Route]], analysed: Analysed
    ) -> SdkSetup:
        name = service.fact.name
        unread = [path for path in self.program.problems if path in analysed.closure]
        if analysed.reached:
            second = _overriding(analysed)
            evidence = tuple(dict.fromkeys(place for item in analysed.reached for place in item.route.evidence))
            return SdkSetup(
                component=name,
                present=True,
                reachable=True,
                overridden=second is not None,
                evidence=(second,) if second else evidence,
            )
        unknown = service.unknown
        if unread and not unknown:
            problem = self.program.problems[unread[0]]
            unknown = f"{problem.evidence} could not be read ({problem.reason}), so an init in it would not be seen"
        near = mine[0].module.path if mine else ""
        if near and not unknown and (place_ := dynamic_import(self.program, analysed.closure, near)):
            why = next(way.why_not for item, way in routes if item in mine)
            unknown = f"{why}; but {place_} loads modules by computed names ({place_.saw}…), which were not followed"
        if mine:
            why = next((way.why_not for item, way in routes if item in mine), "")
            return SdkSetup(
                component=name, present=True, reachable=False, why_not=why, unknown=unknown,
                evidence=tuple(item.evidence for item in mine),
            )  # fmt: skip
        tests = [path for path in self.not_deployed if service.fact.holds(path)]
        why = f"only code that is not deployed mentions the SDK: {', '.join(tests[:2])}" if tests else ""
        looked = tuple(Evidence(path, None, None, None, "entry point") for path in service.entries)
        return SdkSetup(
            component=name,
            present=False,
            reachable=False,
            why_not=why,
            unknown=unknown,
            evidence=looked + tuple(Evidence(path) for path in tests[:2]),
        )

    def _workers(self, service: Service, environment: str) -> list[Fact]:
        found: list[Fact] = []
        for start, entry, evidence in service.workers:
            django = django_settings(self.program, replace(service, entries=(entry,)), environment)
            closure = self.closure(roots(self.program, [entry], django))
            ways = [
                route(self.program, item.module, item.call, closure, (entry,), start.attribute)
                for item in self.inits
                if item.module.path in closure
            ]
            done = [way for way in ways if way.reached]
            found.append(
                WorkerEntry(
                    component=service.fact.name,
                    name=entry,
                    worker=start.server,
                    initialised=bool(done),
                    evidence=(
                        evidence,
                        *(
                            done[0].evidence[:2]
                            if done
                            else (Evidence(entry, None, None, None, "its imports were followed"),)
                        ),
                    ),
                )
            )
        return found

    def _call(self, analysed: Analysed, item: Reached) -> list[Fact]:
        resolver, name = analysed.resolver, analysed.name
        about_dsn = DsnGuards(resolver, item)
        enabled, condition, why, places, unknown = conditions(analysed, item, about_dsn)
        if enabled is False and unknown == "":
            unknown = self._set_elsewhere(why)
        caught = swallowed(item)
        dsn = dsn_argument(name, item, resolver, guarded_by_dsn=bool(condition) and "dsn" in condition.lower())
        call = SdkInit(
            component=name,
            enabled=enabled is not False,
            condition=condition,
            why_not=why if enabled is False else "",
            unknown=unknown if enabled is not True else "",
            swallowed=caught is not None,
            options=tuple(item.init.options),
            evidence=(item.init.evidence, *places, *((caught,) if caught else ())),
        )
        return [call, dsn, *(replace(fact, component=name) for fact in about_dsn.facts())]

    def _set_elsewhere(self, why: str) -> str:
        """A flag that is off by default may be set by a deployment: say unknown if a file mentions it."""
        match = re.search(r"sets ([A-Z][A-Z0-9_]+)", why)
        if not match:
            return ""
        paths = [
            path
            for path in self.program.files.search([match[1]])
            if not path.endswith((".py", ".md", ".rst", ".txt")) and deployed(path)
        ]
        paths = [path for path in paths if not path.rsplit("/", 1)[-1].startswith(".env")]
        return f"{why}; but {paths[0]} mentions {match[1]}, and what it sets was not followed" if paths else ""


def provided(facts: Sequence[Fact], service: Service, environment: str) -> dict[str, str]:
    """Variables that files of the repository set in this environment for this component (values that may be shown)."""
    found: dict[str, str] = {}
    for fact in facts:
        if isinstance(fact, EnvVar) and fact.is_set and not fact.template and fact.value:
            image = fact.origin == "image" and service.image is not None and fact.path == service.image.path
            if image or (
                fact.origin == "dotenv" and fact.environment and same_environment(fact.environment, environment)
            ):
                found[fact.name] = fact.value
    return found


def vocabulary(facts: Sequence[Fact], program: Program, paths: Iterable[str]) -> frozenset[str]:
    """The names of environments that the repository itself uses, in dotenv values and in ``Literal`` types of ``paths``."""
    names = {fact.value for fact in facts if isinstance(fact, EnvVar) and is_environment_name(fact.name) and fact.value}
    for path in paths:
        text = program.files.text(path) or ""
        for match in _LITERAL_NAMES.finditer(text) if "Literal[" in text else ():
            names |= set(re.findall(r"[\"'](\w+)[\"']", match[1]))
    return frozenset(names)


_SETTINGS_MODULE = re.compile(r"DJANGO_SETTINGS_MODULE[\"']?\s*[,=\]]+\s*[\"']?([\w.]+)")


def django_settings(program: Program, service: Service, environment: str) -> tuple[str, ...]:
    """The Django settings module that the component loads in this environment, if it is a Django one."""
    names: list[str] = []
    image = service.image
    if image is not None:
        names += [value for key, value in image.env if key == "DJANGO_SETTINGS_MODULE"]
    beside = [join(dirname(path), name) for path in service.entries for name in ("wsgi.py", "asgi.py", "manage.py")]
    for path in [*service.entries, *beside]:
        if path in program.files.paths and (match := _SETTINGS_MODULE.search(program.files.text(path) or "")):
            names.append(match[1])
    if not names:
        return ()
    entry = service.entries[0] if service.entries else "_.py"
    for name in _environment_variants(names[0], environment):
        if target := program.locate(name, entry):
            return (target,)
    return tuple(target for name in names[:1] if (target := program.locate(name, entry)))


def _environment_variants(name: str, environment: str) -> list[str]:
    """``config.settings.local`` → the sibling module that is named for the environment, if any."""
    package, _, last = name.rpartition(".")
    usual = {
        "production": ("production", "prod", "deploy", "live"),
        "staging": ("staging", "stage", "stg", "production", "prod"),
    }
    names = usual.get(environment, (environment,))
    if last in {"local", "dev", "development", "base", "test", "common", *names} and package:
        return [f"{package}.{item}" for item in names] + [name]
    return [name, *(f"{name}.{item}" for item in names)]


def conditions(
    analysed: Analysed, item: Reached, about_dsn: DsnGuards
) -> tuple[bool | None, str, str, tuple[Evidence, ...], str]:
    """(whether init runs here, its conditions as text, why not, where that was seen, what is not known)."""
    shown: list[str] = []
    unsure: tuple[str, tuple[Evidence, ...]] | None = None
    for step, bindings in zip(item.route.steps, item.bindings, strict=True):
        scope = Scope(step.module, bindings, step.function)
        for test, must_hold in guards(step.module, step.node):
            if "__name__" in ast.dump(test):
                continue
            text = step.module.source(test, 60)
            shown.append(text if must_hold else f"not ({text})")
            for term, wanted in terms(test, must_hold):
                looked = about_dsn.looks(scope, term, wanted)
                if looked is not None and not looked.undecided:
                    continue  # what it does with real DSNs is a guard's fact, and depends on no environment
                verdict = truth(analysed.resolver, term, scope)
                if looked is not None:
                    verdict = Verdict(None, "what it does with a DSN was not followed", verdict.evidence)
                if verdict.holds is None and not about_dsn.lets_through(scope, term, wanted):
                    unsure = unsure or (f"init depends on {text}: {verdict.why}", verdict.evidence)
                elif verdict.holds is not None and verdict.holds is not wanted:
                    return False, " and ".join(shown), verdict.why, verdict.evidence, ""
    if unsure is not None:
        return None, " and ".join(shown), "", unsure[1], unsure[0]
    return True, " and ".join(shown), "", (), ""


def swallowed(item: Reached) -> Evidence | None:
    """The handler that hides a failure of init: it neither raises, exits, nor logs an error."""
    for step in item.route.steps:
        child: ast.AST = step.node
        for parent in step.module.ancestors(step.node):
            if isinstance(parent, ast.Try) and child in parent.body:
                for handler in parent.handlers:
                    if _broad(handler) and not _visible(handler):
                        return Evidence(step.module.path, handler.lineno, None, None, step.module.source(handler, 80))
            child = parent
    return None


def _broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = {
        ast.unparse(item).rsplit(".", 1)[-1]
        for item in (handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type])
    }
    return bool(names & {"Exception", "BaseException", "TypeError", "BadDsn", "ValueError"})


def _visible(handler: ast.ExceptHandler) -> bool:
    for node in ast.walk(handler):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Call) and (
            _VISIBLE.search(ast.unparse(node.func)) or ast.unparse(node.func) in {"sys.exit", "exit", "os._exit"}
            or any(keyword.arg == "exc_info" for keyword in node.keywords)
        ):  # fmt: skip
            return True
    return False


def _overriding(analysed: Analysed) -> Evidence | None:
    """A second reached init that passes no DSN while the first passes one, in the same process."""
    if len(analysed.reached) < 2:
        return None
    with_dsn = [item for item in analysed.reached if "dsn" in item.init.options]
    for item in analysed.reached:
        explicit = item.option("dsn", analysed.resolver)
        empty = explicit is None or (explicit.kind in {"literal", "unfilled"} and not explicit.literal)
        if (
            with_dsn
            and item is not with_dsn[0]
            and empty
            and not item.init.open
            and _leads_elsewhere(with_dsn[0], analysed)
        ):
            return item.init.evidence
    return None


def _leads_elsewhere(first: Reached, analysed: Analysed) -> bool:
    """Whether the first init's DSN is something that a later init without one would not read by itself."""
    value = first.option("dsn", analysed.resolver)
    return value is None or not any("SENTRY_DSN" in leaf.names for leaf in value.leaves())


def _is_dsn(leaf: Value) -> bool:
    """Whether it is a literal that looks like a DSN."""
    return leaf.kind == "literal" and isinstance(leaf.literal, str) and dsn.looks_like_dsn(leaf.literal)


def dsn_argument(component: str, item: Reached, resolver: Resolver, *, guarded_by_dsn: bool) -> DsnArgument:
    """Where init's DSN comes from. ``dsn=None`` lets the SDK read SENTRY_DSN; ``""`` switches it off.

    Source: sentry_sdk/client.py, ``_get_options``.
    """
    here = item.init.evidence
    value = item.option("dsn", resolver)
    if value is None:
        if item.init.open:
            return DsnArgument(
                component=component, unknown="init is called with ** options that were not followed", evidence=(here,)
            )
        return DsnArgument(
            component=component,
            resolves=True,
            source="the variable SENTRY_DSN, which the SDK reads by itself",
            variables=("SENTRY_DSN",),
            evidence=(here,),
        )
    trail = tuple(dict.fromkeys((here, *value.trail)))
    leaves = value.leaves()
    variables = tuple(dict.fromkeys(name for leaf in leaves for name in leaf.names))
    if variables:
        others = [leaf.reason for leaf in leaves if leaf.kind in {"env", "dynamic"} and leaf.reason]
        return DsnArgument(
            component=component,
            resolves=True,
            source=f"the variable {' or '.join(variables)}",
            variables=variables,
            also=next(iter(others), "a DSN in the code may stand in" if any(map(_is_dsn, leaves)) else ""),
            literal=any(leaf.default is not None and any(map(_is_dsn, leaf.default.leaves())) for leaf in leaves),
            evidence=trail,
        )
    if any(leaf.kind == "literal" and isinstance(leaf.literal, str) and leaf.literal.strip() for leaf in leaves):
        return DsnArgument(component=component, resolves=True, source="a literal", evidence=trail)
    unknown = next((leaf for leaf in leaves if leaf.kind not in {"literal", "unfilled"}), None)
    if unknown is not None:
        return DsnArgument(
            component=component,
            unknown=f"the DSN could not be followed: {unknown.reason or unknown.kind}",
            secret=unknown.literal if unknown.kind == "dynamic" and isinstance(unknown.literal, str) else "",
            evidence=trail,
        )
    last = leaves[-1]
    if last.literal is None and last.kind == "literal" and not guarded_by_dsn:
        return DsnArgument(
            component=component,
            resolves=True,
            source="the variable SENTRY_DSN, which the SDK reads because dsn is None",
            variables=("SENTRY_DSN",),
            evidence=trail,
        )
    if last.kind == "unfilled" and last.literal is None and not guarded_by_dsn and "does not define" not in last.reason:
        source = f"the variable SENTRY_DSN, which the SDK reads because dsn is None ({last.reason})"
        return DsnArgument(component=component, resolves=True, source=source, variables=("SENTRY_DSN",), evidence=trail)
    dead = last.reason or f"it is {last.literal!r}"
    if last.literal == "":
        dead += "; an empty string switches the SDK off, even when SENTRY_DSN is set"
    return DsnArgument(component=component, resolves=False, dead_end=dead, evidence=trail)
