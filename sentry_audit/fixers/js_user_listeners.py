"""Listeners that Firebase and Supabase call with who signed in, and with null after signing out: once on start, too.

Sources: firebase.google.com/docs/auth/web/manage-users (``onAuthStateChanged``), supabase.com/docs/reference/javascript
(``onAuthStateChange``, INITIAL_SESSION).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.fixers.js_imports import Imports
from sentry_audit.fixers.js_user_calls import running, setter, statement
from sentry_audit.fixers.js_web import Patch
from sentry_audit.javascript.syntax import FUNCTIONS, text_of, walk

if TYPE_CHECKING:
    from sentry_audit.fixing import Edit
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.syntax import Source

#: (how the listener's function is called, which parameter tells who it is, what of it is the id).
_LISTENERS = {"onAuthStateChanged": (0, "uid"), "onAuthStateChange": (1, "user.id")}


def listener(analysis: Analysis) -> list[Edit]:
    """Call ``setUser`` in the listener that runs closest to the front end's entry; empty where there is none."""
    for source in running(analysis, tuple(_LISTENERS)):
        for node in walk(source.root):
            name = _called(node, source)
            edit = _told(analysis, source, node, name) if name else None
            if edit is not None:
                return [edit]
    return []


def _called(node: Any, source: Source) -> str:
    """Which listener a node registers; ``""`` if it is another call."""
    function = node.child_by_field_name("function") if node.type == "call_expression" else None
    if function is None:
        return ""
    if function.type == "identifier":
        known = source.imports.get(text_of(function))
        ours = known is not None and known.module in {"firebase/auth", "@firebase/auth"}
        return known.name if ours and known is not None and known.name in _LISTENERS else ""
    name = text_of(function.child_by_field_name("property")) if function.type == "member_expression" else ""
    owner = text_of(function.child_by_field_name("object")) if name else ""
    if name == "onAuthStateChange":
        return name if re.search(r"(^|\.)auth$", owner) else ""
    return name if name in _LISTENERS and re.search(r"\bauth(\(\))?$", owner, re.IGNORECASE) else ""


def _told(analysis: Analysis, source: Source, call: Any, name: str) -> Edit | None:
    at, key = _LISTENERS[name]
    given = [node for node in call.child_by_field_name("arguments").named_children if node.type != "comment"]
    by_name = call.child_by_field_name("function").type == "identifier"
    callback = given[1 if by_name else 0] if len(given) > (1 if by_name else 0) else None
    if callback is None:
        return None
    patch = Patch(source)
    imports = Imports(patch)
    if callback.type == "identifier" and at == 0:
        told = statement(patch, setter(imports, analysis), "user", key)
        step = patch.indent_of(call)
        rows = ["(user) => {", f"{step}{patch.style.indent}{told}",
                f"{step}{patch.style.indent}{text_of(callback)}(user){patch.style.semicolon}", f"{step}}}"]  # fmt: skip
        patch.replace(callback, patch.style.end.join(rows))
    elif callback.type in FUNCTIONS and (subject := _parameter(callback, at)):
        _first(patch, callback, statement(patch, setter(imports, analysis), subject, key))
    else:
        return None
    imports.flush()
    return patch.edit()


def _parameter(function: Any, at: int) -> str:
    """The name of a parameter; ``""`` where it is none, or a pattern."""
    single = function.child_by_field_name("parameter")
    if single is not None:
        return text_of(single) if at == 0 else ""
    listed = function.child_by_field_name("parameters")
    names = [node for node in listed.named_children if node.type != "comment"]
    name = re.split(r"[?:=]", text_of(names[at]))[0].strip() if len(names) > at else ""
    return name if re.fullmatch(r"[A-Za-z$][\w$]*", name) else ""


def _first(patch: Patch, function: Any, row: str) -> None:
    """Make ``row`` the first statement of a function."""
    body, style = function.child_by_field_name("body"), patch.style
    if body.type != "statement_block":
        step = patch.indent_of(function)
        inner = f"{style.end}{step}{style.indent}"
        patch.replace(body, f"{{{inner}{row}{inner}{text_of(body)}{style.semicolon}{style.end}{step}}}")
        return
    children = body.named_children
    if children and children[0].start_point[0] > body.start_point[0]:
        patch.insert(body.start_byte + 1, f"{style.end}{patch.indent_of(children[0])}{row}")
    elif children:
        patch.insert(body.start_byte + 1, f" {row}")
    else:
        patch.replace(
            body, f"{{{style.end}{patch.indent_of(function)}{style.indent}{row}{style.end}{patch.indent_of(function)}}}"
        )
