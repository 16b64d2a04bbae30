"""What catches errors while components render, and whether Sentry hears of them.

An error that a boundary catches never reaches the global handlers of the SDK. Measured on React 19 in production: a
boundary without captureException sends nothing; docs.sentry.io/platforms/javascript/guides/react/features/error-boundary.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import ErrorBoundary
from sentry_audit.javascript import frameworks
from sentry_audit.javascript.captures import Capture, Captures, attribute
from sentry_audit.javascript.inits import used
from sentry_audit.javascript.syntax import entries, line_of, text_of, walk
from sentry_audit.mentions import BOUNDARIES
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.facts import Fact
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.syntax import Source

_LIBRARY = "react-error-boundary"
_METHODS = frozenset({"componentDidCatch", "getDerivedStateFromError"})
_CONSOLE = re.compile(r"captureConsoleIntegration|CaptureConsole")
_COVERS = re.compile(r"onCaughtError\s*:\s*(Sentry\.|\w*\.)?reactErrorHandler|sentryOnError")
_ELEMENTS = frozenset({"jsx_self_closing_element", "jsx_opening_element"})


def boundaries(analysis: Analysis) -> list[Fact]:
    """One fact per boundary that is rendered; boundaries of files that nothing loads are no evidence."""
    texts = [text_of(item.given) for item in analysis.loaded]
    captures = Captures(analysis, console=any(map(_CONSOLE.search, texts)))
    found = [*_react(analysis, captures), *frameworks.boundaries(analysis, captures)]
    cover = _cover(analysis, captures)
    if cover is None:
        return list(found)
    return [
        item
        if item.captures or item.sort not in {"class", "library", "route"}
        else ErrorBoundary(name=item.name, sort=item.sort, evidence=(*item.evidence, cover))
        for item in found
    ]


def _cover(analysis: Analysis, captures: Captures) -> Evidence | None:
    """What hears of all errors that boundaries catch: ``onCaughtError`` of the root, or the console's integration."""
    for item in analysis.loaded:
        if captures.console:
            return item.evidence
    for path in analysis.mentioning:
        if match := _COVERS.search(analysis.files.text(path) or ""):
            text = analysis.files.text(path) or ""
            return Evidence(path, text.count("\n", 0, match.start()) + 1, saw=match[0])
    return None


def _react(analysis: Analysis, captures: Captures) -> Iterator[ErrorBoundary]:
    classes: list[tuple[Source, Any, str, Capture]] = []
    for path in analysis.files.among(analysis.loading.code, BOUNDARIES):
        source = analysis.source(path)
        if source is None:
            continue
        for name, node in source.classes.items():
            if (method := _catching(node)) is not None:
                classes.append((source, node, name, _of_class(analysis, captures, source, node, name, method)))
        yield from _rendered(analysis, captures, source)
    yield from _classes(analysis, classes)


def _catching(node: Any) -> Any:
    """``componentDidCatch`` of a class, else its ``getDerivedStateFromError``; None if it is no boundary."""
    body = node.child_by_field_name("body")
    found: dict[str, Any] = {}
    for child in body.named_children if body is not None else ():
        key = child.child_by_field_name("name") or child.child_by_field_name("property")
        if key is not None and text_of(key) in _METHODS:
            found[text_of(key)] = child
    return found.get("componentDidCatch") or found.get("getDerivedStateFromError")


def _classes(analysis: Analysis, classes: list[tuple[Source, Any, str, Capture]]) -> Iterator[ErrorBoundary]:
    rendered = {
        source.path
        for source, _, name, _ in classes
        if analysis.loading.runs(source.path) and used(analysis, source, name, analysis.loading.way(source.path) or [])
    }
    some = any(item[3].sends for item in classes if item[0].path in rendered) or analysis.has_sentry_boundary
    for source, node, name, capture in classes:
        if capture.sends is False and some and _is_filter(node):
            continue  # it keeps expected errors, and hands on all others to the boundary around it
        here = Evidence(source.path, line_of(node), saw=f"class {name}")
        if source.path in rendered:
            twins = [item for item in classes if item[2] == name and item[0] is not source]
            yield _judged(name, "class", here, capture, _beside(twins, rendered))
    if not rendered and (dead := next((item for item in classes if item[3].sends), None)) is not None:
        source, node, name, _ = dead
        problem = f"{name} in {source.path} captures, and nothing renders it"
        here = Evidence(source.path, line_of(node), saw=f"class {name}")
        yield ErrorBoundary(name=name, sort="class", captures=False, problem=problem, evidence=(here,))


def _is_filter(node: Any) -> bool:
    """Whether a boundary looks at the error before it keeps it: ``if (error.status) return {…}``, or throws it again."""
    for part in walk(node):
        if part.type == "throw_statement":
            return True
        key = part.child_by_field_name("name") if part.type == "method_definition" else None
        if key is not None and text_of(key) == "getDerivedStateFromError":
            if any(inner.type in {"if_statement", "ternary_expression", "switch_statement"} for inner in walk(part)):
                return True
    return False


