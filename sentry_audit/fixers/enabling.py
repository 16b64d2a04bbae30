"""What keeps init from running in one environment: a flag that is off by default, another name, a DSN that nothing fills."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.facts import SdkInit
from sentry_audit.fixers._code import analysed, edit, node_at, source_of
from sentry_audit.fixers.dsns import field_of
from sentry_audit.fixing import Change, Refusal
from sentry_audit.python.config import DSN_FIELD
from sentry_audit.python.dsn_guards import DsnGuards
from sentry_audit.python.truth import guards, same_environment, terms, truth
from sentry_audit.python.values import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.fixing import Case
    from sentry_audit.model import Evidence
    from sentry_audit.python.analysis import Reached
    from sentry_audit.python.module import Module
    from sentry_audit.python.truth import Verdict
    from sentry_audit.python.values import Value

#: What a flag that is off by default is given instead.
_ON: dict[object, str] = {
    False: "True", "false": "true", "False": "True", "FALSE": "TRUE", "0": "1", "no": "yes", "off": "on", "n": "y",
}  # fmt: skip


def enable(case: Case) -> Change | Refusal:
    """Let init run where a DSN is set."""
    places = {place for fact in case.bad if isinstance(fact, SdkInit) for place in fact.evidence}
    for item in analysed(case).reached:
        if item.init.evidence not in places:
            continue
        for scope, term, verdict in _obstacles(case, item):
            if DSN_FIELD.search(ast.unparse(term)) and "dsn" in item.init.options:
                made = field_of(case, item)
                if made is not None:
                    return made
            return (
                _flag(case, scope, term, verdict)
                or _name(case, scope.module, term, verdict)
                or _asks(scope, term, verdict)
            )
    why = next((fact.why_not for fact in case.bad if isinstance(fact, SdkInit)), case.finding.message)
    return Refusal(reason=f"{why}; what should decide is not certain")


def _obstacles(case: Case, item: Reached) -> Iterator[tuple[Scope, ast.expr, Verdict]]:
    """The conditions in front of init that do not hold here, as the analysis sees them."""
    resolver = analysed(case).resolver
    about_dsn = DsnGuards(resolver, item)
    for step, bindings in zip(item.route.steps, item.bindings, strict=True):
        scope = Scope(step.module, bindings, step.function)
        for test, must_hold in guards(step.module, step.node):
            if "__name__" in ast.dump(test):
                continue
            for term, wanted in terms(test, must_hold):
                looked = about_dsn.looks(scope, term, wanted)
                if looked is not None:
                    continue
                verdict = truth(resolver, term, scope)
                if verdict.holds is not None and verdict.holds is not wanted:
                    yield scope, term, verdict


def _asks(scope: Scope, term: ast.expr, verdict: Verdict) -> Refusal:
    place = f"{scope.module.path}:{term.lineno}"
    return Refusal(
        reason=f"{place}: {verdict.why}; whether errors of this environment are meant to be sent is yours to say",
        commands=("if settings.sentry_dsn:  # in the place of that condition: the DSN decides",),
    )


def _flag(case: Case, scope: Scope, term: ast.expr, verdict: Verdict) -> Change | None:
    """A flag of Sentry's own that is off by default and that nothing sets: on by default, so that the DSN decides."""
    resolver = analysed(case).resolver
    asked = term.left if isinstance(term, ast.Compare) else term
    if "sentry" not in ast.unparse(asked).lower():
        return None
    for leaf in resolver.value(asked, scope).leaves():
        if any(name in resolver.provided for name in leaf.names):
            return None  # a file of this environment says so
        found = _default(case, leaf, (*verdict.evidence, *leaf.trail))
        if found is None:
            continue
        module, node = found
        source = source_of(module)
        value = _ON[node.value]
        if isinstance(node.value, str):
            quote = source.written(node)[0]
            value = f"{quote}{value}{quote}"
        name = ast.unparse(asked)
        return Change(
            summary=f"will let {name} be on in {module.path} unless an environment switches it off: the DSN decides",
            edits=(edit(source, module.path, [(*source.span(node), value)]),),
        )
    return None


def _default(case: Case, leaf: Value, places: tuple[Evidence, ...]) -> tuple[Module, ast.Constant] | None:
    """The constant that the flag is when nothing sets it."""
    if leaf.default is not None:
        places = leaf.default.trail
    for place in places:
        module = case.program.module(place.path) if place.path else None
        node = node_at(module, place, ast.Constant, ast.Assign, ast.AnnAssign) if module is not None else None
        if isinstance(node, ast.Assign | ast.AnnAssign):
            node = node.value
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, bool | str)
            and node.value in _ON
            and module is not None
        ):
            return module, node
    return None


def _name(case: Case, module: Module, term: ast.expr, verdict: Verdict) -> Change | None:
    """``"prod"`` for an environment that the project itself calls ``"production"``."""
    if not isinstance(term, ast.Compare) or "but this environment is called" not in verdict.why:
        return None
    wrong = [
        node
        for node in ast.walk(term.comparators[0])
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and same_environment(node.value, case.environment)
    ]
    if len(wrong) != 1:
        return None
    source = source_of(module)
    quote = source.written(wrong[0])[0]
    return Change(
        summary=f"will compare with {case.environment!r}, as this environment is called, in {module.path}",
        edits=(edit(source, module.path, [(*source.span(wrong[0]), f"{quote}{case.environment}{quote}")]),),
    )


FIXERS = {"backend-init-enabled": enable}
