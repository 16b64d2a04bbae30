"""Error boundaries that tell nobody: the call that captures, with the stack of components where React gives it.

Sources: docs.sentry.io/platforms/javascript/guides/react/features/error-boundary, nextjs.org/docs (error.js).
"""

from __future__ import annotations

import re
from posixpath import basename
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import ErrorBoundary
from sentry_audit.fixers import js_pages as pages
from sentry_audit.fixers.js_imports import Imports
from sentry_audit.fixers.js_web import (
    NotClear,
    Patch,
    add_entry,
    analysis_of,
    answered,
    bad_of,
    named,
    package_of,
    parsed,
    refusing,
)
from sentry_audit.javascript.captures import attribute
from sentry_audit.javascript.syntax import FUNCTIONS, entries, line_of, text_of, walk

if TYPE_CHECKING:
    from sentry_audit.fixing import Case, Change, Edit
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.syntax import Source

_STACK = "{{ contexts: {{ react: {{ componentStack: {info}.componentStack }} }} }}"


@refusing
def capture(case: Case) -> Change:
    """Call captureException in the boundaries of the finding."""
    analysis = analysis_of(case)
    package_of(analysis)
    edits = [edit for fact in bad_of(case) if isinstance(fact, ErrorBoundary) for edit in _edits(analysis, fact)]
    if not edits:
        raise NotClear("the boundary was not found again")
    where = named([edit.path for edit in edits])
    return answered(f"will tell Sentry what {where} catch{'es' if len(edits) == 1 else ''}", edits)


def _edits(analysis: Analysis, fact: ErrorBoundary) -> list[Edit]:
    places = [here for here in fact.evidence if here.path]
    if "nothing renders it" in fact.problem:
        raise NotClear(f"{fact.problem}: which boundary the page should render is yours to say")
    if fact.sort == "page":
        return [pages.page(analysis, here.path or "") for here in places]
    if fact.sort in {"route", "global-error"} and fact.name == basename(places[0].path or ""):
        return [pages.error_file(analysis, here.path or "") for here in places]
    here = places[0]
    patch = Patch(parsed(analysis, here.path or ""))
    imports = Imports(patch)
    if fact.sort == "route":
        pages.route(patch, imports, package_of(analysis), fact.name)
    elif fact.sort == "class":
        _class(patch, imports, package_of(analysis), fact.name)
    elif fact.sort == "library":
        _library(patch, imports, package_of(analysis), here.line or 0)
    else:
        raise NotClear(
            f"how {fact.name} hands errors on is decided where the application is made",
            "https://docs.sentry.io/platforms/javascript/guides/",
        )
    imports.flush()
    return [patch.edit()]


# --- classes ------------------------------------------------------------------------------------------


def _class(patch: Patch, imports: Imports, package: str, name: str) -> None:
    node = patch.source.classes.get(name)
    if node is None:
        raise NotClear(f"the class {name} was not found again in {patch.source.path}")
    body = node.child_by_field_name("body")
    members = {_key(child): child for child in body.named_children if _key(child)}
    method = members.get("componentDidCatch")
    if method is not None:
        error, info = _parameters(patch, method)
        first_statement(patch, _block(method), f"{_call(imports, package, error, info)}{patch.style.semicolon}")
        return
    static = members["getDerivedStateFromError"]
    lead, style = patch.indent_of(static), patch.style
    typed = patch.source.path.endswith((".ts", ".tsx"))
    signature = f"error: Error, info: {_info_type(patch)}" if typed else "error, info"
    rows = [
        f"{lead}componentDidCatch({signature}) {{",
        f"{lead}{style.indent}{_call(imports, package, 'error', 'info')}{style.semicolon}",
        f"{lead}}}",
    ]
    after = static.end_byte
    if patch.bytes[after : after + 1] == b";":
        after += 1
    patch.insert(after, style.end * 2 + style.end.join(rows))


def _key(member: Any) -> str:
    return text_of(member.child_by_field_name("name") or member.child_by_field_name("property"))


def _call(imports: Imports, package: str, error: str, info: str) -> str:
    return f"{imports.of(package, 'captureException')}({error}, {_STACK.format(info=info)})"


