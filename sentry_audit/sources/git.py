"""git as a fast, read-only index of a folder: which files count, and which of them hold a string.

A repository under audit is not trusted: its own configuration can name programs to run (file-system
monitors, hooks, transports), so each of these is switched off on the command line or in the
environment, where a repository cannot switch it on again.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

#: Long enough for any repository; short enough when a pipe in the tree makes git wait for ever.
TIMEOUT = 120.0
#: One core is left for us: on two cores a check of 10,000 files took 236 ms with 1 thread, 266 with 2, 276 with 4.
THREADS = max(1, min(4, (os.cpu_count() or 2) - 1))

_SAFE = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.quotepath": "off",
    "core.untrackedCache": "false",
    "grep.fullName": "false",
    "submodule.recurse": "false",
}
_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",  # never writes the index
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # for a git that does not know the line above: no transport at all
    "LC_ALL": "C",
}
_KEPT = ("GIT_CONFIG", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_EXEC_PATH")


class Job:
    """A git that runs while we do something else. Its output goes to a file, so it never waits for us."""

    def __init__(self, process: subprocess.Popen[bytes], out: IO[bytes]) -> None:
        self._process = process
        self._out = out
        self.reason = ""

    def output(self, allowed: tuple[int, ...] = (0,)) -> bytes | None:
        """What it printed, or None (and a ``reason``) if it failed. To be called once."""
        import subprocess

        try:
            complaint = self._process.communicate(timeout=TIMEOUT)[1]
        except subprocess.TimeoutExpired:
            self.close()
            self.reason = f"git gave no answer in {TIMEOUT:.0f} seconds"
            return None
        if self._process.returncode not in allowed:
            lines = complaint.decode("utf-8", "replace").strip().splitlines()
            self.reason = lines[0] if lines else f"git ended with {self._process.returncode}"
            self.close()
            return None
        self._out.seek(0)
        data = self._out.read()
        self.close()
        return data

    def close(self) -> None:
        """End it if it still runs, and give back what it holds."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._out.close()

    def __del__(self) -> None:
        with suppress(Exception):  # the interpreter may be half gone
            self.close()


class Listing(NamedTuple):
    """What is in a folder. ``links`` are symlinked files; ``nested`` are other repositories inside it."""

    files: frozenset[str]
    links: frozenset[str] = frozenset()
    nested: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Jobs(NamedTuple):
    """What is asked of git about a folder: all files, tracked ones that are ignored, and one search."""

    listing: Job | None
    forced: Job | None = None
    search: Job | None = None


def checkout(root: str) -> str | None:
    """The folder at or above ``root`` that holds a ``.git``, if there is one."""
    folder = root
    while True:
        if os.path.lexists(os.path.join(folder, ".git")):  # noqa: PTH118 - strings, for speed
            return folder
        above = os.path.dirname(folder)  # noqa: PTH120
        if above == folder:
            return None
        folder = above


def start(root: str, *arguments: str) -> Job | None:
    """Start git in ``root``; None if there is no git (one that lies inside ``root`` does not count)."""
    import shutil
    import subprocess

    program = shutil.which("git")
    if program is None or inside(root, os.path.realpath(program)):
        return None
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(_KEPT)}
    options = [part for key, value in _SAFE.items() for part in ("-c", f"{key}={value}")]
    try:
        out = _scratch()
    except OSError:
        return None
    try:
        process = subprocess.Popen(
            [os.path.abspath(program), "--no-pager", *options, *arguments],  # noqa: PTH100
            cwd=root,
            env=environment | _ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
        )
    except (OSError, ValueError):
        out.close()
        return None
    return Job(process, out)


def _scratch() -> IO[bytes]:
    """A nameless file: a pipe would fill up and stop git until we read it."""
    if sys.platform == "linux":
        with suppress(OSError):
            return open(os.memfd_create("git"), "w+b")  # noqa: PTH123
    import tempfile

    return tempfile.TemporaryFile()


def begin(root: str, tokens: Sequence[str]) -> Jobs:
    """Start to list ``root`` and to look for ``tokens`` in all its files."""
    listing = start_listing(root)
    return Jobs(listing, start_forced(root), start_grep(root, tokens, "")) if listing is not None else Jobs(None)


def start_listing(root: str) -> Job | None:
    """List tracked files (with their modes) and untracked ones that are not ignored."""
    return start(root, "ls-files", "-cos", "--exclude-standard", "-z", "--", ".")


def start_forced(root: str) -> Job | None:
    """List tracked files that an ignore rule matches: ``grep --untracked`` does not see these."""
    return start(root, "ls-files", "-ci", "--exclude-standard", "-z", "--", ".")


def start_grep(root: str, tokens: Sequence[str], suffix: str) -> Job | None:
    """Look for ``tokens`` in all files that end in ``suffix``.

    With ``-a`` and not ``-I``: an attribute (``*.py -diff``) would hide text files from ``-I``.
    """
    patterns = [part for token in tokens for part in ("-e", token)]
    escaped = "".join(f"\\{c}" if c in "*?[\\" else c for c in suffix)
    where = f"*{escaped}" if suffix else "."
    return start(root, "grep", "--untracked", "--no-color", f"--threads={THREADS}", "-lzaF", *patterns, "--", where)


def ignores(root: str, path: str) -> bool:
    """Whether git would not list a new file at ``path`` of a checkout; False where git cannot say."""
    job = start(root, "check-ignore", "--", path)
    return job is not None and bool(job.output(allowed=(0, 1)))


def greppable(tokens: Sequence[str]) -> bool:
    """Whether git would take each token as one string."""
    return all(token and not {"\n", "\0"} & set(token) for token in tokens)


def names(output: bytes) -> list[str]:
    """The names in a ``-z`` listing."""
    found = os.fsdecode(output).split("\0")
    return [name for name in found if name and name[0] != "/" and name[:3] != "../"]


def read_listing(root: str, output: bytes) -> Listing:
    """Understand ``ls-files -cos``: tracked entries have a mode, a hash and a stage; others only a name."""
    files: set[str] = set()
    links: set[str] = set()
    nested: set[str] = set()
    for entry in names(output):
        if entry[49:50] == "\t" and entry.startswith("100"):  # nearly all: a tracked file
            files.add(entry[50:])
            continue
        head, tab, name = entry.partition("\t")
        if not tab or not _is_stage(head):
            if entry.endswith("/"):
                nested.add(entry[:-1])
                continue
            name = entry
            if os.path.islink(f"{root}/{name}"):  # noqa: PTH114
                links.add(name)
        elif head.startswith("160000"):
            nested.add(name)
            continue
        elif head.startswith("120000"):
            links.add(name)
        files.add(name)
    folders = {link for link in links if os.path.isdir(f"{root}/{link}")}  # noqa: PTH112
    return Listing(frozenset(files - folders), frozenset(links - folders), tuple(sorted(nested)))


def _is_stage(head: str) -> bool:
    return len(head) in {49, 73} and head[6] == " " and head[-2] == " " and head[:6].isdigit()


def inside(root: str, path: str) -> bool:
    """Whether ``path`` is ``root`` or lies in it; both absolute and resolved."""
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
