"""What a step of a workflow writes to ``$GITHUB_OUTPUT`` and ``$GITHUB_ENV``: one set of values for each way through it.

Semantics: docs.github.com/actions/reference/workflows-and-actions/workflow-commands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct, field

from sentry_audit.deployment.environments import is_parameter, named_in, names_environment
from sentry_audit.scanners.shell import assigned, expand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.deployment.environments import Hint

_WRITTEN = re.compile(
    r"""echo\s+(["']?)([\w-]+)=(.*?)\1\s*>>\s*["']?\$\{?(GITHUB_OUTPUT|GITHUB_ENV)\b"""
    r"""|echo\s+["']?::set-output name=([\w-]+)::(.*?)["']?\s*$"""
)
_ASSIGNS = re.compile(r"(?:^|\)|;)\s*(?:export\s+)?\w+=")
_OPENS = re.compile(r"^\s*(?:if|case)\b")
_ARM = re.compile(r"^\s*(?:elif\b|else\b|\(?[\w|*\"' ./-]+\)(?!\s*\())")
_CLOSES = re.compile(r"^\s*(?:fi|esac)\b")
_DECIDED = re.compile(r"""\[\[?\s*["']?([^\s"'$]*)["']?\s*(==?|!=)\s*["']?([^\s"'$]*)["']?\s*\]""")
_EQUAL = re.compile(r"""\[\[?\s*["']?(\$[\w.{}]+)["']?\s*==?\s*["']?([\w./-]+)["']?\s*\]""")
_LIMIT = 6


class Written(Struct):
    """The outputs and variables that one way through a step writes."""

    outputs: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    def hints(self) -> list[Hint]:
        """What of it may tell the environment."""
        found = [*self.outputs.items(), *self.env.items()]
        return [
            (value, f"the step's output {name}")
            for name, value in found
            if (is_parameter(name) or names_environment(name)) and len(named_in(value)) == 1
        ]


def written(text: str, variables: dict[str, str]) -> list[Written]:
    """The ways through the shell ``text``; one if what it writes does not depend on the environment, none if it writes nothing."""
    if "GITHUB_OUTPUT" not in text and "GITHUB_ENV" not in text and "::set-output" not in text:
        return []
    ways = [way for way in (_values(rows, variables) for rows in _ways(text.splitlines())) if way.outputs or way.env]
    if len(ways) > 1 and any(way.hints() for way in ways):
        return ways[:_LIMIT]
    return [_common(ways)] if ways else []


def _ways(rows: list[str]) -> Iterator[list[str]]:
    """The rows that run, for each arm of the outermost condition that writes something."""
    group = next(((start, arms, end) for start, arms, end in _groups(rows) if _writes(rows[start:end])), None)
    if group is None:
        yield rows
        return
    start, arms, end = group
    bounds = [*arms, end]
    runs = [(rows[at], rows[at + 1 : bounds[index + 1]]) for index, at in enumerate(arms)]
    for head, body in runs:
        decided = _DECIDED.search(head)
        equal = _EQUAL.search(head)
        inner = [row.replace(equal[1], equal[2]) for row in body] if equal else body
        holds = None if decided is None else (decided[1] == decided[3]) == (decided[2] != "!=")
        if holds is not False:
            yield [*rows[:start], head.partition(")")[2] if head.rstrip().endswith(";;") else "", *inner, *rows[end:]]
        if holds:
            return
    if not any(re.match(r"^\s*(?:else\b|\*\))", head) for head, _ in runs):
        yield [*rows[:start], *rows[end:]]


def _groups(rows: list[str]) -> Iterator[tuple[int, list[int], int]]:
    """(first row, the rows that begin an arm, the row behind the end) of each outermost condition."""
    depth, start, arms, cased = 0, 0, list[int](), False
    for at, row in enumerate(rows):
        if _OPENS.match(row) and not re.search(r"\bfi\s*$", row):
            if not depth:
                cased = row.lstrip().startswith("case")
                start, arms = at, [] if cased else [at]
            depth += 1
        elif _CLOSES.match(row) and depth:
            depth -= 1
            if not depth:
                yield start, arms, at + 1
        elif (
            depth == 1
            and _ARM.match(row)
            and (cased or (not row.lstrip().startswith("(") and ")" not in row.split()[0]))
        ):
            arms.append(at)


def _writes(rows: list[str]) -> bool:
    return any(_WRITTEN.search(row) for row in rows) or any(_ASSIGNS.search(row) for row in rows)


def _values(rows: list[str], variables: dict[str, str]) -> Written:
    found = Written()
    known = assigned("\n".join(row for row in rows if re.match(r"\s*(?:export\s+)?\w+=", row)), variables)
    for row in rows:
        if (match := _WRITTEN.search(row)) and not row.lstrip().startswith("#"):
            value = expand(match[3] if match[2] else match[6], known)
            (found.env if match[4] == "GITHUB_ENV" else found.outputs)[match[2] or match[5]] = value
    return found


def _common(ways: list[Written]) -> Written:
    """What all ways write alike."""
    first = ways[0]
    return Written(
        {name: value for name, value in first.outputs.items() if all(way.outputs.get(name) == value for way in ways)},
        {name: value for name, value in first.env.items() if all(way.env.get(name) == value for way in ways)},
    )