def _function(method: Any) -> Any:
    """The function of a method, or of a field that holds one."""
    return method if method.type in FUNCTIONS else method.child_by_field_name("value")


def _block(method: Any) -> Any:
    function = _function(method)
    body = function.child_by_field_name("body") if function is not None else None
    if body is None or body.type != "statement_block":
        raise NotClear(f"what componentDidCatch does in line {line_of(method)} is no block of statements")
    return body


def _parameters(patch: Patch, method: Any) -> tuple[str, str]:
    """The names of the error and of React's information, which is added where the method does not take it."""
    listed = _function(method).child_by_field_name("parameters")
    if listed is None:
        raise NotClear(f"the parameters in line {line_of(method)} have no brackets")
    given = [child for child in listed.named_children if child.type != "comment"]
    names = [re.split(r"[:=?]", text_of(item))[0].strip() for item in given]
    if any(not re.fullmatch(r"[\w$]+", name) for name in names[:2]):
        raise NotClear(f"the parameters in line {line_of(method)} are taken apart")
    if len(given) >= 2:
        return names[0], names[1]
    # A function that is written where it is handed on gets its types from there.
    told = method.type == "method_definition" or any(item.child_by_field_name("type") is not None for item in given)
    typed = patch.source.path.endswith((".ts", ".tsx")) and told
    info = f"info: {_info_type(patch)}" if typed else "info"
    if given:
        patch.insert(given[0].end_byte, f", {info}")
        return names[0], "info"
    patch.insert(listed.start_byte + 1, f"error: Error, {info}" if typed else "error, info")
    return "error", "info"


def _info_type(patch: Patch) -> str:
    """The type of what React hands a boundary, as far as the file can name it."""
    known = patch.source.imports
    if any(item.module == "react" and item.name == "ErrorInfo" for item in known.values()):
        return next(local for local, item in known.items() if item.module == "react" and item.name == "ErrorInfo")
    for local, item in known.items():
        if item.module == "react" and item.name in {"*", "default"}:
            return f"{local}.ErrorInfo"
    return "{ componentStack?: string | null }"


def first_statement(patch: Patch, block: Any, statement: str) -> None:
    """Put a statement in front of those of a block, on its line or on one of its own, as the block is set."""
    style = patch.style
    children = block.named_children
    if not children:
        lead = patch.indent_of(block)
        gap = patch.bytes[block.start_byte + 1 : block.end_byte - 1]
        patch.cut(block.start_byte + 1, block.end_byte - 1) if not gap.strip() else None
        patch.insert(block.start_byte + 1, f"{style.end}{lead}{style.indent}{statement}{style.end}{lead}")
    elif children[0].start_point[0] == block.start_point[0]:
        if children[0].type == "comment":
            raise NotClear(f"line {line_of(block)} of {patch.source.path} has a comment where the call would go")
        patch.insert(children[0].start_byte, f"{statement}{'' if statement.endswith(';') else ';'} ")
    else:
        patch.insert(children[0].start_byte, f"{statement}{style.end}{patch.indent_of(children[0])}")


# --- react-error-boundary -----------------------------------------------------------------------------


def _library(patch: Patch, imports: Imports, package: str, line: int) -> None:
    node = _at(patch.source, line)
    source = patch.source
    if node.type == "call_expression":
        arguments = node.child_by_field_name("arguments").named_children
        if len(arguments) < 2 or arguments[1].type != "object":
            raise NotClear(f"what the boundary in line {line} of {source.path} is given was not followed")
        given, _ = entries(arguments[1])
        if "onError" not in given:
            add_entry(patch, arguments[1], f"onError: {_handler(imports, package)}")
            return
        value = given["onError"]
    else:
        value = attribute(node, "onError")
        if value is None:
            _attribute(patch, node, _handler(imports, package))
            return
    function = value
    if value.type == "identifier":
        function = source.functions.get(text_of(value))
    if function is None or function.type not in FUNCTIONS:
        raise NotClear(f"onError in line {line} of {source.path} is {text_of(value)[:60]}, which was not followed")
    error, info = _parameters(patch, function)
    call = _call(imports, package, error, info)
    body = function.child_by_field_name("body")
    if body.type == "statement_block":
        first_statement(patch, body, f"{call}{patch.style.semicolon}")
    else:
        lead, style = patch.indent_of(body), patch.style
        inner = f"{style.end}{lead}{style.indent}"
        rest = f"{inner}{text_of(body)}{style.semicolon}{style.end}{lead}}}"
        patch.replace(body, f"{{{inner}{call}{style.semicolon}{rest}")


