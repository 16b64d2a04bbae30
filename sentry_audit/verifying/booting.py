"""One process of the application: started, waited for, ended as Cloud Run ends it, and never left behind."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

HOOK = str(Path(__file__).parent / "_hook")
_LINES = 20
_GRACE = 10.0


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


#: What runs; whoever ends verify ends it too.
_running: set[Process] = set()


@contextlib.contextmanager
def ended_together() -> Iterator[None]:
    """End what was started when verify itself is told to end (SIGTERM, SIGHUP), as a pipeline that is cancelled does."""

    def end(number: int, _: object) -> None:
        for process in tuple(_running):
            process.slay()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    kinds = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [signal.signal(kind, end) for kind in kinds]
    try:
        yield
    finally:
        for kind, old in zip(kinds, before, strict=True):
            signal.signal(kind, old)


class Process:
    """``argv`` in ``folder``, a process group of its own; what its hook writes goes to the file ``records``, in a folder of its own."""

    def __init__(self, argv: Sequence[str], folder: Path, environment: Mapping[str, str], records: Path) -> None:
        self.path = records
        self._read = 0
        self.known: list[dict[str, Any]] = []
        self._lines: collections.deque[str] = collections.deque(maxlen=_LINES)
        self.killed = False
        self.child = subprocess.Popen(
            list(argv),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _running.add(self)
        self._reader = threading.Thread(target=self._follow, name="output", daemon=True)
        self._reader.start()

    def _follow(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            if text := line.decode("utf-8", "replace").rstrip():
                self._lines.append(text)

    @property
    def output(self) -> tuple[str, ...]:
        """Its last lines, without the keys of DSNs."""
        from sentry_audit.dsn import redact

        return tuple(redact(line)[:300] for line in tuple(self._lines))

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self.child.poll()

    def fresh(self) -> list[dict[str, Any]]:
        """What was written down since the last time."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        found = []
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        self.known += found
        return found

    def wait(self, ready: Callable[[], bool], timeout: float) -> str:
        """Wait until ``ready``; ``""``, or why it never was."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.code is not None:
                self._reader.join(2)
                return f"it ended with {self.code}: {self.last()}"
            if ready():
                return ""
            time.sleep(0.03)
        return f"it was not ready within {timeout:g} seconds: {self.last()}"

    def last(self) -> str:
        """Its last word: an error's, if there is one."""
        lines = [line for line in self.output if line.strip()]
        errors = [line for line in lines if "Error" in line.split(":")[0]]
        return (errors or lines or ["it said nothing"])[-1].strip()

    def terminate(self) -> int | None:
        """SIGTERM, ten seconds, then SIGKILL for all of its group; its exit code."""
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                self.child.terminate()
        try:
            self.child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.killed = True
        self.kill()
        return self.code

    def slay(self) -> None:
        """End whatever is left of its group, and what was written down of it, without waiting for anything."""
        self._kill_group()
        shutil.rmtree(self.path.parent, ignore_errors=True)

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, signal.SIGKILL)

    def kill(self) -> None:
        """End whatever is left of its group."""
        _running.discard(self)
        self._kill_group()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(5)
        self._reader.join(2)
        if self.child.stdout is not None:
            self.child.stdout.close()