def _beside(twins: list[tuple[Source, Any, str, Capture]], rendered: set[str]) -> str:
    """What to say of boundaries of the same name."""
    for source, _, _, capture in twins:
        if capture.sends and source.path not in rendered:
            return f"; the one of the same name in {source.path} captures, and nothing renders it"
    return ""


def _judged(name: str, sort: str, here: Evidence, capture: Capture, more: str = "") -> ErrorBoundary:
    evidence = (here, *((capture.where,) if capture.where is not None else ()))
    if capture.sends is None:
        return ErrorBoundary(name=name, sort=sort, unknown=f"{here}: {capture.why}", evidence=evidence)
    if capture.sends:
        return ErrorBoundary(name=name, sort=sort, context=capture.context, evidence=evidence)
    problem = f"{name} catches what components throw, and Sentry never hears of it{more}"
    return ErrorBoundary(name=name, sort=sort, captures=False, problem=problem, evidence=evidence)


def _of_class(analysis: Analysis, captures: Captures, source: Source, node: Any, name: str, method: Any) -> Capture:
    """What a class does with an error; where it hands it to its property onError, what those that render it pass."""
    found = captures.of(method, source)
    body = captures.of(node, source) if not found.sends else found
    if found.sends or body.sends:
        return found if found.sends else body
    if "onError" not in text_of(method):
        return found
    passed = [
        captures.of(value, where)
        for where, element in _elements(analysis, source, name)
        if (value := attribute(element, "onError")) is not None
    ]
    return next((item for item in passed if item.sends is not False), found)


def _elements(analysis: Analysis, owner: Source, name: str) -> Iterator[tuple[Source, Any]]:
    """Where a component is rendered: (the file, the element)."""
    for path in (owner.path, *analysis.loading.importers(owner.path)):
        source = analysis.source(path)
        for node in walk(source.root) if source is not None else ():
            if source is not None and node.type in _ELEMENTS:
                local = text_of(node.child_by_field_name("name"))
                known = source.imports.get(local)
                if local == name or (known is not None and known.name == name):
                    yield source, node


def _rendered(analysis: Analysis, captures: Captures, source: Source) -> Iterator[ErrorBoundary]:
    """Boundaries of libraries that a file renders, and components that show a router's error."""
    sentry = {key for key, item in source.imports.items() if item.module.startswith("@sentry/")}
    library = {key for key, item in source.imports.items() if item.module == _LIBRARY}
    if not sentry and not library and "useRouteError" not in source.text:
        return
    found = [*_of_libraries(captures, source, sentry, library), *_of_routes(captures, source)]
    if found and analysis.loading.runs(source.path):
        yield from found


def _of_libraries(captures: Captures, source: Source, sentry: set[str], library: set[str]) -> Iterator[ErrorBoundary]:
    for node in walk(source.root):
        if node.type in _ELEMENTS:
            name = text_of(node.child_by_field_name("name"))
        elif node.type == "call_expression":
            name = text_of(node.child_by_field_name("function"))
        else:
            continue
        if not name.endswith("rrorBoundary") or name.startswith("use"):
            continue
        here = Evidence(source.path, line_of(node), saw=text_of(node).partition("\n")[0][:80])
        owner = name.partition(".")[0]
        if owner in sentry and ("." in name or source.imports[owner].name.endswith("ErrorBoundary")):
            yield ErrorBoundary(name=name, sort="sentry", evidence=(here,))
        elif owner in library:
            yield _judged(name, "library", here, _given(captures, source, node))


def _given(captures: Captures, source: Source, node: Any) -> Capture:
    """What react-error-boundary is given: ``onError``, or a fallback that captures by itself."""
    names = ("onError", "FallbackComponent", "fallbackRender", "fallback")
    if node.type == "call_expression":
        arguments = node.child_by_field_name("arguments").named_children
        table, spread = entries(arguments[1]) if len(arguments) > 1 and arguments[1].type == "object" else ({}, False)
        values = [table[name] for name in names if name in table]
    else:
        values = [value for name in names if (value := attribute(node, name)) is not None]
        spread = any(child.type == "jsx_expression" and "..." in text_of(child) for child in node.named_children)
    found = [captures.handed(value, source) for value in values]
    for item in found:
        if item.sends:
            return item
    unsure = next((item for item in found if item.sends is None), Capture())
    if spread and unsure.sends is False:
        return Capture(None, why="the properties that it is given were not followed")
    return unsure


def _of_routes(captures: Captures, source: Source) -> Iterator[ErrorBoundary]:
    """Components that ask the router for the error it caught: reactrouter.com/how-to/error-boundary."""
    for name, node in source.functions.items():
        if re.search(r"\buseRouteError\s*\(", text_of(node)):
            here = Evidence(source.path, line_of(node), saw=name)
            yield _judged(name, "route", here, captures.of(node, source))
