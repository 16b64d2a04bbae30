"""A script that does one thing per environment, taken apart: the text of each environment's run."""

from __future__ import annotations

import re

from sentry_audit.deployment.environments import canonical, named_in

_CASE = re.compile(r"^[ \t]*case\s+[\"']?\$\{?(\w+)[^\n]*?\bin[ \t]*$(.*?)^[ \t]*esac\b", re.MULTILINE | re.DOTALL)
_ARM = re.compile(r"^[ \t]*\(?([\w|*\"' .-]+)\)(.*?)(?:;;|\Z)", re.MULTILINE | re.DOTALL)
_IF = re.compile(
    r"^([ \t]*)if\s+(\[\[?[^\n]*?(?:==?)\s*[\"']?([\w-]+)[\"']?\s*\]\]?)[^\n]*\n(.*?)^\1fi\b", re.MULTILINE | re.DOTALL
)
_ELSE = re.compile(r"^[ \t]*(?:elif\s+\[\[?[^\n]*?==?\s*[\"']?([\w-]+)[\"']?\s*\]\]?[^\n]*|else)[ \t]*$", re.MULTILINE)
_USUAL = ("staging", "production")


def branches(text: str) -> list[tuple[str, str, str]]:
    """(environment, its name there, text) for each environment that ``text`` tells apart; the text itself if it does not.

    What does not run for an environment is blanked out, so that lines keep their numbers.
    """
    if "esac" not in text and not re.search(r"\bfi\b", text):
        return [("", "", text)]
    words: dict[str, str] = {}
    for block in _CASE.finditer(text):
        arms = list(_ARM.finditer(block[2]))
        named = {name: word for arm in arms for name, word in _names(arm[1]).items()}
        words = {**named, **words}
        if named and any(arm[1].strip() == "*" and "exit" not in arm[2] for arm in arms):
            words = {**dict(zip(_USUAL, _USUAL, strict=True)), **words}
    for block in _IF.finditer(text):
        if found := _names(block[3]):
            others = {name: word for other in _ELSE.finditer(block[4]) for name, word in _names(other[1] or "").items()}
            words = {**dict(zip(_USUAL, _USUAL, strict=True)), **words, **others, **found}
    return [(name, words[name], _resolved(text, name)) for name in sorted(words)] or [("", "", text)]


def _resolved(text: str, environment: str) -> str:
    cased = _CASE.sub(lambda block: _case(block, environment), text)
    return _IF.sub(lambda block: _if(block, environment), cased)


def _names(text: str) -> dict[str, str]:
    """The environments that the words of a pattern name, each with its word."""
    words = re.split(r"[|\"'\s]+", text)
    return {canonical(word): word for word in reversed(words) if named_in(word) == {canonical(word)}}


def _blank(text: str) -> str:
    return "\n" * text.count("\n")


def _case(block: re.Match[str], environment: str) -> str:
    arms = list(_ARM.finditer(block[2]))
    if not any(_names(arm[1]) for arm in arms):
        return block[0]
    mine = next((arm for arm in arms if environment in _names(arm[1])), None)
    mine = mine or next((arm for arm in arms if arm[1].strip() == "*"), None)
    start = block.start(2) - block.start()
    if mine is None:
        return _blank(block[0])
    head = _blank(block[0][: start + mine.start(2)])
    return head + mine[2] + _blank(block[0][start + mine.end(2) :])


def _if(block: re.Match[str], environment: str) -> str:
    if not _names(block[3]):
        return block[0]
    body, offset = block[4], block.start(4) - block.start()
    marks = [*_ELSE.finditer(body)]
    arms = [(block[3], 0, marks[0].start() if marks else len(body))]
    for index, mark in enumerate(marks):
        arms.append((mark[1] or "*", mark.end(), marks[index + 1].start() if index + 1 < len(marks) else len(body)))
    negated = "!=" in block[2]
    for name, start, end in arms:
        if name == "*" or ((environment in _names(name)) != (negated and name == block[3])):
            return _blank(block[0][: offset + start]) + body[start:end] + _blank(block[0][offset + end :])
    return _blank(block[0])
