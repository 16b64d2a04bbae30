"""The guard in front of a browser's init that keeps real DSNs out: it is left to ask whether a DSN is set."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.fixers.js_web import NotClear, Patch, analysis_of, answered, bad_of, refusing
from sentry_audit.fixers.remarks import LONGEST, is_about_text
from sentry_audit.guard import judge
from sentry_audit.javascript.conditions import Condition, guards
from sentry_audit.javascript.syntax import line_of, options_of, text_of, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.fixing import Case, Change
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init
    from sentry_audit.javascript.syntax import Source

_DEPTH = 5


@refusing
def fix(case: Case) -> Change:
    """Leave of each guard of the finding only whether a DSN is set; what else it asks stays."""
    analysis = analysis_of(case)
    places = {(here.path, here.line) for fact in bad_of(case) for here in fact.evidence}
    softening = Softening(analysis)
    for item in analysis.loaded or analysis.inits:
        for node, wanted, names in _conditions(analysis, item):
            if (item.source.path, line_of(node)) in places:
                softening.soften(item.source, node, wanted, names, 0)
    edits = [patch.edit() for patch in softening.patches.values()]
    if not edits:
        raise NotClear("the guard was not found again")
    where = ", ".join(edit.path for edit in edits)
    also = ", and take out the remark that no longer holds" if softening.remarks else ""
    return answered(f"will let every DSN that is set through the guard in {where}{also}", edits, "review")


def _conditions(analysis: Analysis, item: Init) -> Iterator[tuple[Any, bool, frozenset[str]]]:
    """(condition, what it must be, what the DSN is called) of one init, as the check judges them."""
    options, _ = options_of(item.call) or ({}, True)
    if options.get("dsn") is None:
        return
    origin = analysis.values.origin(options["dsn"], item.source)
    names = frozenset({name for name, _ in origin.variables} | {text_of(options["dsn"])})
    found = guards(item.call)
    if options.get("enabled") is not None:
        found.append((options["enabled"], True))
    for node, wanted in found:
        yield node, wanted, names


class Softening:
    """Takes what looks at the text of a DSN out of conditions, through constants and helpers."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.patches: dict[str, Patch] = {}
        self.remarks: set[tuple[str, int]] = set()

    def soften(self, source: Source, node: Any, wanted: bool, names: frozenset[str], depth: int) -> None:
        """Edit a condition that keeps DSNs out. Raises NotClear where it is not plain."""
        if depth > _DEPTH:
            raise NotClear("the guard goes through too many names to follow")
        if not judge(Condition(self.analysis.values, source, names, node, wanted)).rejects:
            return
        inner = _bare(node)
        if inner.type == "unary_expression" and text_of(inner).startswith("!") and not _is_double(inner):
            self.soften(source, inner.child_by_field_name("argument"), not wanted, names, depth + 1)
            return
        terms = list(_terms(inner, "&&" if wanted else "||"))
        bad: list[Any] = []
        for term in terms:
            if not judge(Condition(self.analysis.values, source, names, term, wanted)).rejects:
                if self._is_about(source, term, wanted, names):
                    bad.append(term)
                continue
            if (deeper := self._elsewhere(source, term, names)) is not None:
                for where, part, positive, called in deeper:
                    self.soften(where, part, positive, called, depth + 1)
            else:
                bad.append(term)
        if bad:
            self._take_out(source, inner, terms, bad, wanted, names)

    def _is_about(self, source: Source, term: Any, wanted: bool, names: frozenset[str]) -> bool:
        condition = Condition(self.analysis.values, source, names, term, wanted)
        judge(condition)
        return condition.about and self._elsewhere(source, term, names) is None

    def _patch(self, source: Source) -> Patch:
        return self.patches.setdefault(source.path, Patch(source))

    def _elsewhere(
        self, source: Source, term: Any, names: frozenset[str]
    ) -> list[tuple[Source, Any, bool, frozenset[str]]] | None:
        """The conditions that a term stands for: a constant's value, what a helper returns; None if it is one itself."""
        inner = _bare(term)
        positive = True
        while inner.type == "unary_expression" and text_of(inner).startswith("!"):
            inner, positive = _bare(inner.child_by_field_name("argument")), not positive
        if inner.type == "identifier" and text_of(inner) in source.constants:
            condition = Condition(self.analysis.values, source, names, inner, True)
            if not condition._is_dsn(inner, source, names):
                return [(source, source.constants[text_of(inner)], True, names)]
        if inner.type != "call_expression":
            return None
        function = inner.child_by_field_name("function")
        condition = Condition(self.analysis.values, source, names, inner, True)
        where, body = condition._function(text_of(function), source)
        if where is None:
            return None
        return list(self._returned(where, body, inner, condition, source, names))

    def _returned(
        self, where: Source, function: Any, call: Any, condition: Condition, source: Source, names: frozenset[str]
    ) -> Iterator[tuple[Source, Any, bool, frozenset[str]]]:
        arguments = call.child_by_field_name("arguments").named_children
        parameters = function.child_by_field_name("parameters") or function.child_by_field_name("parameter")
        listed = parameters.named_children if parameters.type == "formal_parameters" else [parameters]
        called = frozenset(
            re.split(r"[:=?]", text_of(listed[index]))[0].strip()
            for index, item in enumerate(arguments)
            if index < len(listed) and condition._is_dsn(item, source, names)
        )
        body = function.child_by_field_name("body")
        if body.type != "statement_block":
            yield where, body, True, called
            return
        for statement in body.named_children:
            if statement.type == "return_statement" and statement.named_children:
                yield where, statement.named_children[0], True, called
            elif statement.type == "if_statement":
                answer = re.search(r"\breturn\s+(true|false)\b", text_of(statement.child_by_field_name("consequence")))
                if answer is None:
                    raise NotClear(f"the helper at {where.path}:{line_of(statement)} is not plain enough to edit")
                yield where, statement.child_by_field_name("condition"), answer[1] == "true", called

    def _take_out(
        self, source: Source, whole: Any, terms: list[Any], bad: list[Any], wanted: bool, names: frozenset[str]
    ) -> None:
        patch = self._patch(source)
        kept = [term for term in terms if term not in bad]
        asks = any(self._mentioned(source, term, names) for term in kept)
        if all(text_of(_bare(term)).lstrip("!") == self._mentioned(source, term, names) for term in kept):
            self._unsay(source, whole)
        if not asks:
            subject = next(filter(None, (self._mentioned(source, term, names) for term in bad)), "")
            if not subject:
                raise NotClear(f"what the guard at {source.path}:{line_of(whole)} asks was not followed")
            text = subject if _is_asked(whole) else f"Boolean({subject})"
            patch.replace(bad[0], text if wanted else f"!{subject}")
            kept, bad = [*kept, bad[0]], bad[1:]
        if not _is_asked(whole) and len(kept) == 1 and asks and wanted:
            subject = self._mentioned(source, kept[0], names)
            if text_of(kept[0]) == subject:
                patch.replace(whole, f"Boolean({subject})")  # what was true or false stays so
                return
        first = next(index for index, term in enumerate(terms) if term in kept)
        if first:
            patch.cut(terms[0].start_byte, terms[first].start_byte)
        for before, term in zip(terms[first:], terms[first + 1 :], strict=False):
            if term in bad:
                patch.cut(before.end_byte, term.end_byte)

    def _unsay(self, source: Source, whole: Any) -> None:
        """Take out the remark above a guard that asks nothing else any more, if it speaks of what was asked."""
        statement = whole
        while statement.parent is not None and statement.parent.type not in {"program", "statement_block"}:
            statement = statement.parent
        above: list[Any] = []
        node = statement
        while (before := node.prev_sibling) is not None and before.type == "comment":
            own_line = before.prev_sibling is None or before.prev_sibling.end_point[0] < before.start_point[0]
            if not own_line or before.end_point[0] + 1 != node.start_point[0]:
                break
            above.insert(0, before)
            node = before
        said = " ".join(text_of(remark) for remark in above)
        rows = statement.start_point[0] - above[0].start_point[0] if above else 0
        if not above or rows > LONGEST or not is_about_text(said):
            return
        place = source.path, above[0].start_byte
        if place not in self.remarks:
            self.remarks.add(place)
            self._patch(source).cut(above[0].start_byte, statement.start_byte)

    def _mentioned(self, source: Source, term: Any, names: frozenset[str]) -> str:
        """How a term writes the DSN; ``""`` if it does not."""
        condition = Condition(self.analysis.values, source, names, term, True)
        for part in walk(term):
            if part.type in {"identifier", "member_expression"}:
                if condition._is_dsn(part, source, names):
                    return text_of(part).rstrip("!?")
        return ""


def _terms(node: Any, operator: str) -> Iterator[Any]:
    if node.type == "binary_expression" and text_of(node.child_by_field_name("operator")) == operator:
        yield from _terms(node.child_by_field_name("left"), operator)
        yield from _terms(node.child_by_field_name("right"), operator)
    else:
        yield node


def _bare(node: Any) -> Any:
    while node.type == "parenthesized_expression" and len(node.named_children) == 1:
        node = node.named_children[0]
    return node


def _is_double(node: Any) -> bool:
    return text_of(node).startswith("!!")


def _is_asked(node: Any) -> bool:
    """Whether an expression is only asked whether it is true, so that any value will do."""
    parent = node.parent
    while parent is not None and parent.type in {"parenthesized_expression", "binary_expression", "unary_expression"}:
        node, parent = parent, parent.parent
    if parent is None:
        return False
    chooses = parent.type == "ternary_expression" and node == parent.child_by_field_name("condition")
    return bool(chooses or parent.type in {"if_statement", "expression_statement"})


ECOSYSTEM = "npm"
FIXERS = {"frontend-dsn-guard": fix}
