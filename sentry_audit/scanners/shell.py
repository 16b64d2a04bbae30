"""Shell text as a list of simple commands: enough to see what a start script or a RUN line runs."""

from __future__ import annotations

import re
import shlex
from itertools import dropwhile

from msgspec import Struct

_FUNCTION = re.compile(
    r"^[ \t]*(?:function[ \t]+)?([A-Za-z_][\w-]*)[ \t]*\(\)[ \t]*\n?[ \t]*\{[^\n]*\n(.*?)^\}", re.MULTILINE | re.DOTALL
)
_DECLARES = frozenset({"local", "declare", "readonly", "typeset"})
_MANY = 64
_DEPTH = 3
Command = tuple[str, ...]
_SUBSTITUTION = re.compile(r"\$\([^()]*\)|`[^`\n]*`")
_DUPLICATED = re.compile(r"\d*>&\d|&>>?|>&")  # 2>&1 and the like: not an operator between commands
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?:(:?)[-=]([^{}]*))?\}|(\w+))")
_ASSIGNMENT = re.compile(r"^([A-Za-z_]\w*)=(.*)$", re.DOTALL)
_KEYWORDS = frozenset({"if", "then", "else", "elif", "do", "while", "until", "!", "{", "exec", "time"})
_CLOSERS = frozenset({"fi", "done", "esac", "}", "export", "set", "echo", ":"})
_OPERATORS = frozenset({"&&", "||", ";", ";;", "&", "|", "(", ")", "\n"})
_PIPE = ["|"]
_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")
_HERE = re.compile(r"^([^\n]*?)<<-?[ \t]*([\"']?)(\w+)\2([^\n]*)\n(.*?)^[ \t]*\3[ \t]*$", re.MULTILINE | re.DOTALL)
_RUNS = re.compile(r"\b(?:ba|z|da)?sh\b|\bssh\b")


class SimpleCommand(Struct, frozen=True):
    """A command's words, the files that its redirections name, and whether it reads what the one before it writes."""

    words: Command
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    piped: bool = False


def expand(text: str, variables: dict[str, str]) -> str:
    """``text`` with the variables that are known put in (or the default of ``${NAME:-default}``)."""

    def value(match: re.Match[str]) -> str:
        known = variables.get(match[1] or match[4])
        if match[3] is not None and (known is None or (match[2] and not known)):
            return expand(match[3], variables)
        return known if known is not None else match[0]

    return _VARIABLE.sub(value, text)


def here_documents(text: str, before: int = 0) -> tuple[str, dict[str, tuple[str, int]]]:
    """(``text`` with its here-documents as files, the text and first line of each by a name that counts from ``before``).

    What a shell runs (``bash <<EOF``) stays where it is; lines keep their numbers.
    """
    found: dict[str, tuple[str, int]] = {}
    if "<<" not in text:
        return text, found

    def file(match: re.Match[str]) -> str:
        if _RUNS.search(match[1]) or match[1].lstrip().startswith("#"):
            return match[0]
        name = f"here-document-{before + len(found) + 1}"
        found[name] = (match[5], match.string.count("\n", 0, match.start(5)) + 1)
        return f"{match[1]}< {name} {match[4]}\n" + "\n" * match[5].count("\n")

    return _HERE.sub(file, text), found


def commands(text: str, variables: dict[str, str] | None = None) -> list[Command]:
    """The words of each simple command of ``text``, without keywords, redirections and operators."""
    return [item.words for item in simple_commands(text, variables) if not _exports(item.words)]


def assigned(text: str, variables: dict[str, str] | None = None) -> dict[str, str]:
    """The variables, ``variables`` among them, that are known after ``text`` has run."""
    known = dict(variables or {})
    _Run({}).all(_split(_FUNCTION.sub("", text)), known)
    return known


