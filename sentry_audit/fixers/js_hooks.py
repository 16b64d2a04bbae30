"""Hooks of a browser's init that drop events: the event returned, and read with care."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import Hook
from sentry_audit.fixers.js_web import NotClear, Patch, analysis_of, answered, bad_of, refusing
from sentry_audit.javascript.hooks import _DIRECT, function_of, parameter_of
from sentry_audit.javascript.syntax import line_of, options_of, text_of, walk

if TYPE_CHECKING:
    from sentry_audit.fixing import Case, Change
    from sentry_audit.javascript.analysis import Analysis


@refusing
def keep(case: Case) -> Change:
    """Return the event at the end of a hook that returns nothing; ask whether what it may lack is there."""
    analysis = analysis_of(case)
    patches: dict[str, Patch] = {}
    for fact in bad_of(case):
        assert isinstance(fact, Hook)
        source, function = _found(analysis, fact)
        patch = patches.setdefault(source.path, Patch(source))
        if "never returns" in fact.problem:
            _returned(patch, function)
        elif "throws on events" in fact.problem:
            _asked(patch, function)
        else:
            raise NotClear(
                f"{fact.option}: {fact.problem}: which events it means to drop is yours to say", "return event;"
            )
    return answered(
        f"will let events survive the hooks in {', '.join(patches)}",
        [item.edit() for item in patches.values()],
        "review",
    )


def _found(analysis: Analysis, fact: Hook) -> tuple[Any, Any]:
    for item in analysis.loaded or analysis.inits:
        node = (options_of(item.call) or ({}, True))[0].get(fact.option)
        if node is not None and (item.source.path, line_of(node)) == (fact.evidence[0].path, fact.evidence[0].line):
            if (found := function_of(analysis, node, item.source)) is not None:
                return found
    raise NotClear(f"{fact.option} was not found again")


def _returned(patch: Patch, function: Any) -> None:
    name, body = parameter_of(function), function.child_by_field_name("body")
    children = body.named_children
    if not re.fullmatch(r"[\w$]+", name):
        raise NotClear(f"what the hook in line {line_of(function)} takes was not followed", "return event;")
    if any(node.type == "return_statement" for node in walk(body)):
        raise NotClear(
            f"the hook in line {line_of(function)} returns nothing on some paths, perhaps on purpose", f"return {name};"
        )
    style = patch.style
    last = children[-1] if children else None
    if last is None or last.start_point[0] == body.start_point[0]:
        patch.insert(
            body.end_byte - 1,
            f"{'' if patch.bytes[body.end_byte - 2 : body.end_byte - 1].isspace() else ' '}return {name}; ",
        )
    else:
        patch.insert(last.end_byte, f"{style.end}{patch.indent_of(last)}return {name}{style.semicolon}")


def _asked(patch: Patch, function: Any) -> None:
    """``event.request.url`` → ``event.request?.url``; what is assigned to cannot be asked so."""
    name, body = parameter_of(function), function.child_by_field_name("body")
    done: set[int] = set()
    for node in walk(body):
        if node.type not in {"member_expression", "subscript_expression"}:
            continue
        owner = node.child_by_field_name("object")
        plain = owner.child_by_field_name("expression") if owner.type == "non_null_expression" else owner
        plain = owner.named_children[0] if owner.type == "non_null_expression" else plain
        match = _DIRECT.match(text_of(node))
        if match is None or match[1] != name or text_of(plain) != f"{name}.{match[2]}" or owner.end_byte in done:
            continue
        outer = node
        while outer.parent is not None and outer.parent.type in {"member_expression", "subscript_expression"}:
            outer = outer.parent
        holder = outer.parent
        if holder is not None and "assignment" in holder.type and holder.child_by_field_name("left") == outer:
            raise NotClear(
                f"line {line_of(node)} of {patch.source.path} sets what events may lack",
                f"if ({name}.{match[2]}) {{ … }}",
            )
        done.add(owner.end_byte)
        dotted = patch.bytes[owner.end_byte : owner.end_byte + 1] == b"."
        if owner.type == "non_null_expression":
            patch.cut(owner.end_byte - 1, owner.end_byte)
        patch.insert(owner.end_byte, "?" if dotted else "?.")
    if not done:
        raise NotClear(f"what the hook in line {line_of(function)} reads was not found again")


ECOSYSTEM = "npm"
FIXERS = {"hooks-keep-events": keep}
