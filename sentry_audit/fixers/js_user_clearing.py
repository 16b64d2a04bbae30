"""A ``setUser`` that nothing takes back: the other branch of its condition, the end of its effect, the way out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.fixers.js_user_calls import running
from sentry_audit.fixers.js_web import NotClear, Patch
from sentry_audit.javascript.context import set_user_calls
from sentry_audit.javascript.syntax import FUNCTIONS, enclosing_functions, line_of, name_of, text_of, walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.fixing import Edit
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.syntax import Source
    from sentry_audit.model import Evidence

_OUT = re.compile(r"^(handle|on|do|perform)?_?(log|sign)_?(out|off)(User|Handler|Request)?$", re.IGNORECASE)
_OPTIONAL = re.compile(r"([\w$]+)\?\.")


def cleared(analysis: Analysis, places: Sequence[Evidence]) -> Edit:
    """The file in which the user is forgotten. Raises NotClear where no place for it is known."""
    first: Evidence | None = None
    for here in places:
        source = analysis.source(here.path or "")
        found = set_user_calls(source) if source is not None else ()
        for call in found:
            if source is not None and line_of(call) == here.line:
                first = first or here
                if (
                    edit := _other_branch(source, call) or _other_value(source, call) or _end(source, call)
                ) is not None:
                    return edit
                if (edit := _way_out(analysis, source, call)) is not None:
                    return edit
    where = f"{first} sets" if first is not None else "the application sets"
    raise NotClear(
        f"{where} the user, and which code signs out is known to the application only",
        "Sentry.setUser(null); // after signing out",
    )


def _name(call: Any) -> str:
    return text_of(call.child_by_field_name("function"))


def _effect_of(call: Any) -> Any:
    """The function of the effect that a call stands in directly; None if it stands in none."""
    function = next(iter(enclosing_functions(call)), None)
    listed = function.parent if function is not None else None
    owner = listed.parent if listed is not None and listed.type == "arguments" else None
    hook = (
        text_of(owner.child_by_field_name("function")) if owner is not None and owner.type == "call_expression" else ""
    )
    return function if re.match(r"(React\.)?use(Layout)?Effect$", hook) else None


def _other_branch(source: Source, call: Any) -> Edit | None:
    """``if (user) { setUser(…) }`` in an effect: nobody's where it does not hold."""
    statement = call.parent
    block = statement.parent if statement.type == "expression_statement" else None
    condition = block.parent if block is not None and block.type == "statement_block" else block
    if _effect_of(call) is None or condition is None or condition.type != "if_statement":
        return None
    if condition.child_by_field_name("alternative") is not None or condition.parent.type == "else_clause":
        return None
    if condition.child_by_field_name("consequence") != block and block != condition:
        return None
    patch = Patch(source)
    style, step = patch.style, patch.indent_of(condition)
    clear = f"{_name(call)}(null){style.semicolon}"
    consequence = condition.child_by_field_name("consequence")
    if consequence.type == "statement_block":
        body = f"{{{style.end}{step}{style.indent}{clear}{style.end}{step}}}"
        patch.insert(condition.end_byte, f" else {body}")
    else:
        patch.insert(condition.end_byte, f"{style.end}{step}else {clear}")
    return patch.edit()


def _other_value(source: Source, call: Any) -> Edit | None:
    """``setUser({ id: user?.id })`` in an effect: one user, or none."""
    value = call.child_by_field_name("arguments").named_children[0]
    asked = set(_OPTIONAL.findall(text_of(value)))
    if _effect_of(call) is None or value.type != "object" or len(asked) != 1:
        return None
    patch = Patch(source)
    subject = asked.pop()
    patch.insert(value.start_byte, f"{subject} ? ")
    patch.insert(value.end_byte, " : null")
    return patch.edit()


def _end(source: Source, call: Any) -> Edit | None:
    """An effect that always sets the user: its cleanup takes it back, when the component goes or the user is another."""
    function = _effect_of(call)
    body = function.child_by_field_name("body") if function is not None else None
    if body is None or call.parent.parent != body or any(node.type == "return_statement" for node in walk(body)):
        return None
    patch = Patch(source)
    last, style = body.named_children[-1], patch.style
    if last.start_point[0] == body.start_point[0]:
        return None
    step = patch.indent_of(last)
    rows = ["return () => {", f"{style.indent}{_name(call)}(null){style.semicolon}", f"}}{style.semicolon}"]
    patch.insert(last.end_byte, style.end + style.end.join(f"{step}{row}" for row in rows))
    return patch.edit()


def _way_out(analysis: Analysis, source: Source, call: Any) -> Edit | None:
    """The only function that signs out, of the same file: what it does first is to forget the user."""
    outs = [node for node in walk(source.root) if node.type in FUNCTIONS and _OUT.match(_named(node))]
    if len(outs) != 1:
        return None
    if source.path not in {item.path for item in running(analysis, ("setUser",))}:
        return None
    body = outs[0].child_by_field_name("body")
    if body is None or body.type != "statement_block" or not body.named_children:
        return None
    first = body.named_children[0]
    if first.start_point[0] == body.start_point[0]:
        return None
    patch = Patch(source)
    row = f"{_name(call)}(null){patch.style.semicolon}"
    patch.insert(body.start_byte + 1, f"{patch.style.end}{patch.indent_of(first)}{row}")
    return patch.edit()


def _named(function: Any) -> str:
    """The name of a function, or of the entry of an object that it is."""
    parent = function.parent
    if parent is not None and parent.type == "pair":
        return text_of(parent.child_by_field_name("key"))
    return name_of(function)
