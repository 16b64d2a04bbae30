"""How runs, and what was taken back of one, are told on the command line."""

from __future__ import annotations

import os
import shlex
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sentry_audit.applying.contract import Taken
    from sentry_audit.applying.journal import Run

_STATES = {
    "unfinished": "ended in the middle: sentry-audit fix --resume, or undo",
    "undoing": "ended in the middle of being undone: undo again",
    "partly undone": "partly undone: what was changed since is left",
    "damaged": "its journal is damaged",
}


def listing(runs: Sequence[Run]) -> str:
    """The runs, the latest first: name, environment, state, and what each did."""
    if not runs:
        return "no run of fix on this repository\n"
    rows = []
    for run in reversed(runs):
        environment = run.header.environment if run.header is not None else "?"
        rows.append(f"{run.name}  {environment}  {_STATES.get(run.state, run.state)}")
        rows.extend(f"    {step.summary}" for step in (run.header.steps if run.header is not None else ()))
    return "\n".join(rows) + "\n"


def undone(name: str, taken: Taken, width: int = 80) -> str:
    """What was taken back of a run, and what was left."""
    rows = [*_wrapped(dict.fromkeys(taken.back), width)] or ["  nothing had to be taken back"]
    left = ["left as it is:", *_wrapped(taken.left, width)] if taken.left else []
    return "\n".join([f"run {name}:", *rows, *left]) + "\n"


def to_be_undone(run: Run, width: int = 80) -> str:
    """What ``undo`` of a run is about to take back: what the run did, the last first."""
    assert run.header is not None
    numbers = dict.fromkeys(run.header.actions[number].step for number in run.ahead)
    did = (run.header.steps[number].summary.removeprefix("will ").replace("; will ", "; ") for number in numbers)
    return "\n".join([f"Run {run.name} ({run.header.environment}) did:", *_wrapped(did, width, "  • ")]) + "\n"


def interrupted(run: Run) -> str:
    """That a run was ended in the middle, and how far it had come; where nothing is undone by halves."""
    if run.header is None:
        return f"run {run.name} was ended in the middle"
    if run.state == "undoing":
        return f"run {run.name} ({run.header.environment}) was ended in the middle of being undone"
    begun = {run.header.actions[number].step for number in run.actions("intent")}
    of = len(run.header.steps)
    return (
        f"run {run.name} ({run.header.environment}) was ended in the middle:\n  {len(begun)} of {of} changes were begun"
    )


def ways_on(root: Path) -> str:
    """The commands that end a run which was ended in the middle, each on a line."""
    place = "" if _is_here(root) else f" {shlex.quote(str(root))}"
    return f"go on with it: sentry-audit fix{place} --resume\n  or take it back: {undo_command('', root)}"


def undo_command(run: str, root: Path) -> str:
    """The command that takes a run back, to be pasted where this one was."""
    words = ["sentry-audit", "undo", *([run] if run else []), *([] if _is_here(root) else ["--root", str(root)])]
    return shlex.join(words)


def _is_here(root: Path) -> bool:
    return os.path.realpath(root) == os.path.realpath(".")


def folded(line: str, width: int = 80) -> str:
    """A line that tells what is being done, for a terminal of that width."""
    return "\n".join(_wrapped([line], width, ""))


def _wrapped(items: Iterable[str], width: int, lead: str = "  ") -> Iterator[str]:
    """Items of a list; what follows the first line of one (a diff) is left as it is."""
    for item in items:
        first, *rest = item.splitlines() or [""]
        yield from textwrap.wrap(
            first,
            max(width, 40),
            initial_indent=lead,
            subsequent_indent=" " * (len(lead) + (0 if lead.strip() else 2)),
            break_long_words=False,
            break_on_hyphens=False,
        )
        yield from (f"  {line}" for line in rest)
