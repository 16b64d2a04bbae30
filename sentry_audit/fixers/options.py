"""Options of ``sentry_sdk.init`` that do not do what they were written for: taken out, or made to."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.facts import Integrations, SampleRate, SdkSymbol
from sentry_audit.fixers import _imports
from sentry_audit.fixers._code import (
    analysed,
    edit,
    node_at,
    own_module,
    reached_at,
    source_of,
    with_argument,
    without_argument,
    without_element,
    without_entry,
)
from sentry_audit.fixing import Change, Refusal
from sentry_audit.python.integrations import OWN_INTEGRATION, PACKAGE

if TYPE_CHECKING:
    from sentry_audit.fixers._source import Source, Splice
    from sentry_audit.fixing import Case
    from sentry_audit.python.analysis import Reached
    from sentry_audit.python.module import Module
    from sentry_audit.python.values import Value

#: What keeps something from being sent is never taken out: without it, it would be sent.
_KEEPS_BACK = frozenset(
    {"event_scrubber", "before_send", "before_send_transaction", "before_send_log", "before_send_span", "before_breadcrumb",
     "send_default_pii", "include_local_variables", "include_source_context", "max_request_body_size", "data_collection"}
)  # fmt: skip


def compatible(case: Case) -> Change | Refusal:
    """Take out what the version that resolves does not know: a keyword, a listed integration, a name nobody uses."""
    fact = next((item for item in case.bad if isinstance(item, SdkSymbol)), None)
    place = fact.evidence[0] if fact is not None and fact.evidence else None
    module = case.program.module(place.path) if place is not None and place.path else None
    if fact is None or place is None or module is None:
        return Refusal(reason="where it is used was not found")
    require = Refusal(
        reason=f"{place}: {fact.problem}; it does not stand there as a keyword or an element on its own",
        commands=("pip install --upgrade 'sentry-sdk<3'",),
    )
    if fact.name in _KEEPS_BACK:
        return Refusal(
            reason=f"{place}: {fact.problem}; without it more would be sent, so require a version that has it",
            commands=require.commands,
        )
    source = source_of(module)
    if fact.name.startswith(PACKAGE):
        splices = _without_integration(source, module, node_at(module, place, ast.Call, ast.Name, ast.Attribute))
    elif isinstance(statement := node_at(module, place, ast.ImportFrom), ast.ImportFrom):
        splices = _without_import(source, module, statement, fact.name)
    else:
        splices = _without_value(source, module, node_at(module, place, ast.expr))
    if not splices:
        return require
    what = fact.name.rpartition(".")[2] if fact.name.startswith(PACKAGE) else fact.name
    return Change(
        summary=f"will remove {what} in {module.path}: sentry-sdk {fact.version} does not have it",
        edits=(edit(source, module.path, splices),),
    )


def _without_value(source: Source, module: Module, value: ast.AST | None) -> list[Splice]:
    """The keyword, or the entry of a dict, with this value."""
    parent = module.parents.get(value) if value is not None else None
    if isinstance(parent, ast.keyword) and parent.arg is not None:
        call = module.parents.get(parent)
        return [without_argument(source, call, parent)] if isinstance(call, ast.Call) else []
    if isinstance(parent, ast.Dict) and isinstance(value, ast.expr) and value in parent.values:
        return [without_entry(source, parent, value)]
    return []


def _without_integration(source: Source, module: Module, node: ast.AST | None) -> list[Splice]:
    """A listed integration, with the import that only it uses: importing what is not there raises as well."""
    parent = module.parents.get(node) if node is not None else None
    if not isinstance(parent, ast.List | ast.Tuple | ast.Set) or not isinstance(node, ast.expr) or len(parent.elts) < 1:
        return []
    splices = [without_element(source, parent, node)]
    name = node.func if isinstance(node, ast.Call) else node
    if isinstance(name, ast.Name):
        imports = [item for item in module.nodes if isinstance(item, ast.ImportFrom)]
        for item in imports:
            if any((alias.asname or alias.name) == name.id for alias in item.names):
                used = [each for each in module.nodes if isinstance(each, ast.Name) and each.id == name.id]
                if len(used) > 1:
                    return []
                splices += _dropped(source, module, item, name.id)
    return splices


def _without_import(source: Source, module: Module, statement: ast.ImportFrom, name: str) -> list[Splice]:
    alias = next((item for item in statement.names if item.name == name), None)
    if alias is None:
        return []
    bound = alias.asname or alias.name
    if any(isinstance(item, ast.Name) and item.id == bound for item in module.nodes):
        return []
    return _dropped(source, module, statement, bound)


def _dropped(source: Source, module: Module, statement: ast.ImportFrom, bound: str) -> list[Splice]:
    """One name out of an import statement; the whole statement if it imports nothing else."""
    alias = next(item for item in statement.names if (item.asname or item.name) == bound)
    if len(statement.names) > 1:
        spans = [source.span(item) for item in statement.names]
        first, last = min(spans), max(spans)
        bracket = source.text.rfind("(", source.span(statement)[0], first[0])
        within = (bracket + 1, source.span(statement)[1] - 1) if bracket >= 0 else (first[0], last[1])
        return [source.without(source.span(alias), spans, within)]
    parent = module.parents.get(statement)
    if isinstance(getattr(parent, "body", None), list) and len(parent.body) == 1:  # type: ignore[union-attr]
        return []
    return [(*source.lines_of(statement), "")]


def effective(case: Case) -> Change | Refusal:
    """A rate that is a number between 0 and 1: read with float(), clamped, or left to its default."""
    fact = next((item for item in case.bad if isinstance(item, SampleRate)), None)
    if fact is None or fact.option == "traces_sampler":
        return Refusal(reason=f"{fact.problem if fact else 'no rate'}: only its author knows which rate is meant")
    for item in reached_at(case, ()):
        if fact.option not in item.init.options:
            continue
        expression, scope = item.init.options[fact.option]
        if node_at(scope.module, fact.evidence[0], ast.expr) is not expression:
            continue
        source = source_of(scope.module)
        value = item.option(fact.option, analysed(case).resolver)
        made = _rate(source, scope.module, fact.option, expression, value)
        if isinstance(made, Refusal):
            return made
        splice, what = made
        return Change(
            summary=f"will {what} in {scope.module.path}", safety="safe" if "read" in what else "review",
            edits=(edit(source, scope.module.path, [splice]),),
        )  # fmt: skip
    return Refusal(reason=f"where {fact.option} is given to init was not found")


def _rate(
    source: Source, module: Module, option: str, expression: ast.expr, value: Value | None
) -> tuple[Splice, str] | Refusal:
    assert value is not None
    number = _number(expression)
    if number is not None:
        if option == "sample_rate" and number == 0:
            removed = _without_value(source, module, expression)
            return (
                (removed[0], "leave sample_rate at 1.0, its default") if removed else _asks(option, source, expression)
            )
        if 1 < number <= 2 or number == 100:
            return (*source.span(expression), "1.0"), f"set {option} to 1.0"
        return _asks(option, source, expression)
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        try:
            rate = float(expression.value)
        except ValueError:
            return _asks(option, source, expression)
        if not 0 <= rate <= 1:
            return _asks(option, source, expression)
        return (*source.span(expression), str(rate)), f"read {option} as the number {rate}"
    for leaf in value.leaves():
        literal = leaf.default.literal if leaf.default is not None and leaf.default.kind == "literal" else leaf.literal
        if isinstance(literal, str) and literal and not _is_rate(literal):
            return _asks(option, source, expression)
        if isinstance(literal, int | float) and not 0 <= literal <= 1:
            return _asks(option, source, expression)
    text = source.written(expression)
    if any(map(_may_be_nothing, value.leaves())) and not isinstance(expression, ast.Subscript):
        text = f"({text}) or 0" if isinstance(expression, ast.IfExp | ast.Lambda | ast.NamedExpr) else f"{text} or 0"
    return (*source.span(expression), f"float({text})"), f"read {option} with float()"


def _asks(option: str, source: Source, expression: ast.expr) -> Refusal:
    return Refusal(
        reason=f"which rate between 0.0 and 1.0 is meant by {option}={source.written(expression)} is not certain",
        commands=(f"{option}=0.1,  # of ten, one",),
    )


def _number(node: ast.expr) -> float | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and (inner := _number(node.operand)) is not None:
        return -inner
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.value
    return None


def _is_rate(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _may_be_nothing(leaf: Value) -> bool:
    """Whether the value may be None or an empty text, of which float() makes nothing."""
    if leaf.kind == "env":
        default = leaf.default
        return default is None or (default.kind in {"literal", "unfilled"} and default.literal in (None, ""))
    return leaf.kind == "unfilled" or (leaf.kind == "literal" and leaf.literal in (None, ""))


def capture(case: Case) -> Change | Refusal:
    """The framework's own integration back on: without the keyword that switched it off or narrowed it."""
    fact = next((item for item in case.bad if isinstance(item, Integrations)), None)
    if fact is None:
        return Refusal(reason="what switches the integration off was not found")
    for item in reached_at(case, fact.evidence):
        made = _captures(case, item, fact)
        if made is not None:
            return made
    return Refusal(reason=f"{fact.problem}; it is not written as a plain keyword, so take it out by hand")


