"""Which folder each Dockerfile is built in, when that is not its own."""

from __future__ import annotations

from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit.facts import Image, Process
from sentry_audit.scanners.docker import rebase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.facts import Fact
    from sentry_audit.paths import Paths


def rebased(facts: Sequence[Fact], paths: Paths) -> list[Fact]:
    """``facts`` with each Dockerfile in the build context that a compose file gives it, or that its COPY lines fit."""
    given = {
        fact.image: fact.context
        for fact in facts
        if isinstance(fact, Process) and fact.origin == "compose" and fact.image
    }
    contexts = {fact.path: _context(fact, given, paths) for fact in facts if isinstance(fact, Image)}
    result: list[Fact] = []
    for fact in facts:
        if isinstance(fact, Image):
            result.append(fact if contexts[fact.path] == fact.context else rebase(fact, contexts[fact.path]))
        elif isinstance(fact, Process) and fact.origin == "dockerfile" and fact.image in contexts:
            result.append(replace(fact, context=contexts[fact.image]))
        else:
            result.append(fact)
    return result


def _context(image: Image, given: dict[str, str], paths: Paths) -> str:
    if image.path in given:
        return given[image.path]
    context = image.context
    while context and not _fits(image, context, paths):
        context = dirname(context)
    return context


def _fits(image: Image, context: str, paths: Paths) -> bool:
    """Whether every source that the Dockerfile copies by name is there in ``context``."""
    for source, _ in image.copied:
        name = normpath(join(context, source.lstrip("/")))
        if any(mark in source for mark in "*$?[") or source in {".", "./", "/"}:
            continue
        if name not in paths and not paths.has_folder(name):
            return False
    return True
