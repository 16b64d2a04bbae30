"""How runs, and what was taken back of one, are told on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def undone(name: str, taken: Taken) -> str:
    """What was taken back of a run, and what was left."""
    rows = [f"  {line}" for line in dict.fromkeys(taken.back)] or ["  nothing had to be taken back"]
    left = ["left as it is:", *(f"  {line}" for line in taken.left)] if taken.left else []
    return "\n".join([f"run {name}:", *rows, *left]) + "\n"
