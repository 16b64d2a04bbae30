"""The installed program, killed (SIGKILL) at a chosen moment, against a Google Cloud that survives it.

``Cloud`` is a server in a process of its own. It kills a program when the program's n-th call comes in, before it has any
effect, or after its effect and before the answer. ``Program`` runs the command line: one process, with everything loaded,
forks for each run, so that a run takes no longer than its work. Between calls a run is killed at a line of its journal.
"""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Self

from msgspec import Struct

from tests.gcp_server.calls import HangError
from tests.gcp_server.server import GcpServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from pathlib import Path

    from tests.gcp_server.state import State


class Deadly(GcpServer):
    """Kills ``victim`` at its call number ``number``; ``effect``: once that has been carried out."""

    def arm(self, victim: int = 0, number: int = -1, *, effect: bool = False) -> None:
        """Begin to count anew."""
        self._victim, self._left, self._effect, self._counting = victim, number, effect, threading.Lock()
        self.seen: list[str] = []

    def _answer(self, method: Any, request: Any, *rest: Any) -> Any:
        with self._counting:
            now = self._left == 0
            self._left -= 1
            self.seen.append(method.name.rpartition("/")[2])
        if now and not self._effect:
            self._kill()
        try:
            return super()._answer(method, request, *rest)
        finally:
            if now:
                self._kill()

    def _kill(self) -> None:
        os.kill(self._victim, signal.SIGKILL)
        raise HangError


class Cloud:
    """A world in a process of its own. ``world`` makes it, ``look`` says as plain data what is in it; both are importable."""

    def __init__(self, world: Callable[[], State], look: Callable[[State], Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, world, look), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self.endpoint = str(self._pipe.recv())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join(10)

    def _ask(self, *what: Any) -> Any:
        self._pipe.send(what)
        if not self._pipe.poll(20):
            raise TimeoutError(what)
        return self._pipe.recv()

    def again(self) -> None:
        """Make everything what it was in the beginning, etags included."""
        self._ask("again")

    def arm(self, victim: int = 0, number: int = -1, *, effect: bool = False) -> None:
        """Kill ``victim`` at its call ``number``; count the calls anew."""
        self._ask("arm", victim, number, effect)

    def look(self) -> Any:
        """What is there now."""
        return self._ask("look")

    def change(self, how: Callable[[State], None]) -> None:
        """Have somebody else change something."""
        self._ask("change", how)

    def seen(self) -> list[str]:
        """The methods that were called since ``arm``."""
        return list(self._ask("seen"))


def _serve(pipe: Connection, world: Callable[[], State], look: Callable[[State], Any]) -> None:
    first = world()
    with Deadly(copy.deepcopy(first)) as server:
        server.arm()
        pipe.send(server.endpoint)
        while True:
            verb, *rest = pipe.recv()
            with server.world:
                if verb == "again":
                    server.state = copy.deepcopy(first)
                    server.arm()
                elif verb == "arm":
                    server.arm(rest[0], rest[1], effect=rest[2])
                elif verb == "change":
                    rest[0](server.state)
                pipe.send(look(server.state) if verb == "look" else server.seen)


class Ended(Struct, frozen=True):
    """How a run of the program ended: its exit code (negative: the signal), and what it printed."""

    code: int
    out: str
    err: str


class Program:
    """The command line with everything loaded; each run is a fork of it, told when to go."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._folder = folder
        self._env = os.environ | env

    def __enter__(self) -> Self:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.killing"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self._env,
        )
        self._read()
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.kill()
        self._parent.wait()
        for pipe in (self._parent.stdin, self._parent.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> Any:
        assert self._parent.stdout is not None
        line = self._parent.stdout.readline()
        assert line, "the program that forks is gone"
        return json.loads(line)

    def _write(self, what: Any) -> None:
        assert self._parent.stdin is not None
        self._parent.stdin.write(json.dumps(what) + "\n")
        self._parent.stdin.flush()

    def run(
        self, *arguments: str | Path, line: int = -1, half: bool = False, ready: Callable[[int], None] = lambda _: None
    ) -> Ended:
        """Run it; kill it before line ``line`` of its journal is written, or when ``half`` of it is.

        ``ready`` hears the process before it does anything.
        """
        paths = [self._folder / name for name in ("out", "err")]
        self._write([[*map(str, arguments)], [*map(str, paths)], line, half])
        ready(int(self._read()))
        self._write("go")
        code = int(self._read())
        return Ended(code, *(path.read_text(encoding="utf-8") for path in paths))


def _fork_on_demand() -> None:
    """Load everything, then fork for each line of standard input."""
    import google.cloud.run_v2
    import google.cloud.secretmanager_v1  # noqa: F401

    import sentry_audit.commands.fix
    import sentry_audit.commands.undo
    import sentry_audit.repairing  # noqa: F401
    from sentry_audit.sources.gcp import changing, reading  # noqa: F401

    say = os.dup(1)
    os.write(say, b"0\n")
    for line in sys.stdin:
        arguments, paths, number, half = json.loads(line)
        child = os.fork()
        if not child:
            sys.stdin.readline()
            _be(arguments, paths, number, half)
        os.write(say, f"{child}\n".encode())
        os.write(say, f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())


def _be(arguments: list[str], paths: list[str], number: int, half: bool) -> None:
    """Be the program; never returns."""
    from sentry_audit.__main__ import main
    from sentry_audit.applying.journal import Journal

    for descriptor, path in zip((1, 2), paths, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    real, left = Journal._write, iter(range(number, -1_000_000, -1))

    def write(journal: Journal, data: bytes) -> None:
        if next(left) == 0:
            if half:
                os.write(journal._file, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        real(journal, data)

    Journal._write = write  # type: ignore[method-assign, assignment]
    sys.argv = ["sentry-audit", *arguments]
    code = 70
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _fork_on_demand()
