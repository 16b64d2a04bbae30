"""The DSN that init is given, and DSNs that stand in code: read from a variable."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit import dsn
from sentry_audit.facts import ConfigClass, Dsn, DsnArgument
from sentry_audit.fixers._code import analysed, edit, node_at, source_of, without_argument
from sentry_audit.fixers._settings import Held
from sentry_audit.fixers._style import nullable, reading
from sentry_audit.fixers.settings_filling import filled
from sentry_audit.fixing import Change, Refusal
from sentry_audit.python.config import DSN_FIELD
from sentry_audit.python.settings import ancestry
from sentry_audit.python.values import ClassRef, Scope

if TYPE_CHECKING:
    from sentry_audit.fixers._source import Source, Splice
    from sentry_audit.fixing import Case
    from sentry_audit.python.analysis import Reached
    from sentry_audit.python.module import Module

_NAME = "SENTRY_DSN"


def resolve(case: Case) -> Change | Refusal:
    """A DSN for init: the settings field loaded, or what is empty read from SENTRY_DSN."""
    code = analysed(case)
    fact = next((item for item in case.bad if isinstance(item, DsnArgument)), None)
    for item in code.reached:
        if fact is None or item.init.evidence not in fact.evidence or "dsn" not in item.init.options:
            continue
        made = field_of(case, item) or _empty(case, item)
        if made is not None:
            return made
    why = fact.dead_end if fact is not None else "init gets none"
    return Refusal(
        reason=f"{why}; how it is meant to be filled is not certain",
        commands=(f'dsn=os.environ.get("{_NAME}"),',),
    )


def field_of(case: Case, item: Reached) -> Change | Refusal | None:
    """The settings field that init's DSN is read from, filled; None where it is read from none."""
    expression, scope = item.init.options["dsn"]
    resolver = analysed(case).resolver
    bindings = item.bindings[0] if item.bindings else {}
    for node in ast.walk(expression):
        if isinstance(node, ast.Attribute) and DSN_FIELD.search(node.attr):
            base = resolver.value(node.value, Scope(scope.module, bindings, scope.function))
            for leaf in base.leaves():
                if leaf.kind in {"instance", "class"} and leaf.cls is not None:
                    return _filled(case, leaf.cls, node.attr)
    return None


def _filled(case: Case, ref: ClassRef, field: str) -> Change | Refusal:
    """By the settings class's own fact where it has one: it knows what nothing fills."""
    fact = next(
        (item for item in case.facts if isinstance(item, ConfigClass) and item.name == ref.node.name and item.unmapped),
        None,
    )
    if fact is not None and field not in fact.unmapped:
        return Refusal(reason=f"{fact.unmapped[0]}: the class that takes over has no DSN")
    return filled(case, Held(ref, ancestry(analysed(case).resolver, ref)), field)


def _empty(case: Case, item: Reached) -> Change | None:
    """An empty text or None, read from the variable where it stands."""
    value = item.option("dsn", analysed(case).resolver)
    for place in reversed(value.trail if value is not None else ()):
        module = case.program.module(place.path) if place.path else None
        node = node_at(module, place, ast.Constant) if module is not None else None
        if module is None or not isinstance(node, ast.Constant) or node.value not in (None, ""):
            continue
        if isinstance(module.parents.get(node), ast.Call | ast.BoolOp | ast.IfExp):
            continue
        text, imports = reading(case, module, _NAME)
        source = source_of(module)
        return Change(
            summary=f"will read the DSN from {_NAME} in {module.path}",
            edits=(edit(source, module.path, [(*source.span(node), text), *imports]),),
        )
    return None


def keep_out(case: Case) -> Change | Refusal:
    """A DSN that stands in code, read from SENTRY_DSN."""
    fact = next((item for item in case.bad if isinstance(item, Dsn)), None)
    place = fact.evidence[0] if fact is not None and fact.evidence else None
    if fact is None or place is None or not place.path:
        return Refusal(reason="where the DSN stands was not found")
    if not place.path.endswith(".py"):
        return Refusal(
            reason=(
                f"{place} holds {fact.shown}: put it into the secret that deployments read, and take it out of the file; "
                "whoever reads this file now would have none"
            ),
            commands=(f"git rm --cached {place.path}",) if ".env" in place.path else (),
        )
    module = case.program.module(place.path)
    node = _literal(module, place.line or 0, fact.fingerprint) if module is not None else None
    if module is None or node is None:
        return Refusal(reason=f"{place}: the DSN is part of a longer text")
    source = source_of(module)
    splices = _read(case, source, module, node)
    if splices is None:
        return Refusal(
            reason=f"{place}: how this value is used is not certain; read it from {_NAME}",
            commands=(f'os.environ.get("{_NAME}")',),
        )
    return Change(
        summary=f"will read the DSN from {_NAME} in {place.path}: set it where this runs before you deploy",
        edits=(edit(source, module.path, splices),),
    )


def _literal(module: Module, line: int, fingerprint: str) -> ast.Constant | None:
    """The text on a line that is that DSN and nothing else."""
    for node in module.nodes:
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.lineno == line == node.end_lineno
            and dsn.looks_like_dsn(node.value)
            and dsn.parse(node.value).fingerprint == fingerprint
        ):
            return node
    return None


def _read(case: Case, source: Source, module: Module, node: ast.Constant) -> list[Splice] | None:
    parent = module.parents.get(node)
    if isinstance(parent, ast.Call) and node in parent.args[1:] and _is_getenv(module, parent):
        return [without_argument(source, parent, node)]
    if isinstance(parent, ast.keyword) and parent.arg == "default":
        call = module.parents.get(parent)
        return [(*source.span(node), "None")] if isinstance(call, ast.Call) else None
    if isinstance(parent, ast.AnnAssign) and isinstance(owner := module.parents.get(parent), ast.ClassDef):
        family = ancestry(analysed(case).resolver, ClassRef(module, owner))
        if family.reads_environment:
            annotation = source.written(parent.annotation)
            kept = "None" in annotation or "Optional" in annotation
            changed: list[Splice] = [(*source.span(node), "None")]
            return changed if kept else [*changed, (*source.span(parent.annotation), nullable(source, annotation))]
    if isinstance(parent, ast.Assign | ast.AnnAssign | ast.keyword) or (
        isinstance(parent, ast.Call) and parent.args and parent.args[0] is node and len(parent.args) == 1
    ):
        text, imports = reading(case, module, _NAME)
        return [(*source.span(node), text), *imports]
    return None


def _is_getenv(module: Module, call: ast.Call) -> bool:
    return module.qualify(call.func) in {"os.getenv", "os.environ.get", "environ.get"}


def copy_again(case: Case) -> Change | Refusal:
    """Nobody but Sentry knows the right DSN."""
    fact = next((item for item in case.bad if isinstance(item, Dsn)), None)
    place = f"{fact.evidence[0]}: " if fact is not None and fact.evidence else ""
    what = f"the DSN {fact.shown} cannot work: {fact.problem}" if fact is not None else case.finding.message
    return Refusal(
        reason=f"{place}{what}; copy it again from the project's settings in Sentry, Client Keys (DSN), without quotes or blanks"
    )


FIXERS = {"backend-dsn-resolves": resolve, "dsn-hardcoded": keep_out, "dsn-format": copy_again}
#: The component's ecosystem that these fixers are for: some of the checks judge front ends too.
ECOSYSTEM = "pypi"
