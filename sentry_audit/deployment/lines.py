"""On which line of a script a command stands that was found in its text."""

from __future__ import annotations

import re
from itertools import pairwise
from posixpath import basename
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Lines:
    """The line of each command: the next line on which its program stands and that is no comment."""

    def __init__(self, text: str, start: int) -> None:
        self.rows = text.split("\n")
        self.start = start
        self.at: dict[str, int] = {}

    def of(self, words: Sequence[str]) -> int | None:
        """The line of the command ``words``, None if no row looks like it."""
        program = next((basename(word) for word in words if basename(word) in {"gcloud", "docker", "podman"}), words[0])
        verb = next(
            (word for word in words if word in {"deploy", "update", "replace", "build", "create", "submit", "add"}), ""
        )
        begin = self.at.get(program, 0)
        order: list[int] = [*range(begin, len(self.rows)), *range(begin)]  # a loop's body comes again
        rows = [
            index for index in order if program in self.rows[index] and not self.rows[index].lstrip().startswith("#")
        ]
        group = next((word for last, word in pairwise(words) if basename(last) == program), "")
        whole = (
            (index for index in rows if {group, verb} <= set(re.findall(r"[\w-]+", self._row(index))))
            if verb
            else iter(())
        )
        literal = (index for index in rows if verb in "".join(self.rows[index : index + 4]))
        variable = (index for index in rows if "$" in self.rows[index] and "describe" not in self.rows[index])
        found = next(whole, next(literal, next(variable, None)))
        if found is None:
            return None
        self.at[program] = found + 1
        return found + self.start

    def _row(self, index: int) -> str:
        """The row with those that go on with it."""
        last = index
        while self.rows[last].endswith("\\") and last + 1 < len(self.rows):
            last += 1
        return "\n".join(self.rows[index : last + 1])
