"""A DSN that stands in JavaScript or TypeScript, read from the variable that the bundler compiles in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sentry_audit import dsn
from sentry_audit.facts import Dsn
from sentry_audit.fixers.js_inits import DSN
from sentry_audit.fixers.js_web import NotClear, Patch, analysis_of, answered, bad_of, parsed, reads, refusing
from sentry_audit.javascript.names import CODE
from sentry_audit.javascript.syntax import line_of, string_of, text_of, walk

if TYPE_CHECKING:
    from sentry_audit.fixing import Case, Change

_OR = frozenset({"||", "??"})


@refusing
def keep_out(case: Case) -> Change:
    """Drop a DSN behind the variable that it stands in for; read the variable where the DSN stands alone."""
    analysis = analysis_of(case)
    fact = next((item for item in bad_of(case) if isinstance(item, Dsn)), None)
    place = fact.evidence[0] if fact is not None and fact.evidence else None
    if fact is None or place is None or not place.path:
        raise NotClear("where the DSN stands was not found")
    if not place.path.endswith(CODE) or not analysis.owns(place.path):
        raise NotClear(
            f"{place} holds {fact.shown}: give it to the build as a variable of the pipeline, and take it out of the file"
        )
    patch = Patch(parsed(analysis, place.path))
    node = _literal(patch.source.root, place.line, fact.fingerprint)
    if node is None:
        raise NotClear(f"{place}: the DSN is part of a longer text")
    name = reads(analysis, DSN)
    parent = node.parent
    if parent.type == "binary_expression" and parent.child_by_field_name("right") == node:
        left, operator = parent.child_by_field_name("left"), text_of(parent.child_by_field_name("operator"))
        if operator not in _OR:
            raise NotClear(f"{place}: how this value is used is not certain; read it from {name}", f"dsn: {name},")
        patch.replace(parent, text_of(left))
        summary = (
            f"will take the DSN out of {place.path}, which stood in for {text_of(left)}: give the build that first"
        )
        return answered(summary, [patch.edit()], "review")
    if parent.type not in {"pair", "variable_declarator", "assignment_expression"}:
        raise NotClear(f"{place}: how this value is used is not certain; read it from {name}", f"dsn: {name},")
    patch.replace(node, name)
    summary = f"will read the DSN from {name} in {place.path}: give the build that variable first"
    return answered(summary, [patch.edit()], "review")


def _literal(root: Any, line: int | None, fingerprint: str) -> Any:
    """The text on a line that is that DSN and nothing else."""
    for node in walk(root):
        if node.type not in {"string", "template_string"} or line_of(node) != line:
            continue
        text = string_of(node) or ""
        if dsn.looks_like_dsn(text) and dsn.parse(text).fingerprint == fingerprint:
            return node
    return None


ECOSYSTEM = "npm"
FIXERS = {"dsn-hardcoded": keep_out}