def simple_commands(text: str, variables: dict[str, str] | None = None) -> list[SimpleCommand]:
    """The simple commands of ``text`` in order, ``export NAME=value`` among them.

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
    return [item for item in run.found if item.words]


def _exports(words: Command) -> bool:
    return words[0] == "export" and len(words) > 1 and all(_ASSIGNMENT.match(word) for word in words[1:])


class _Run:
    """What a list of commands comes to, followed as far as its words are known."""

    def __init__(self, functions: dict[str, list[list[str]]]) -> None:
        self.functions = functions
        self.found: list[SimpleCommand] = []
        self.called: set[str] = set()
        self.depth = 0

    def all(self, parts: list[list[str]], known: dict[str, str]) -> None:
        """Run ``parts`` in order; ``known`` changes with them."""
        at = 0
        while at < len(parts):
            piped = parts[at][0] == "|"
            words = list(dropwhile(_KEYWORDS.__contains__, parts[at][piped:]))
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
            self._one(words, known, piped)

    def _one(self, words: list[str], known: dict[str, str], piped: bool = False) -> None:
        if not words or words[0] in _CLOSERS - {"export"}:
            return
        if words[0] in _DECLARES:
            words = [word for word in words if word not in _DECLARES and not word.startswith("-")] or words
        if all(_ASSIGNMENT.match(word) for word in words if word != "export"):
            for word in words:
                if (match := _ASSIGNMENT.match(word)) and match[2] not in {f"${match[1]}", f"${{{match[1]}}}"}:
                    value = expand(match[2], known)
                    known[match[1]] = value if match[1] in known else expand(value, {match[1]: ""})  # unset is empty
        if words[0] == "export":
            names = [word.partition("=")[0] for word in words[1:]]
            given = [f"{name}={known[name]}" for name in names if name in known]
            self.found.append(SimpleCommand(("export", *given) if given else ()))
            return
        if all(_ASSIGNMENT.match(word) for word in words):
            return
        given, reads, writes = _redirected([expand(word, known) for word in words])
        if given and given[0] in self.functions and self.depth < _DEPTH and len(self.found) < _MANY * 4:
            self.called.add(given[0])
            self.depth += 1
            self.all(self.functions[given[0]], known | {str(at): word for at, word in enumerate(given[1:], 1)})
            self.depth -= 1
            return
        self.found.append(SimpleCommand(tuple(given), tuple(reads), tuple(writes), piped))


def _set(known: dict[str, str], name: str, value: str) -> dict[str, str]:
    """``known`` itself with ``name`` set: what a loop's body assigns is there after it."""
    known[name] = value
    return known


def _end(parts: list[list[str]], start: int) -> int:
    """The index of the ``done`` that closes the loop whose body begins at ``start``."""
    depth = 0
    for index in range(start, len(parts)):
        first = next((word for word in parts[index] if word not in {"do", "then", "else", "|"}), "")
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
    lines = [_DUPLICATED.sub(" ", _uncommented(line) if " #" in line else line) for line in lines]
    joined = _substituted("\n".join(lines))
    try:
        tokens = _tokens(joined)
    except ValueError:  # an open quote: keep the lines that can be read
        tokens = []
        for line in lines:
            try:
                tokens += [*_tokens(_substituted(line)), "\n"]
            except ValueError:
                tokens.append("\n")
    found: list[list[str]] = [[]]
    for token in tokens:
        if token in _OPERATORS or (token and set(token) <= set("&|;()\n")):
            operator = token.strip("\n")
            if operator or found[-1] != _PIPE:  # a line may end with the pipe
                found.append([*_PIPE] if operator == "|" else [])
        else:
            found[-1].append(token)
    return [words for words in found if words and words != _PIPE]


def _uncommented(line: str) -> str:
    """``line`` without the comment at its end; one that may lie within quotes is left."""
    at = line.find(" #")
    while at >= 0:
        code, comment = line[:at], _APOSTROPHE.sub("", line[at:])
        if not any(text.count(quote) % 2 for text in (code, comment) for quote in "\"'`"):
            return code
        at = line.find(" #", at + 1)
    return line


def _substituted(text: str) -> str:
    """``text`` with ``$_`` in place of each command substitution, also of those inside others."""
    before = ""
    while before != text:
        before, text = text, _SUBSTITUTION.sub("$_", text)
    return text


def _tokens(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars="&|;()\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)


def _redirected(words: list[str]) -> tuple[list[str], list[str], list[str]]:
    """(the words without redirections, the files that are read, the files that are written)."""
    found: list[str] = []
    files: tuple[list[str], list[str]] = ([], [])
    pending: list[str] | None = None
    for word in words:
        if pending is not None:
            pending.append(word)
            pending = None
        elif match := re.match(r"\d*([<>])[<>|]?(?!<)", word):
            into = files[match[1] == ">"]
            if word[match.end() :]:
                into.append(word[match.end() :])
            else:
                pending = into
        else:
            found.append(word)
    return found, *files
