"""A cloud of one file, for tests of what applies plans: it survives the process that changes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sentry_audit.errors import FixFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sentry_audit.fixing import Operation


class FileCloud:
    """Keeps secrets, versions, grants and services; ``boundary`` is called around every change of them.

    ``fails`` is the number of the perform (from 0) that raises; ``half``: after it has made its change. ``unverified`` is
    the summary of the operation whose change does not hold.
    """

    def __init__(
        self,
        file: Path,
        boundary: Callable[[], None] = lambda: None,
        fails: int = -1,
        half: bool = False,
        unverified: str = "",
    ) -> None:
        self.file, self.boundary, self.fails, self.half, self.unverified = file, boundary, fails, half, unverified
        self.performed = 0

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.read_text()) if self.file.exists() else {"done": {}, "log": []}
        return found

    def things(self) -> dict[str, Any]:
        """What is in the cloud, without the records of which run made it."""
        return {key: value for key, value in self.state().items() if key not in {"done", "log"}}

    def _save(self, state: dict[str, Any]) -> None:
        self.boundary()
        self.file.with_suffix(".new").write_text(json.dumps(state))
        self.file.with_suffix(".new").replace(self.file)
        self.boundary()

    def perform(self, operation: Operation, dsn: str | None, run: str) -> bytes:
        number, self.performed = self.performed, self.performed + 1
        if number == self.fails and not self.half:
            raise RuntimeError("the cloud says no")
        state = self.state()
        key = f"{run} {operation.does} {operation.resource} {operation.member}"
        if key not in state["done"]:
            thing = f"{operation.does} {operation.resource} {operation.member}"
            if operation.does == "add-version" and not dsn:
                raise FixFailed("no DSN was given")
            state["done"][key] = {"key": key, "thing": thing, "before": state.get(thing)}
            state[thing] = [*state.get(thing, []), "a version"] if dsn else [*map(list, operation.variables)] or True
            state["log"].append(f"perform {thing}")
            self._save(state)
        if number == self.fails:
            raise RuntimeError("the cloud broke off")
        return json.dumps(state["done"][key]).encode()

    def found(self, operation: Operation, run: str) -> bytes | None:
        done = self.state()["done"].get(f"{run} {operation.does} {operation.resource} {operation.member}")
        return None if done is None else json.dumps(done).encode()

    def revert(self, inverse: bytes, run: str) -> str:
        done = json.loads(inverse)
        assert done["key"].startswith(run)
        state = self.state()
        if state["done"].pop(done["key"], None) is not None:
            if done["before"] is None:
                del state[done["thing"]]
            else:
                state[done["thing"]] = done["before"]
            state["log"].append(f"revert {done['thing']}")
            self._save(state)
        return f"took back: {done['thing']}"

    def verify(self, operation: Operation) -> bool:
        return operation.summary != self.unverified
