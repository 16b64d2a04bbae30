"""The code of a case's component: its analysis once more, this time with the syntax trees that an edit needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.fixers._source import Source, splice
from sentry_audit.fixing import Edit
from sentry_audit.python.analysis import Analysed, Code
from sentry_audit.python.components import Service, discover

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable

    from sentry_audit.fixers._source import Splice
    from sentry_audit.fixing import Case
    from sentry_audit.model import Evidence
    from sentry_audit.python.analysis import Reached
    from sentry_audit.python.module import Module


def service_of(case: Case) -> Service:
    """The component as a service: with its image, its entry files and its workers."""
    known = case.program.remember(("fixers", "services"), lambda: discover(case.program, case.scanned))
    wanted = case.component
    for item in known:
        if (item.fact.name, item.fact.path) == (wanted.name, wanted.path):
            return item
    return discover(case.program, case.scanned, (wanted,))[0]


def analysed(case: Case) -> Analysed:
    """What the code says in the case's environment: the init calls that are reached, with their routes."""
    service = service_of(case)

    def analyse() -> Analysed:
        return Code(case.program, case.scanned, [service]).analyse(service, case.environment)

    return case.program.remember(("fixers", service.fact.name, case.environment), analyse)


def source_of(module: Module) -> Source:
    """The text of a parsed file, ready for edits."""
    return Source(module.text, module.tree)


def edit(source: Source, path: str, splices: Iterable[Splice]) -> Edit:
    """The file ``path`` after ``splices``."""
    return Edit(path, splice(source.text, splices))


def own_module(case: Case, importer: str) -> Callable[[str], bool]:
    """Whether a dotted name is a module of the project, as ``importer`` would import it."""
    return lambda name: case.program.locate(name, importer) is not None


def reached_at(case: Case, evidence: Iterable[Evidence]) -> list[Reached]:
    """The reached init calls that stand at one of these places; all where none does."""
    places = {(item.path, item.line) for item in evidence}
    every = analysed(case).reached
    return [item for item in every if (item.init.evidence.path, item.init.evidence.line) in places] or every


def node_at(module: Module, evidence: Evidence, *kinds: type[ast.AST]) -> ast.AST | None:
    """The outermost node of one of ``kinds`` that begins where ``evidence`` says."""
    for node in module.nodes:
        if (
            isinstance(node, kinds)
            and getattr(node, "lineno", None) == evidence.line
            and (evidence.column is None or getattr(node, "col_offset", -2) + 1 == evidence.column)
        ):
            return node
    return None


def without_argument(source: Source, call: ast.Call, argument: ast.AST) -> Splice:
    """Takes an argument out of a call."""
    spans = [source.span(item) for item in (*call.args, *call.keywords)]
    return source.without(source.span(argument), spans, source.brackets(call))


def with_argument(source: Source, call: ast.Call, argument: str) -> Splice:
    """Gives a call one more argument."""
    spans = [source.span(item) for item in (*call.args, *call.keywords)]
    return source.appended(argument, spans, source.brackets(call))


def without_element(source: Source, listed: ast.List | ast.Set | ast.Tuple, element: ast.expr) -> Splice:
    """Takes an element out of a list."""
    spans = [source.span(item) for item in listed.elts]
    return source.without(source.span(element), spans, source.brackets(listed))


def without_entry(source: Source, table: ast.Dict, value: ast.expr) -> Splice:
    """Takes the entry with this value out of a dict."""
    spans = [
        (source.span(key)[0] if key is not None else source.span(item)[0] - 2, source.span(item)[1])
        for key, item in zip(table.keys, table.values, strict=True)
    ]
    return source.without(spans[table.values.index(value)], spans, source.brackets(table))


def plural(names: Iterable[str]) -> str:
    """``a, b and c``."""
    listed = list(names)
    return " and ".join(filter(None, (", ".join(listed[:-1]), *listed[-1:])))
