"""Conditions of Python that keep real DSNs out, rewritten to ask only whether a DSN is set: the SDK judges it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.fixers._code import edit, source_of, without_argument
from sentry_audit.fixers.dsn_looks import Look, Unclear, decisions, given
from sentry_audit.fixers.leftovers import unused_imports
from sentry_audit.fixers.remarks import LONGEST, is_about_text
from sentry_audit.python.module import FunctionNode
from sentry_audit.python.values import ClassRef, Scope, Value

if TYPE_CHECKING:
    from sentry_audit.fixers._source import Source, Splice
    from sentry_audit.fixing import Edit
    from sentry_audit.python.module import Module

_DEPTH = 5
#: What must stand in brackets to be a part of ``and``, ``or`` and ``not``.
_LOOSE = (ast.BoolOp, ast.IfExp, ast.Lambda, ast.NamedExpr)


class Softening:
    """Edits of the files that conditions stand in, collected until all of them are known."""

    def __init__(self, fallback: str = "") -> None:
        """``fallback`` is how init's argument is written, for conditions on what was made of the DSN before."""
        self.fallback = fallback
        self.modules: dict[str, Module] = {}
        self.splices: dict[str, list[Splice]] = {}
        self.gone: dict[str, list[ast.AST]] = {}
        self._done: set[int] = set()
        #: Whether what is softened is a value, which was true or false and stays so, and not only asked.
        self._valued = False

    def edits(self) -> list[Edit]:
        """The files after everything."""
        found = []
        for path, splices in self.splices.items():
            module = self.modules[path]
            source = source_of(module)
            more = unused_imports(module, source, self.gone.get(path, []))
            found.append(edit(source, path, [*dict.fromkeys(splices), *more]))
        return found

    # --- statements -------------------------------------------------------------------------------

    def statement(self, look: Look, test: ast.expr, wanted: bool, depth: int = 0) -> None:
        """Soften the test of a statement; one that would ask nothing any more is taken out. Raises Unclear."""
        if id(test) in self._done:
            return
        self._done.add(id(test))
        module = look.module
        parent = module.parents.get(test)
        if parent is None:
            raise Unclear(f"{module.path}:{test.lineno}: the guard is part of a match statement")
        self._valued = isinstance(parent, ast.Assign | ast.AnnAssign | ast.Return | ast.keyword)
        new = self.soften(look, test, wanted, depth)
        if new is None and isinstance(parent, ast.If | ast.Assert) and not (isinstance(parent, ast.If) and wanted):
            self._without(look, parent)
        elif new != self._written(module, test):
            subject = self._subjects(look, test)
            plain = new in subject or new in {_not(text) for text in subject}
            if isinstance(parent, ast.If) and plain and not wanted and _empties(parent, subject):
                self._without(look, parent)
                return
            if plain and isinstance(parent, ast.If | ast.Assert | ast.Return):
                self._unsay(module, parent)
            self._put(look, test, new or self._subject(look, test))

    def _put(self, look: Look, test: ast.expr, new: str) -> None:
        module = look.module
        source = source_of(module)
        start, end = source.span(test)
        if "#" in source.text[start:end] and "\n" in source.text[start:end]:
            raise Unclear(f"{module.path}:{test.lineno}: the guard has remarks between its parts")
        parent = module.parents.get(test)
        value = isinstance(parent, ast.Assign | ast.AnnAssign | ast.Return | ast.keyword)
        if value and not isinstance(test, ast.IfExp) and new in self._subjects(look, test):
            new = f"bool({new})"  # what was true or false stays so
        if not isinstance(parent, ast.Call | ast.keyword):
            start, end = _bracketed(source.text, start, end)
        self._note(module, (start, end, new), test)

    def _unsay(self, module: Module, statement: ast.stmt) -> None:
        """Take out the remark above a guard that asks nothing else any more, if it speaks of what was asked."""
        source = source_of(module)
        end = start = source.lines_of(statement)[0]
        while _is_remark(source, start, statement):
            start = source.text.rfind("\n", 0, start - 1) + 1
        said = source.text[start:end]
        if 0 < said.count("\n") <= LONGEST and is_about_text(said):
            self._note(module, (start, end, ""), ast.Pass())

    def _without(self, look: Look, statement: ast.If | ast.Assert) -> None:
        module = look.module
        source = source_of(module)
        where = f"{module.path}:{statement.lineno}"
        if isinstance(statement, ast.If) and statement.orelse:
            raise Unclear(f"{where}: the guard has another branch")
        parent = module.parents.get(statement)
        block = next(
            (
                block
                for name in ("body", "orelse", "finalbody")
                if statement in (block := getattr(parent, name, None) or [])
            ),
            [],
        )
        start, end = source.lines_of(statement)
        chained = source.text[start:].lstrip(" \t").startswith("elif")
        if not chained and all(item is statement or _is_text(item) for item in block):
            raise Unclear(f"{where}: nothing would be left of what the guard stands in")
        while not chained and _is_remark(source, start, statement):
            start = source.text.rfind("\n", 0, start - 1) + 1
        first = block[0] is statement or (len(block) > 1 and _is_text(block[0]) and block[1] is statement)
        if not chained and first and source.text.startswith(source.end, end):
            end += len(source.end)  # the empty line that set it off from what comes next
        self._note(module, (start, end, ""), statement)

    def without_argument(self, module: Module, call: ast.Call, argument: ast.keyword) -> None:
        """Take an argument out of a call."""
        self._note(module, without_argument(source_of(module), call, argument), argument)

    def empty(self, look: Look, function: FunctionNode) -> None:
        """Take out a validator that only hands on what it is given, now that its guard is gone."""
        module = look.module
        gone = self.gone.get(module.path, [])
        rest = [item for item in function.body if item not in gone and not _is_text(item)]
        value = rest[0].value if len(rest) == 1 and isinstance(rest[0], ast.Return) else None
        source = source_of(module)
        after = "" if value is None else next(
            (new for start, end, new in self.splices.get(module.path, []) if (start, end) == source.span(value)),
            source.written(value),
        )  # fmt: skip
        known = {item.arg for item in (*function.args.posonlyargs, *function.args.args)}
        touched = any(item in gone for part in function.body for item in ast.walk(part))
        if not touched or after not in known:
            return
        start, end = source.lines_of(function)
        begin = source.blank_before(function)
        if source.text[end:].startswith((source.end, "\n")) or not source.text[end:].strip():
            begin = _past_blank(source.text, min(begin, start))
        inside = [item for item in self.splices[module.path] if start <= item[0] and item[1] <= end]
        self.splices[module.path] = [item for item in self.splices[module.path] if item not in inside]
        self._note(module, (min(begin, start), end, ""), function)

    def _note(self, module: Module, splice: Splice, gone: ast.AST) -> None:
        self.modules[module.path] = module
        self.splices.setdefault(module.path, []).append(splice)
        self.gone.setdefault(module.path, []).append(gone)

    # --- expressions ------------------------------------------------------------------------------

    def soften(self, look: Look, test: ast.expr, wanted: bool, depth: int = 0) -> str | None:
        """What ``test`` is to be; None where it would hold for every DSN and asks for nothing else. Raises Unclear."""
        if depth > _DEPTH:
            raise Unclear("the guard goes through too many names to follow")
        if not look.rejects(test, wanted):
            return self._written(look.module, test)
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                new = self.soften(look, inner, not wanted, depth)
                if new is None:
                    return None
                return f"not ({new})" if isinstance(inner, ast.BoolOp) and " " in new else _not(new)
            case ast.BoolOp(op=operator):
                return self._parts(look, test, wanted, isinstance(operator, ast.And) is wanted, depth)
            case ast.IfExp() if wanted:
                return self._chosen(look, test, depth)
            case ast.Call(func=ast.Name(id="bool"), args=[inner]):
                new = self.soften(look, inner, wanted, depth)
                return None if new is None else f"bool({new})"
        if self._elsewhere(look, test, wanted, depth + 1):
            return self._written(look.module, test)
        subject = self._subject(look, test)
        return subject if wanted else _not(subject)

    def _parts(self, look: Look, test: ast.BoolOp, wanted: bool, every: bool, depth: int) -> str | None:
        """``every`` part must be as wanted, or one of them."""
        bad = [part for part in test.values if look.rejects(part, wanted)]
        word = " and " if isinstance(test.op, ast.And) else " or "
        if not every:
            if all(look.depends(part) for part in test.values):
                return None
            new = {id(part): self.soften(look, part, wanted, depth) for part in test.values}
            return word.join(new[id(part)] or self._subject(look, part) for part in test.values)
        kept = [self._part(look.module, part) for part in test.values if part not in bad]
        asked = any(look.depends(part) for part in test.values if part not in bad)
        for part in bad:
            try:
                new_ = self.soften(look, part, wanted, depth)
            except Unclear:
                if not asked:
                    raise
                continue
            subject = self._subjects(look, part)
            plain = {*subject, *(_not(text) for text in subject)}
            if new_ is None or (asked and new_ in plain):
                continue
            if self._valued and new_ in subject:
                new_ = f"bool({new_})"
            kept.append(f"({new_})" if " or " in new_ or " if " in new_ else new_)
            asked = True
        return word.join(kept) if kept else None

    def _chosen(self, look: Look, test: ast.IfExp, depth: int) -> str:
        """``dsn if good(dsn) else None``."""
        body, other = self._written(look.module, test.body), self._written(look.module, test.orelse)
        negative = look.rejects(test.test, False)
        inner = self.soften(look, test.test, not negative, depth)
        kept = other if negative else body
        fallback = test.body if negative else test.orelse
        empty = isinstance(fallback, ast.Constant) and not fallback.value
        if empty and inner in {None, kept, _not(kept)}:
            return kept
        if inner is None:
            raise Unclear(f"{look.module.path}:{test.lineno}: what the choice is to ask is not plain")
        return f"{body} if {inner} else {other}"

    def _part(self, module: Module, part: ast.expr) -> str:
        text = self._written(module, part)
        return f"({text})" if isinstance(part, _LOOSE) else text

    def _written(self, module: Module, node: ast.expr) -> str:
        return source_of(module).written(node)

    def _subjects(self, look: Look, test: ast.expr) -> frozenset[str]:
        try:
            return frozenset({self._subject(look, test)})
        except Unclear:
            return frozenset()

    def _subject(self, look: Look, test: ast.expr) -> str:
        """How the DSN is written where a condition stands. Raises Unclear."""
        found = look.subject(test)
        if found is not None:
            return self._written(look.module, found)
        if len(look.called) == 1:
            return next(iter(look.called))
        if self.fallback and look.module is look.known.module and not look.called:
            return self.fallback
        raise Unclear(f"{look.module.path}:{test.lineno}: how the DSN is called there was not followed")

    # --- through names ----------------------------------------------------------------------------

    def _elsewhere(self, look: Look, test: ast.expr, wanted: bool, depth: int) -> bool:
        """Whether the condition stands somewhere else: in a constant, a helper, a property; it is softened there."""
        if isinstance(test, ast.Name) and test.id not in look.called and look.subject(test) is None:
            return self._constant(look, test, wanted, depth)
        if isinstance(test, ast.Call):
            found = look.resolver.value(test.func, look.scope)
            if found.kind == "function" and found.function is not None and found.module is not None:
                self.helper(look, found.module, found.function, given(look, found.function, test), depth)
                return True
        if isinstance(test, ast.Attribute):
            owner = look.resolver.value(test.value, look.scope).cls
            for item in owner.node.body if owner is not None else ():
                if isinstance(item, FunctionNode) and item.name == test.attr and owner is not None:
                    bound = {"self": Value("instance", cls=ClassRef(owner.module, owner.node))}
                    inner = Look(look.resolver, look.known, Scope(owner.module, bound, item))
                    self._body(inner, item, depth)
                    return True
        return False

    def _constant(self, look: Look, test: ast.Name, wanted: bool, depth: int) -> bool:
        from sentry_audit.python.evaluation import assignments

        function = look.scope.function
        found = assignments(function, test) if function is not None else []
        if not found:
            where, statements = look.resolver.program.define(look.module, test.id) or (look.module, ())
            found = [item for item in statements if isinstance(item, ast.Assign | ast.AnnAssign)]
            look = Look(look.resolver, look.known, Scope(where))
        if len(found) != 1 or found[0].value is None or not look.rejects(found[0].value, wanted):
            return False
        self.statement(look, found[0].value, wanted, depth)
        return True

    def helper(
        self, look: Look, module: Module, function: FunctionNode, called: frozenset[str], depth: int = 0
    ) -> None:
        """Soften what a function asks of its parameters ``called``. Raises Unclear."""
        self._body(Look(look.resolver, look.known, Scope(module, {}, function), called), function, depth)

    def _body(self, look: Look, function: FunctionNode, depth: int) -> None:
        for test, wanted in decisions(function):
            if look.rejects(test, wanted):
                self.statement(look, test, wanted, depth + 1)


