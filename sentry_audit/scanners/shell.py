"""Shell text as a list of simple commands: enough to see what a start script or a RUN line runs."""

from __future__ import annotations

import re
import shlex
from itertools import dropwhile

Command = tuple[str, ...]
_SUBSTITUTION = re.compile(r"\$\([^()]*\)|`[^`\n]*`")
_DUPLICATED = re.compile(r"\d*>&\d|&>>?|>&")  # 2>&1 and the like: not an operator between commands
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?[-=]([^{}]*))?\}|(\w+))")
_ASSIGNMENT = re.compile(r"^([A-Za-z_]\w*)=(.*)$", re.DOTALL)
_KEYWORDS = frozenset({"if", "then", "else", "elif", "do", "while", "until", "!", "{", "exec", "time"})
_CLOSERS = frozenset({"fi", "done", "esac", "}", "export", "set", "echo", ":"})
_OPERATORS = frozenset({"&&", "||", ";", ";;", "&", "|", "(", ")", "\n"})


def expand(text: str, variables: dict[str, str]) -> str:
    """``text`` with the variables that are known put in (or the default of ``${NAME:-default}``)."""

    def value(match: re.Match[str]) -> str:
        known = variables.get(match[1] or match[3])
        return known if known is not None else match[2] if match[2] is not None else match[0]

    return _VARIABLE.sub(value, text)


def commands(text: str, variables: dict[str, str] | None = None) -> list[Command]:
    """The simple commands of ``text`` in order, without keywords, redirections and operators.

    ``NAME=value`` lines are put into what follows. Text that a shell would reject is read line by line,
    and the lines that cannot be split are left out.
    """
    known = dict(variables or {})
    found: list[Command] = []
    for given in _split(text):
        words = list(dropwhile(_KEYWORDS.__contains__, given))
        if not words or words[0] in _CLOSERS - {"export"}:
            continue
        if all(_ASSIGNMENT.match(word) for word in words if word != "export"):
            for word in words:
                if match := _ASSIGNMENT.match(word):
                    known[match[1]] = expand(match[2], known)
            continue
        found.append(tuple(_plain([expand(word, known) for word in words])))
    return [words for words in found if words]


def _split(text: str) -> list[list[str]]:
    lines = [
        line
        for line in text.replace("\\\r\n", " ").replace("\\\n", " ").split("\n")
        if not line.lstrip().startswith("#")
    ]
    lines = [_DUPLICATED.sub(" ", line) for line in lines]
    joined = _SUBSTITUTION.sub("$_", "\n".join(lines))
    try:
        tokens = _tokens(joined)
    except ValueError:  # an open quote: keep the lines that can be read
        tokens = []
        for line in lines:
            try:
                tokens += [*_tokens(_SUBSTITUTION.sub("$_", line)), "\n"]
            except ValueError:
                tokens.append("\n")
    found: list[list[str]] = [[]]
    for token in tokens:
        if token in _OPERATORS or (token and set(token) <= set("&|;()\n")):
            found.append([])
        else:
            found[-1].append(token)
    return [words for words in found if words]


def _tokens(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars="&|;()\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)


def _plain(words: list[str]) -> list[str]:
    """The words without redirections."""
    found = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif re.fullmatch(r"\d*[<>]{1,2}", word):
            skip = True
        elif not re.match(r"\d*[<>]", word) or word.startswith("<<"):
            found.append(word)
    return found
