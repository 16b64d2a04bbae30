"""Shell text made plain before it is read, and the words of its commands: arrays, defaults, ``eval``, secrets."""

from __future__ import annotations

import re
from posixpath import basename
from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import is_parameter, named_in

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

_ARRAY = re.compile(r"^[ \t]*(?:declare\s+-a\s+|readonly\s+|local\s+(?:-a\s+)?)?(\w+)(\+?)=\(([^)]*)\)", re.MULTILINE)
_DEFAULT = re.compile(r"(?:(?P<to>\w+)=[\"']?)?\$\{(?P<name>\w+):?-(?P<default>[^{}]*)\}")
_REQUIRED = re.compile(r"\$\{(\w+):?\?[^{}]*\}")
_ITEMS = re.compile(r"\$\{(\w+)\[[@*]\]\}")


def plain(text: str, given: Container[str]) -> str:
    """``text`` with arrays as variables, and without the default of an environment's name that is not ``given``."""
    text = _ITEMS.sub(r"${\1}", _ARRAY.sub(_one_word, _REQUIRED.sub(r"${\1}", text)))

    def chosen(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if not is_parameter(name) or name in given:
            return match[0]
        if name.isdigit() and match["to"] and not any(map(is_parameter, (match["to"], default.strip("$")))):
            if not named_in(default):  # REGION=${1:-us-central1} names no environment
                return match[0]
        return match[0][: match.start("name") - match.start()] + name + "}"

    return _DEFAULT.sub(chosen, text)


def _one_word(match: re.Match[str]) -> str:
    """An array as one variable that holds its words; the lines that it took stay."""
    before = f"${{{match[1]}}} " if match[2] else ""
    return f'{match[1]}="{before}{_words(match[3])}"' + "\n" * match[0].count("\n")


def _words(text: str) -> str:
    """The words of an array, on one line, without quotes and comments."""
    rows = (row.partition(" #")[0] for row in text.splitlines() if not row.lstrip().startswith("#"))
    return " ".join(" ".join(rows).replace('"', " ").replace("'", " ").split())


def evaluated(words: tuple[str, ...]) -> tuple[str, ...]:
    """``eval "$CMD"`` and ``gcloud … $FLAGS``: variables that hold several words, taken apart."""
    if words[0] == "eval":
        words = words[1:] or words
    if any(word.lstrip().startswith(("gcloud ", "--", "docker ")) and " " in word for word in words):
        return tuple(
            part
            for word in words
            for part in (word.split() if word.startswith(("gcloud ", "docker ")) or " --" in word else [word])
        )
    return words


def secret_of(words: Sequence[str]) -> tuple[list[str], str]:
    """The secret that ``gcloud secrets create NAME`` creates or ``versions add NAME`` gives a value, and which it is."""
    rest = list(words)
    at = next((index for index, word in enumerate(rest) if basename(word) == "gcloud"), None)
    if at is None or rest[at + 1 : at + 2] != ["secrets"]:
        return [], ""
    match rest[at + 2 :]:
        case ["create", name, *_] if not name.startswith("-"):
            return [name], "script"
        case ["versions", "add", name, *_] if not name.startswith("-"):
            return [name], "version"
    return [], ""
