"""Where the DSN of a browser's init comes from, and the guards in front of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import FrontendDsn
from sentry_audit.guard import judge
from sentry_audit.javascript.conditions import Condition, guards
from sentry_audit.javascript.syntax import text_of
from sentry_audit.javascript.values import Variable
from sentry_audit.javascript.variables import PREFIXES
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sentry_audit.facts import Fact
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init
    from sentry_audit.javascript.values import Origin


def dsn(analysis: Analysis, item: Init, options: Mapping[str, Any], spread: bool) -> Iterator[Fact]:
    """The DSN that an init is given, and what guards of it keep out. ``spread``: further options come from elsewhere."""
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
    origin = analysis.values.origin(node, item.source)
    yield _argument(analysis, item, origin)
    yield from _guards(analysis, item, origin, options)


def _argument(analysis: Analysis, item: Init, origin: Origin) -> FrontendDsn:
    trail = tuple(dict.fromkeys((item.evidence, *origin.trail)))
    framework = analysis.frontend.framework
    if origin.variables:
        hidden = [name for name, how in origin.variables if not is_public(analysis, name, how)]
        if len(hidden) < len(origin.variables):
            name = next(name for name, how in origin.variables if is_public(analysis, name, how))
            how = next(how for known, how in origin.variables if known == name)
            literal = any("://" in text for text in origin.literals)
            analysis.variables[name] = Variable(
                name, how == "$env/dynamic/public", literal, origin.trail[-1] if origin.trail else None
            )
            return FrontendDsn(variable=name, source=f"the variable {name}", evidence=trail)
        if not analysis.loading.is_followed:
            reason = f"whether the bundler puts {hidden[0]} in was not followed"
            return FrontendDsn(variable=hidden[0], unknown=reason, evidence=trail)
        wanted = "/".join(PREFIXES[framework])
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


def is_public(analysis: Analysis, name: str, how: str) -> bool:
    """Whether the bundler compiles the variable ``name``, read as ``how``.``name``, into what browsers load."""
    framework = analysis.frontend.framework
    if how.startswith("$env/"):
        return how.endswith("/public")
    config = analysis.config("next.config") + analysis.config("vite.config") + analysis.config("nuxt.config")
    if how == "import.meta.env" and framework == "nextjs":
        return False
    if how.endswith("process.env") and framework in {"vite", "sveltekit"}:
        return bool(re.search(rf"process\.env(\.{re.escape(name)})?['\"\]]", config)) or "EnvironmentPlugin" in config
    custom = re.findall(r"envPrefix\s*:\s*\[?\s*['\"]([^'\"]+)", config)
    return name.startswith((*PREFIXES[framework], *custom)) or bool(re.search(rf"\b{re.escape(name)}\b", config))


def _guards(analysis: Analysis, item: Init, origin: Origin, options: Mapping[str, Any]) -> Iterator[Fact]:
    names = frozenset({name for name, _ in origin.variables} | {text_of(options["dsn"])})
    conditions = guards(item.call)
    if "enabled" in options and options["enabled"] is not None:
        conditions.append((options["enabled"], True))
    for node, wanted in conditions:
        condition = Condition(analysis.values, item.source, names, node, wanted)
        verdict = judge(condition)
        here = (Evidence(item.source.path, condition.line, None, None, text_of(node)[:80]),)
        shown = re.sub(r"^\((.*)\)$", r"\1", text_of(node), flags=re.DOTALL)[:80]
        found = verdict.fact(shown, here, about=condition.about)
        if found is not None:
            yield found
