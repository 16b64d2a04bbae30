"""A text as the project's own formatter would have it: whole where the file already was so, else only what was changed."""

from __future__ import annotations

from posixpath import dirname, relpath
from typing import TYPE_CHECKING

from sentry_audit.formatting.changed import changed, keeps
from sentry_audit.formatting.choosing import Choosing
from sentry_audit.formatting.programs import Programs
from sentry_audit.formatting.tools import TOOLS
from sentry_audit.tidying import Formatted

if TYPE_CHECKING:
    from sentry_audit.formatting.choosing import Choice
    from sentry_audit.formatting.programs import Output
    from sentry_audit.sources.tree import Tree

#: More separate changes of one file than a fix makes: then it is left as it is.
_MOST_RANGES = 40


class Formatters:
    """The formatters of a tree; see ``Formatter`` in ``tidying``."""

    def __init__(self, tree: Tree) -> None:
        self._choosing = Choosing(tree)
        self._programs = Programs(str(tree.root))

    def format(self, path: str, before: str | None, after: str) -> Formatted:
        """``after`` formatted, and if it is not, though the project has a formatter for it, why."""
        chosen = self._choosing.choices(path)
        able = [item for item in chosen if not item.left and self._programs.find(TOOLS[item.tool], dirname(path))]
        if not able:
            return _not_run(chosen, after)
        if before is None:
            return self._whole(able[0], path, after)
        # Where two are configured, the file itself tells which one it was formatted with.
        for item in able:
            if self._run(item, path, before).text == before:
                return self._whole(item, path, after)
        return self._parts(able[0], path, before, after)

    def _whole(self, item: Choice, path: str, after: str) -> Formatted:
        output = self._run(item, path, after)
        if output.text is None:
            return _failed(item, after, output)
        return Formatted(output.text)

    def _parts(self, item: Choice, path: str, before: str, after: str) -> Formatted:
        """From the last change to the first, so that the lines of those to come stay where they are."""
        tool, text = TOOLS[item.tool], after
        ranges = changed(before, after)
        if tool.part is None or not path.endswith(tool.ranged) or len(ranges) > _MOST_RANGES:
            return Formatted(after)
        for first, last in reversed(ranges):
            output = self._run(item, path, text, tool.part(text, first, last))
            if output.text is None:
                return _failed(item, after, output)
            if keeps(before, text, output.text):
                text = output.text
        return Formatted(text)

    def _run(self, item: Choice, path: str, text: str, more: tuple[str, ...] = ()) -> Output:
        tool = TOOLS[item.tool]
        program = self._programs.find(tool, dirname(path))
        words = (*tool.whole(relpath(path, item.folder or ".")), *more)
        return self._programs.run(program, words, item.folder, text)


def _not_run(chosen: list[Choice], after: str) -> Formatted:
    if not chosen:
        return Formatted(after)
    item = next((item for item in chosen if item.left), chosen[0])
    return _left(item, after, item.left or f"{item.tool} was not found here")


def _failed(item: Choice, after: str, output: Output) -> Formatted:
    """It may have been told not to format: then there is nothing to say."""
    if not output.complaint:
        return Formatted(after)
    return _left(item, after, f"{item.tool} failed: {output.complaint}")


def _left(item: Choice, after: str, why: str) -> Formatted:
    return Formatted(after, why, TOOLS[item.tool].command, item.home)
