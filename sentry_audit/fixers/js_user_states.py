"""Who signed in, as an application keeps it: the state of a context's provider, or a store of zustand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.fixers.js_imports import Imports
from sentry_audit.fixers.js_user_calls import component_name, id_of, running, setter, statement
from sentry_audit.fixers.js_web import NotClear, Patch
from sentry_audit.javascript.syntax import FUNCTIONS, enclosing_functions, entries, text_of, walk

if TYPE_CHECKING:
    from sentry_audit.fixing import Edit
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.syntax import Source

#: What the one who signed in is called.
_USER = re.compile(r"^(user|currentUser|authUser|authenticatedUser|loggedInUser)$")
_FILE = re.compile(r"auth|user|session|account|login", re.IGNORECASE)
_MUTATES = re.compile(
    r"^(log|sign)_?(in|out)$|^(set|clear|reset|remove)_?(Current|Auth)?_?(User|Auth|Session)$", re.IGNORECASE
)


def context(analysis: Analysis) -> list[Edit]:
    """Add an effect to the provider of a context that keeps the user in a state; empty where there is none."""
    for source in running(analysis, ("createContext",)):
        if not _FILE.search(source.path):
            continue
        for node in walk(source.root):
            found = _state(node)
            if found is None:
                continue
            name, annotation = found
            function = next(iter(enclosing_functions(node)), None)
            key = id_of(analysis, source, name, annotation) if function is not None else ""
            if key and component_name(function) and "Provider" in text_of(function):
                return [_effect(analysis, source, function, name, key)]
    return []


def _state(node: Any) -> tuple[str, str] | None:
    """(the name, its type as written) of a ``useState`` that keeps a user."""
    if node.type != "variable_declarator":
        return None
    pattern, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    if pattern.type != "array_pattern" or value is None or value.type != "call_expression":
        return None
    if not re.match(r"(React\.)?useState$", text_of(value.child_by_field_name("function"))):
        return None
    name = text_of(pattern.named_children[0]) if pattern.named_children else ""
    types = next((part for part in value.children if part.type == "type_arguments"), None)
    return (name, text_of(types)) if _USER.match(name) else None


def _effect(analysis: Analysis, source: Source, function: Any, name: str, key: str) -> Edit:
    """``useEffect`` behind the states of a component."""
    patch = Patch(source)
    imports = Imports(patch)
    body = function.child_by_field_name("body")
    states = [
        node for node in body.named_children if "useState" in text_of(node) and node.type == "lexical_declaration"
    ]
    last, style = states[-1], patch.style
    step = patch.indent_of(last)
    call = setter(imports, analysis)
    rows = [
        f"{imports.hook('useEffect')}(() => {{",
        f"{style.indent}{statement(patch, call, name, key)}",
        f"}}, [{name}]){style.semicolon}",
    ]
    imports.flush()
    patch.insert(last.end_byte, style.end * 2 + style.end.join(f"{step}{row}" for row in rows))
    return patch.edit()


# --- stores -----------------------------------------------------------------------------------------------


def store(analysis: Analysis) -> list[Edit]:
    """Listen to a store of zustand that keeps the user; empty where there is none."""
    for source in running(analysis, ("zustand",)):
        if not any(item.module == "zustand" and item.name in {"create", "default"} for item in source.imports.values()):
            continue
        for name, value in source.constants.items():
            user = _kept(value)
            if user and value.parent.parent.parent.type in {"program", "export_statement"}:
                types = re.search(r"(?<![\w$])" + re.escape(user) + r"\??\s*:\s*([^;\n,=()]+)", source.text)
                key = id_of(analysis, source, user, types[1] if types else "")
                if key and not re.search(r"\bidentify\b", source.text):
                    return [_listens(analysis, source, name, value, user, key)]
    return []


def _kept(value: Any) -> str:
    """The field of a store's state that is the user, where actions of the store set and clear it; ``""`` if none is."""
    if not re.match(r"create\b", text_of(value)):
        return ""
    for node in walk(value):
        if node.type == "object" and node.parent is not None and _is_state(node):
            given = entries(node)[0]
            user = next((key for key in given if _USER.match(key)), "")
            if user and text_of(given[user]) in {"null", "undefined"} and any(map(_MUTATES.match, given)):
                return user
    return ""


def _is_state(node: Any) -> bool:
    parent = node.parent
    while parent is not None and parent.type in {"parenthesized_expression", "as_expression", "satisfies_expression"}:
        parent = parent.parent
    return parent is not None and parent.type in FUNCTIONS


def _listens(analysis: Analysis, source: Source, name: str, value: Any, user: str, key: str) -> Edit:
    """What a store keeps from the last visit is told at once, every change of it afterwards."""
    patch = Patch(source)
    imports = Imports(patch)
    call, style = setter(imports, analysis), patch.style
    typed = f": ReturnType<typeof {name}.getState>" if source.path.endswith((".ts", ".tsx")) else ""
    told = statement(patch, call, user, key)
    rows = [
        "",
        f"function identify({{ {user} }}{typed}) {{",
        f"{style.indent}{told}",
        "}",
        "",
        f"identify({name}.getState()){style.semicolon}",
        f"{name}.subscribe(identify){style.semicolon}",
    ]
    imports.flush()
    outer = value.parent.parent
    outer = outer.parent if outer.parent.type == "export_statement" else outer
    patch.insert(outer.end_byte, style.end + style.end.join(rows))
    return patch.edit()


def redux(analysis: Analysis) -> list[Edit]:
    """Raise NotClear where a slice of Redux keeps the user: reducers may not tell anybody, and its store is shared."""
    for source in running(analysis, ("createSlice",)):
        for node in walk(source.root):
            if node.type != "call_expression" or text_of(node.child_by_field_name("function")) != "createSlice":
                continue
            first = next(iter(node.child_by_field_name("arguments").named_children), None)
            given = entries(first)[0] if first is not None and first.type == "object" else {}
            state, name = given.get("initialState"), text_of(given.get("name")).strip("\"'")
            state = source.constants.get(text_of(state), state)
            kept = entries(state)[0] if state is not None and state.type == "object" else {}
            user = next((key for key in kept if _USER.match(key)), "")
            if user and _FILE.search(name):
                raise NotClear(
                    f"{source.path} keeps the user in a slice of Redux, where reducers may tell nobody: listen to its store",
                    f"store.subscribe(() => {{ const {{ {user} }} = store.getState().{name};",
                    f"  Sentry.setUser({user} ? {{ id: {user}.id }} : null); }});",
                )
    return []
