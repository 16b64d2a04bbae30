"""Variables that a dotenv template omits: added, empty, as the template writes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.facts import EnvTemplate
from sentry_audit.fixers._code import plural
from sentry_audit.fixers._source import line_end
from sentry_audit.fixing import Change, Edit, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.fixing import Case

#: What a rate is in a template: float() makes nothing of an empty text.
_RATE = "0.1"
_ENTRY = re.compile(r"\s*(export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$")
_HIDDEN = re.compile(r"(#\s*)([A-Za-z_]\w*)=\s*(?:''|\"\")?\s*$")


def complete(case: Case) -> Change | Refusal:
    """The missing names, after the Sentry variables that are there, else at the end."""
    fact = next((item for item in case.bad if isinstance(item, EnvTemplate)), None)
    text = case.files.text(fact.path) if fact is not None else None
    if fact is None or text is None:
        return Refusal(reason="the template cannot be read")
    return Change(
        summary=f"will add {plural(fact.missing)} to {fact.path}", safety="safe",
        edits=(Edit(fact.path, with_names(text, fact.missing)),),
    )  # fmt: skip


def with_names(text: str, names: Sequence[str]) -> str:
    """``text`` with ``names``, empty but for rates: quoted or exported where its other variables are."""
    end = line_end(text)
    rows = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text)
    # A name that is there, but for the sign before it, is given where the template explains it.
    for index, row in enumerate(rows):
        if (match := _HIDDEN.match(row)) and match[2] in names and not match[2].endswith("_RATE"):
            rows[index], names = row.removeprefix(match[1]), [name for name in names if name != match[2]]
    if not names:
        return "".join(rows)
    entries = [(index, match) for index, row in enumerate(rows) if (match := _ENTRY.match(row))]
    exported = sum(bool(match[1]) for _, match in entries) * 2 > len(entries) > 0
    empty = [match[3] for _, match in entries if match[3] in {"", '""', "''"}]
    value = max(sorted(set(empty)), key=empty.count) if empty else ""
    lines = [f"{'export ' if exported else ''}{name}={_RATE if name.endswith('_RATE') else value}" for name in names]
    related = [index for index, match in entries if match[2].startswith("SENTRY")]
    if related:
        at = related[-1] + 1
        block = [line + end for line in lines]
    else:
        at = len(rows)
        block = [line + end for line in lines]
        if _has_groups(rows):
            block = [end, f"# Sentry{end}", *block]
    before = rows[:at]
    if before and not before[-1].endswith(("\n", "\r")):
        before = [*before[:-1], before[-1] + end]
        block[-1] = block[-1].removesuffix(end) if at == len(rows) else block[-1]
    return "".join([*before, *block, *rows[at:]])


def _has_groups(rows: Sequence[str]) -> bool:
    """Whether the variables stand in groups that blank lines part and comments name."""
    return any(not rows[index - 1].strip() and rows[index].lstrip().startswith("#") for index in range(1, len(rows)))


FIXERS = {"env-template-complete": complete}
#: The component's ecosystem that these fixers are for: front ends are judged by the same check.
ECOSYSTEM = "pypi"
