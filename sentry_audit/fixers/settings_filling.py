"""Sentry's fields that nothing fills in one environment: loaded there as they are in the others."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.fixers._code import source_of
from sentry_audit.fixers._settings import Held, gap, reads, target
from sentry_audit.fixers._source import splice
from sentry_audit.fixers._style import nullable, reading
from sentry_audit.fixing import Change, Edit, Refusal
from sentry_audit.python.config import DSN_FIELD
from sentry_audit.python.module import FunctionNode

if TYPE_CHECKING:
    from sentry_audit.fixers._source import Source, Splice
    from sentry_audit.fixing import Case
    from sentry_audit.python.module import Module


def fill(case: Case) -> Change | Refusal:
    """The variable loaded in this environment's class too, as the other classes load it."""
    found = gap(case)
    if isinstance(found, Refusal):
        return found
    fact, cls = found
    names = [item for item in fact.unmapped if item.isidentifier()]
    if not names:
        return Refusal(
            reason=f"{fact.unmapped[0]}: a class without the DSN takes over when another one cannot be made; let that fail"
        )
    return filled(case, cls, names[0])


def filled(case: Case, cls: Held, field: str) -> Change | Refusal:
    """``field`` of ``cls`` read from its variable: by a loader like its sibling's, else where it is declared."""
    made = _like_sibling(cls, field) or _at_declaration(case, cls, field)
    if made is None:
        where = f"{cls.module.path}:{cls.ref.node.lineno}"
        return Refusal(
            reason=f"how {cls.ref.node.name} ({where}) is filled is not certain: load {field} from {_variable(field)} in it",
            commands=(f'self.{field} = os.environ.get("{_variable(field)}")',),
        )
    path, after = made
    return Change(
        summary=f"will load {field} of {cls.ref.node.name} from its variable in {path}", edits=(Edit(path, after),)
    )


def _variable(field: str) -> str:
    return "SENTRY_DSN" if DSN_FIELD.search(field) else field.upper()


def _like_sibling(cls: Held, field: str) -> tuple[str, str] | None:
    """The statement by which another class of the file loads the field, in this class's ``__init__``."""
    module, node = cls.module, cls.ref.node
    source = source_of(module)
    for other in module.classes:
        loader = _loader(other)
        statement = next((item for item in loader.body if _loads(module, item, field)), None) if loader else None
        if other is node or loader is None or statement is None or cls.family.is_model or cls.family.reads_environment:
            continue
        line = source.written(statement)
        own = _loader(node)
        if own is not None:
            last = own.body[-1]
            place = source.after(last)
            if own.body[0].lineno == own.lineno or isinstance(last, ast.Return | ast.Raise):
                return None
            lead = "" if source.text[:place].endswith(("\n", "\r")) else source.end
            return module.path, splice(source.text, [(place, place, f"{lead}{source.indent(last)}{line}{source.end}")])
        if len(loader.args.args) != 1 or loader.args.vararg or loader.args.kwonlyargs or loader.args.kwarg:
            return None
        return module.path, splice(source.text, [_method(source, cls, loader, statement)])
    return None


def _loader(node: ast.ClassDef) -> FunctionNode | None:
    return next((item for item in node.body if isinstance(item, FunctionNode) and item.name == "__init__"), None)


def _loads(module: Module, statement: ast.stmt, field: str) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    value = getattr(statement, "value", None)
    return (
        isinstance(statement, ast.Assign | ast.AnnAssign)
        and any(isinstance(item, ast.Attribute) and item.attr == field for item in targets)
        and value is not None
        and reads(module, value)
    )


def _method(source: Source, cls: Held, loader: FunctionNode, statement: ast.stmt) -> Splice:
    """An ``__init__`` of its own, which runs that of its bases first where they have one."""
    node, end = cls.ref.node, source.end
    last = node.body[-1]
    outer = source.indent(last) if last.lineno > node.lineno else source.indent(node) + source.unit
    head = source.text[source.span(loader)[0] : source.span(loader.body[0])[0]]
    signature = head[: head.index(":", head.rindex(")")) + 1]
    inner = outer + source.unit
    inherits = any(_loader(item.node) is not None for item in cls.family.classes[1:])
    rows = [outer + signature, *([f"{inner}super().__init__()"] if inherits else []), inner + source.written(statement)]
    text = end.join(rows) + end
    if len(node.body) == 1 and isinstance(last, ast.Pass):
        begin, stop = source.span(last)
        return (source.line_start(last.lineno), source.after(last), text) if last.lineno > node.lineno else (
            begin, stop, end + text.rstrip("\r\n"))  # fmt: skip
    place = source.after(last)
    lead = "" if source.text[:place].endswith(("\n", "\r")) else end
    return place, place, lead + end + text


def _at_declaration(case: Case, cls: Held, field: str) -> tuple[str, str] | None:
    """The default of the field, where it is None or empty, read from the variable."""
    for ref in cls.family.classes:
        for statement in ref.node.body:
            value = getattr(statement, "value", None)
            if target(statement) != field:
                continue
            source = source_of(ref.module)
            if cls.family.reads_environment:
                if not isinstance(statement, ast.Assign) or not _is_empty(value):
                    return None
                start = source.span(statement.targets[0])[1]
                return ref.module.path, splice(source.text, [(start, start, f": {nullable(source)}")])
            if value is None or not _is_empty(value):
                return None
            text, imports = reading(case, ref.module, _variable(field))
            splices = [(*source.span(value), text), *imports]
            annotation = getattr(statement, "annotation", None)
            if annotation is not None and source.written(annotation) == "str":
                splices.append((*source.span(annotation), nullable(source)))
            return ref.module.path, splice(source.text, splices)
    return None


def _is_empty(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value in (None, "")


FIXERS = {"config-env-mapping": fill}