def _not(text: str) -> str:
    return text.removeprefix("not ") if text.startswith("not ") else f"not {text}"


def _empties(statement: ast.If, subject: frozenset[str]) -> bool:
    """Whether a statement only makes the DSN empty: one that is done where it is empty already does nothing."""
    only = statement.body[0]
    return (
        len(statement.body) == 1
        and not statement.orelse
        and isinstance(only, ast.Assign)
        and {ast.unparse(item) for item in only.targets} <= subject
    )


def _past_blank(text: str, start: int) -> int:
    """The start of the empty lines in front of ``start``."""
    kept = text[:start].rstrip(" \t\r\n")
    return len(kept) + (2 if text.startswith("\r\n", len(kept)) else 1)


def _is_text(item: ast.stmt) -> bool:
    return isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant) and isinstance(item.value.value, str)


def _is_remark(source: Source, start: int, statement: ast.stmt) -> bool:
    """Whether the line above ``start`` is a comment of the statement."""
    row = source.text[source.text.rfind("\n", 0, max(start - 1, 0)) + 1 : start]
    return start > 0 and row.startswith(f"{source.indent(statement)}#")


def _bracketed(text: str, start: int, end: int) -> tuple[int, int]:
    """The place of an expression with the brackets around it, if it stands in brackets over several lines."""
    before, after = text[:start].rstrip(), text[end:]
    if before.endswith("(") and "\n" in text[len(before) : start] and after.lstrip().startswith(")"):
        return len(before) - 1, end + len(after) - len(after.lstrip()) + 1
    return start, end
