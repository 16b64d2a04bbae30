"""Components that show an error: ``error.tsx`` of Next.js, ``_error``, routes that ask React Router for it.

Sources: docs.sentry.io/platforms/javascript/guides/nextjs/manual-setup, nextjs.org/docs (error.js),
docs.sentry.io/platforms/javascript/guides/react/features/react-router.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.fixers.js_imports import Imports
from sentry_audit.fixers.js_web import NotClear, Patch, package_of, parsed
from sentry_audit.javascript.syntax import FUNCTIONS, text_of, walk

if TYPE_CHECKING:
    from sentry_audit.fixing import Edit
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.syntax import Source

_ERROR = "Error & { digest?: string }"
_EFFECT = "useEffect(() => {\n  Sentry.captureException(error);\n}, [error]);"


def error_file(analysis: Analysis, path: str) -> Edit:
    """Capture in an effect of the component of ``error.tsx`` or ``global-error.tsx``. Raises NotClear."""
    patch = Patch(parsed(analysis, path))
    imports = Imports(patch)
    function = _component(patch.source)
    if function is None:
        raise NotClear(f"the component that {path} exports is no function that could be edited", *_EFFECT.split("\n"))
    call = imports.of(package_of(analysis), "captureException")
    error = _error(patch, function)
    effect = _effect(function, error)
    statement = f"{call}({error}){patch.style.semicolon}"
    if effect is not None:
        _into(patch, effect, statement)
    else:
        _new_effect(patch, imports, function, statement, error)
    imports.flush()
    return patch.edit()


def route(patch: Patch, imports: Imports, package: str, name: str) -> None:
    """Capture what the component ``name`` gets from ``useRouteError``. Raises NotClear."""
    function = patch.source.functions.get(name)
    declared = _route_error(function) if function is not None else None
    if function is None or declared is None:
        raise NotClear(f"what {name} does with the error of the route was not followed", *_EFFECT.split("\n"))
    statement, error = declared
    call = f"{imports.of(package, 'captureException')}({error}){patch.style.semicolon}"
    effect = _effect(function, error)
    if effect is not None:
        _into(patch, effect, call)
        return
    lead = patch.indent_of(statement)
    rows = _rows(patch, imports, call, error)
    patch.insert(statement.end_byte, patch.style.end + "".join(f"{patch.style.end}{lead}{row}" for row in rows))


def page(analysis: Analysis, path: str) -> Edit:
    """Capture in ``getInitialProps`` of ``pages/_error``. Raises NotClear where there is none."""
    source = parsed(analysis, path)
    for node in walk(source.root):
        if node.type != "assignment_expression" or not text_of(node.child_by_field_name("left")).endswith(
            ".getInitialProps"
        ):
            continue
        function = node.child_by_field_name("right")
        body = function.child_by_field_name("body") if function.type in FUNCTIONS else None
        parameters = function.child_by_field_name("parameters") if body is not None else None
        names = (
            [re.split(r"[:=?]", text_of(item))[0].strip() for item in parameters.named_children] if parameters else []
        )
        if body is None or body.type != "statement_block" or len(names) != 1 or not re.fullmatch(r"[\w$]+", names[0]):
            break
        if not text_of(function).startswith("async"):
            break
        patch = Patch(source)
        imports = Imports(patch)
        call = imports.of(package_of(analysis), "captureUnderscoreErrorException")
        _into(patch, body, f"await {call}({names[0]}){patch.style.semicolon}")
        imports.flush()
        return patch.edit()
    raise NotClear(
        f"{path} has no async getInitialProps(context) that could capture",
        "CustomError.getInitialProps = async (context) => {",
        "  await Sentry.captureUnderscoreErrorException(context);",
        "  return NextError.getInitialProps(context);",
        "};",
    )


def _component(source: Source) -> Any:
    node = source.default
    while node is not None and node.type == "call_expression":
        called = text_of(node.child_by_field_name("function")).rpartition(".")[2]
        given = node.child_by_field_name("arguments").named_children
        node = given[0] if called in {"memo", "observer"} and given else None
    if node is not None and node.type == "identifier":
        node = source.functions.get(text_of(node))
    return node if node is not None and node.type in FUNCTIONS else None


def _error(patch: Patch, function: Any) -> str:
    """How the component writes the error, which it is made to take where it does not yet."""
    listed = function.child_by_field_name("parameters")
    typed = patch.source.path.endswith((".ts", ".tsx"))
    if listed is None:
        return f"{text_of(function.child_by_field_name('parameter'))}.error"
    given = [child for child in listed.named_children if child.type != "comment"]
    if not given:
        patch.insert(listed.start_byte + 1, f"{{ error }}: {{ error: {_ERROR} }}" if typed else "{ error }")
        return "error"
    pattern = given[0].child_by_field_name("pattern") or given[0]
    if pattern.type == "identifier":
        return f"{text_of(pattern)}.error"
    if pattern.type != "object_pattern":
        raise NotClear(f"what the component of {patch.source.path} takes was not followed")
    for child in pattern.named_children:
        if child.type == "shorthand_property_identifier_pattern" and text_of(child) == "error":
            return "error"
        if child.type == "pair_pattern" and text_of(child.child_by_field_name("key")) == "error":
            return text_of(child.child_by_field_name("value"))
    first = next(iter(pattern.named_children), None)
    annotation = given[0].child_by_field_name("type")
    shape = (
        next((item for item in annotation.named_children if item.type == "object_type"), None) if annotation else None
    )
    if first is None or first.type == "rest_pattern" or (typed and annotation is not None and shape is None):
        raise NotClear(f"the component of {patch.source.path} does not take the error", *_EFFECT.split("\n"))
    lined = first.start_point[0] != pattern.start_point[0]
    gap = f"{patch.style.end}{patch.indent_of(first)}" if lined else " "
    patch.insert(first.start_byte, f"error,{gap}")
    if shape is not None and not re.search(r"\berror\??:", text_of(shape)):
        member = shape.named_children[0]
        lined = member.start_point[0] != shape.start_point[0]
        gap = f"{patch.style.end}{patch.indent_of(member)}" if lined else " "
        patch.insert(member.start_byte, f"error: {_ERROR}{patch.style.semicolon or ';'}{gap}")
    return "error"


def _effect(function: Any, error: str) -> Any:
    """The block of an effect that runs for each error: its dependencies are the error alone."""
    for node in walk(function):
        if node.type != "call_expression" or not text_of(node.child_by_field_name("function")).endswith("useEffect"):
            continue
        arguments = [item for item in node.child_by_field_name("arguments").named_children if item.type != "comment"]
        if len(arguments) != 2 or re.sub(r"\s|,(?=\s*\])", "", text_of(arguments[1])) != f"[{error}]":
            continue
        body = arguments[0].child_by_field_name("body") if arguments[0].type in FUNCTIONS else None
        if body is not None and body.type == "statement_block":
            return body
    return None


def _into(patch: Patch, block: Any, statement: str) -> None:
    from sentry_audit.fixers.js_boundaries import first_statement

    first_statement(patch, block, statement)


def _rows(patch: Patch, imports: Imports, statement: str, error: str) -> list[str]:
    hook, style = imports.hook("useEffect"), patch.style
    return [f"{hook}(() => {{", f"{style.indent}{statement}", f"}}, [{error}]){style.semicolon}"]


def _new_effect(patch: Patch, imports: Imports, function: Any, statement: str, error: str) -> None:
    body = function.child_by_field_name("body")
    style = patch.style
    rows = _rows(patch, imports, statement, error)
    if body.type == "statement_block":
        first = next(iter(body.named_children), None)
        if first is None or first.start_point[0] == body.start_point[0]:
            raise NotClear(f"the component of {patch.source.path} stands on one line", *_EFFECT.split("\n"))
        lead = patch.indent_of(first)
        text = f"{style.end}{lead}".join(rows)
        patch.insert(first.start_byte, f"{text}{style.end * 2}{lead}")
        return
    lead = patch.indent_of(function)
    inner = f"{style.end}{lead}{style.indent}"
    shown = text_of(body)
    if body.type != "parenthesized_expression" and "\n" in shown:
        raise NotClear(f"the component of {patch.source.path} has no body of statements", *_EFFECT.split("\n"))
    moved = shown.replace("\n", f"\n{style.indent}")
    patch.replace(
        body, f"{{{inner}{inner.join(rows)}{style.end}{inner}return {moved}{style.semicolon}{style.end}{lead}}}"
    )


def _route_error(function: Any) -> tuple[Any, str] | None:
    """(the declaration that takes the error of the route, its name) in the body of a component."""
    body = function.child_by_field_name("body")
    for statement in body.named_children if body is not None else ():
        if statement.type != "lexical_declaration":
            continue
        declared = next((item for item in statement.named_children if item.type == "variable_declarator"), None)
        value = declared.child_by_field_name("value") if declared is not None else None
        if declared is not None and value is not None and re.match(r"\(?\s*useRouteError\s*\(", text_of(value)):
            name = declared.child_by_field_name("name")
            return (statement, text_of(name)) if name.type == "identifier" else None
    return None
