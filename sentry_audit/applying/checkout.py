"""What git knows of a root: which files to be edited have changes that are nowhere else, and where it keeps its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sentry_audit.errors import UsageError
from sentry_audit.sources import git

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS = {"??": "is not tracked", "UU": "is in conflict"}
_OWN = frozenset({"local", "worktree"})


def refuse_uncommitted(root: str, targets: Sequence[str], *, allow: bool) -> list[str]:
    """Refuse to edit what git could not give back, unless ``allow``; gives notes.

    Raises UsageError with the list of those of ``targets`` that have uncommitted changes.
    """
    if not targets:
        return []
    if git.checkout(root) is None:
        return ["this is no git checkout: sentry-audit undo is the only way back"]
    if allow:
        return []
    job = git.start(
        root,
        *("--literal-pathspecs", *_without_filters(root), "status", "--porcelain=v1", "-z"),
        *("--untracked-files=all", "--ignore-submodules=all", "--no-renames", "--", *targets),
    )
    output = job.output() if job is not None else None
    if output is None:
        reason = job.reason if job is not None else "it is not installed"
        raise UsageError(
            f"git cannot say whether the files to be edited have uncommitted changes: {reason}",
            "make git work here, or pass --allow-dirty",
        )
    entries = [entry for entry in os.fsdecode(output).split("\0") if entry]
    if not entries:
        return []
    top = git.checkout(root) or root
    lines = [f"  {_below(root, f'{top}/{entry[3:]}')} ({_state(entry[:2])})" for entry in entries]
    raise UsageError(
        "files to be edited have changes that are not committed:\n" + "\n".join(lines),
        "commit or stash them, or pass --allow-dirty",
    )


def _state(code: str) -> str:
    return _WORDS.get(code, "is deleted" if "D" in code else "has uncommitted changes")


def _below(root: str, path: str) -> str:
    return os.path.relpath(path, root).replace(os.sep, "/")


def _without_filters(root: str) -> list[str]:
    """Options that switch off the filters which the repository itself names: status would run them."""
    job = git.start(root, "config", "--show-scope", "-z", "--name-only", "--get-regexp", r"^filter\.")
    parts = os.fsdecode((job.output(allowed=(0, 1)) if job is not None else None) or b"").split("\0")
    named = {name for scope, name in zip(parts[::2], parts[1::2], strict=False) if scope in _OWN}
    drivers = sorted({name.rpartition(".")[0] for name in named})
    ends = ("clean=", "smudge=", "process=", "required=false")
    return [part for driver in drivers for end in ends for part in ("-c", f"{driver}.{end}")]


def folders_of_runs(root: str) -> tuple[str, ...]:
    """Where the journals of runs may lie, the first being where new ones go.

    Inside the folder that git keeps for itself, so that none is ever committed; without one, below the root.
    """
    beside = f"{root}/.sentry-audit/runs"
    kept = _git_folder(root)
    return (f"{kept}/sentry-audit/runs", beside) if kept else (beside,)


def _git_folder(root: str) -> str:
    """The git folder of the checkout; empty if there is none, or if it is not one that points back to here.

    A worktree and a submodule have a file in its place. A repository is not trusted: the file could name any folder.
    """
    top = git.checkout(root)
    if top is None:
        return ""
    place = Path(top) / ".git"
    if place.is_symlink():
        return ""
    if place.is_dir():
        return str(place) if (place / "HEAD").is_file() else ""
    try:
        word, _, named = place.read_text(encoding="utf-8", errors="surrogateescape").partition(":")
        folder = Path(os.path.realpath(Path(top) / named.strip()))
        if word != "gitdir" or not (folder / "HEAD").is_file():
            return ""
        back = folder / "gitdir"
        if back.is_file():
            same = os.path.realpath(folder / back.read_text(encoding="utf-8").strip()) == os.path.realpath(place)
            return str(folder) if same else ""
        above = git.checkout(os.path.dirname(top))  # noqa: PTH120
        inner = above is not None and git.inside(os.path.realpath(f"{above}/.git"), str(folder))
        return str(folder) if inner else ""
    except (OSError, ValueError):
        return ""
