"""Shell text as a list of simple commands: enough to see what a start script or a RUN line runs."""

from __future__ import annotations

import re
import shlex
from itertools import dropwhile

_FUNCTION = re.compile(
    r"^[ \t]*(?:function[ \t]+)?([A-Za-z_][\w-]*)[ \t]*\(\)[ \t]*\n?[ \t]*\{[^\n]*\n(.*?)^\}", re.MULTILINE | re.DOTALL
)
_DECLARES = frozenset({"local", "declare", "readonly", "typeset"})
_MANY = 64
_DEPTH = 3
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

    ``NAME=value`` lines are put into what follows, ``for`` loops over known words are unrolled, and functions run where
    they are called. Text that a shell would reject is read line by line, and lines that cannot be split are left out.
    """
    known = dict(variables or {})
    functions: dict[str, list[list[str]]] = {}
    if "()" in text or "function " in text:
        for name, body in _FUNCTION.findall(text):
            functions[name] = _split(body)
        text = _FUNCTION.sub("", text)
    run = _Run(functions)
    run.all(_split(text), known)
    for name, parts in functions.items():
        if name not in run.called:
            run.all(parts, dict(known))
    return [words for words in run.found if words]


class _Run:
    """What a list of commands comes to, followed as far as its words are known."""

    def __init__(self, functions: dict[str, list[list[str]]]) -> None:
        self.functions = functions
        self.found: list[Command] = []
        self.called: set[str] = set()
        self.depth = 0

    def all(self, parts: list[list[str]], known: dict[str, str]) -> None:
        """Run ``parts`` in order; ``known`` changes with them."""
        at = 0
        while at < len(parts):
            words = list(dropwhile(_KEYWORDS.__contains__, parts[at]))
            at += 1
            if words[:1] == ["for"] and words[2:3] == ["in"] and len(self.found) < _MANY:
                end = _end(parts, at)
                values = " ".join(expand(word, known) for word in words[3:]).split()
                if 0 < len(values) <= _MANY:
                    for value in values:
                        self.all(
                            parts[at:end], known | {words[1]: value} if "$" in value else _set(known, words[1], value)
                        )
                    at = end + 1
                    continue
            self._one(words, known)

    def _one(self, words: list[str], known: dict[str, str]) -> None:
        if not words or words[0] in _CLOSERS - {"export"}:
            return
        if words[0] in _DECLARES:
            words = [word for word in words if word not in _DECLARES and not word.startswith("-")] or words
        if all(_ASSIGNMENT.match(word) for word in words if word != "export"):
            for word in words:
                if match := _ASSIGNMENT.match(word):
                    known[match[1]] = expand(match[2], {match[1]: "", **known})  # unset is empty
            return
        given = _plain([expand(word, known) for word in words])
        if given and given[0] in self.functions and self.depth < _DEPTH and len(self.found) < _MANY * 4:
            self.called.add(given[0])
            self.depth += 1
            self.all(self.functions[given[0]], known | {str(at): word for at, word in enumerate(given[1:], 1)})
            self.depth -= 1
            return
        self.found.append(tuple(given))


def _set(known: dict[str, str], name: str, value: str) -> dict[str, str]:
    """``known`` itself with ``name`` set: what a loop's body assigns is there after it."""
    known[name] = value
    return known


def _end(parts: list[list[str]], start: int) -> int:
    """The index of the ``done`` that closes the loop whose body begins at ``start``."""
    depth = 0
    for index in range(start, len(parts)):
        first = next((word for word in parts[index] if word not in {"do", "then", "else"}), "")
        if first in {"for", "while", "until", "select"}:
            depth += 1
        elif first == "done":
            if not depth:
                return index
            depth -= 1
    return len(parts)


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