def _captures(case: Case, item: Reached, fact: Integrations) -> Change | None:
    init, problem = item.init, fact.problem
    module = init.module
    source = source_of(module)
    splices: list[Splice] = []
    if problem.startswith("default_integrations"):
        splices, what = _constant(source, module, item, "default_integrations"), "default_integrations=False"
    elif problem.startswith("auto_enabling_integrations"):
        return _listed(case, item, source)
    elif problem.startswith("disabled_integrations"):
        splices, what = _undisabled(source, item, fact.framework), "disabled_integrations"
    else:
        place = fact.evidence[0]
        other = case.program.module(place.path) if place.path else None
        if other is None:
            return None
        module, source = other, source_of(other)
        splices, what = _without_value(source, module, node_at(module, place, ast.expr)), "failed_request_status_codes"
    if not splices:
        return None
    summary = f"will take {what} out in {module.path}: unhandled errors are captured again"
    return Change(summary=summary, edits=(edit(source, module.path, splices),))


def _constant(source: Source, module: Module, item: Reached, option: str) -> list[Splice]:
    keyword = next((each for each in item.init.call.keywords if each.arg == option), None)
    if keyword is None or not isinstance(keyword.value, ast.Constant):
        return []
    return _without_value(source, module, keyword.value)


def _undisabled(source: Source, item: Reached, framework: str) -> list[Splice]:
    keyword = next((each for each in item.init.call.keywords if each.arg == "disabled_integrations"), None)
    if keyword is None or not isinstance(keyword.value, ast.List | ast.Tuple | ast.Set):
        return []
    own = OWN_INTEGRATION.get(framework, ())
    module, elements = item.init.module, keyword.value.elts
    off = [
        each
        for each in elements
        if module.qualify(each.func if isinstance(each, ast.Call) else each).removeprefix(PACKAGE) in own
    ]
    if len(off) == len(elements):
        return [without_argument(source, item.init.call, keyword)]
    return [without_element(source, keyword.value, off[0])] if len(off) == 1 else []


