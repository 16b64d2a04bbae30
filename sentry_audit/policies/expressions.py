"""Shapes of JavaScript's expressions that texts are built with: calls of methods, wrappers, names that change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.javascript.syntax import text_of

if TYPE_CHECKING:
    from sentry_audit.javascript.syntax import Source

#: Nodes around an expression that leave its value as it is.
WRAPPED = frozenset(
    {"parenthesized_expression", "as_expression", "satisfies_expression", "non_null_expression", "await_expression"}
)
#: Methods that leave a text, or a list, as it is for our purposes.
SAME = frozenset({"trim", "toString", "replace", "replaceAll", "filter", "flat", "sort", "freeze", "values"})


def is_changed(name: str, *sources: Source) -> bool:
    """Whether what a name stands for is added to, or given anew, after it was defined."""
    pattern = rf"(?<![\w.]){re.escape(name)}(\s*\+?=(?![=>])|[^\s;=]*\.(push|unshift)\(|\.[\w]+\s*=(?!=)|\[[^\]\n]+\]\s*=(?!=))"
    line = re.compile(rf"^\s*(?:if\s*\([^\n]*\)\s*\{{?\s*)?{pattern}", re.MULTILINE)
    return any(line.search(source.text) for source in sources)


def method_of(call: Any) -> tuple[Any, str, list[Any]]:
    """(the object whose method is called, the method, the arguments); no object for plain calls."""
    function, given = call.child_by_field_name("function"), call.child_by_field_name("arguments")
    arguments = [item for item in given.named_children if item.type != "comment"] if given is not None else []
    if function is not None and function.type == "member_expression":
        return function.child_by_field_name("object"), text_of(function.child_by_field_name("property")), arguments
    return None, "", arguments


def entries_of(node: Any) -> Any:
    """The object in ``Object.entries(object)``, filtered or not; None if ``node`` is nothing of the sort."""
    while node is not None and node.type == "call_expression":
        owner, method, arguments = method_of(node)
        if owner is not None and text_of(owner) == "Object" and method == "entries" and arguments:
            return arguments[0]
        node = owner if method in SAME else None
    return None