def _handler(imports: Imports, package: str) -> str:
    return f"(error, info) => {_call(imports, package, 'error', 'info')}"


def _at(source: Source, line: int) -> Any:
    for node in walk(source.root):
        field = {"jsx_self_closing_element": "name", "jsx_opening_element": "name", "call_expression": "function"}
        if node.type in field and line_of(node) == line:
            if text_of(node.child_by_field_name(field[node.type])).endswith("rrorBoundary"):
                return node
    raise NotClear(f"the boundary in line {line} of {source.path} was not found again")


def _attribute(patch: Patch, element: Any, handler: str) -> None:
    """Add ``onError``, on lines of its own where the attributes have theirs."""
    attributes = [child for child in element.named_children if child.type == "jsx_attribute"]
    last = attributes[-1] if attributes else element.child_by_field_name("name")
    if not attributes or attributes[-1].start_point[0] == element.start_point[0]:
        patch.insert(last.end_byte, f" onError={{{handler}}}")
        return
    lead, style = patch.indent_of(last), patch.style
    start, _, call = handler.partition("=> ")
    inner = f"{style.end}{lead}{style.indent}"
    patch.insert(last.end_byte, f"{style.end}{lead}onError={{{start}=>{inner}{call}{style.end}{lead}}}")


# --- context ------------------------------------------------------------------------------------------


@refusing
def context(case: Case) -> Change:
    """Send the stack of components along with what a boundary captures."""
    analysis = analysis_of(case)
    patches: dict[str, Patch] = {}
    for fact in bad_of(case):
        here = fact.evidence[-1]
        if len(fact.evidence) < 2 or here.path != fact.evidence[0].path:
            raise NotClear(f"{here} captures for several callers: what each of them knows of the component differs")
        path = here.path or ""
        if path not in patches:
            patches[path] = Patch(parsed(analysis, path))
        _with_stack(patches[path], here.line or 0)
    edits = [patch.edit() for patch in patches.values()]
    return answered(f"will send the stack of components from {named(list(patches))}", edits)


def _with_stack(patch: Patch, line: int) -> None:
    for node in walk(patch.source.root):
        if node.type != "call_expression" or line_of(node) != line:
            continue
        if not text_of(node.child_by_field_name("function")).endswith("captureException"):
            continue
        arguments = [item for item in node.child_by_field_name("arguments").named_children if item.type != "comment"]
        catching = _around(node)
        if len(arguments) != 1 or catching is None:
            break
        _, info = _parameters(patch, catching)
        patch.insert(arguments[0].end_byte, f", {_STACK.format(info=info)}")
        return
    raise NotClear(
        f"line {line} of {patch.source.path} captures where React's information on the error is not at hand",
        "Sentry.captureException(error, { contexts: { react: { componentStack: info.componentStack } } });",
    )


def _around(node: Any) -> Any:
    """The function around a call that React hands the error: componentDidCatch, or onError; None if it is another."""
    while node.parent is not None:
        node = node.parent
        if node.type in FUNCTIONS:
            holder = node.parent
            while holder is not None and holder.type in {"jsx_expression", "parenthesized_expression"}:
                holder = holder.parent
            told = text_of(node.child_by_field_name("name")) or (_name_of_holder(holder) if holder is not None else "")
            return node if told in {"componentDidCatch", "onError"} else None
    return None


def _name_of_holder(holder: Any) -> str:
    if holder.type == "jsx_attribute":
        return text_of(holder.named_children[0])
    return text_of(
        holder.child_by_field_name("key")
        or holder.child_by_field_name("property")
        or holder.child_by_field_name("name")
    )


ECOSYSTEM = "npm"
FIXERS = {"frontend-error-boundary-captures": capture, "frontend-error-boundary-context": context}