def _listed(case: Case, item: Reached, source: Source) -> Change | None:
    """The framework's integrations, listed: where nothing is switched on by itself, those that are named are."""
    module, call = item.init.module, item.init.call
    own = OWN_INTEGRATION.get(case.component.framework, ())
    classes = [name.rpartition(".")[2] for name in reversed(own)]
    keyword = next((each for each in call.keywords if each.arg == "integrations"), None)
    if keyword is None:
        splices = [with_argument(source, call, f"integrations=[{', '.join(f'{name}()' for name in classes)}]")]
    elif isinstance(keyword.value, ast.List):
        spans = [source.span(each) for each in keyword.value.elts]
        text = ", ".join(f"{name}()" for name in classes)
        splices = [source.appended(text, spans, source.brackets(keyword.value))]
    else:
        return None
    for name in sorted(own):
        path, _, what = (PACKAGE + name).rpartition(".")
        splices += _imports.added(source, f"from {path} import {what}", own_module(case, module.path))
    return Change(
        summary=f"will list {' and '.join(classes)} in {module.path}", edits=(edit(source, module.path, splices),)
    )


FIXERS = {
    "backend-sdk-compatible": compatible,
    "sample-rates-effective": effective,
    "backend-framework-integration": capture,
}
#: The component's ecosystem that these fixers are for: some of the checks judge front ends too.
ECOSYSTEM = "pypi"
