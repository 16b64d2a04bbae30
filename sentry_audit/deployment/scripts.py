"""Shell scripts and Makefiles that deploy, also through one another."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import takewhile
from posixpath import basename, dirname, join, normpath
from typing import TYPE_CHECKING

from sentry_audit.deployment.branches import branches
from sentry_audit.deployment.environments import canonical, is_parameter
from sentry_audit.deployment.gcloud import Change, setting, understand
from sentry_audit.scanners.bundling import is_bundler
from sentry_audit.scanners.shell import commands, expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sentry_audit.deployment.environments import Hint
    from sentry_audit.deployment.found import Found
    from sentry_audit.facts import Setting
    from sentry_audit.python.program import Files

_ARRAY = re.compile(r"^\s*(?:declare\s+-a\s+|readonly\s+)?(\w+)=\(([^)]*)\)", re.MULTILINE)
_TARGET = re.compile(r"^([\w./%-]+(?:\s+[\w./%-]+)*)\s*:(?!=)[^\n]*$", re.MULTILINE)
_MAKE_VARIABLE = re.compile(r"^(?:export\s+)?(\w+)\s*[?:]?:?=\s*(.*)$", re.MULTILINE)
_DEFAULT = re.compile(r"\$\{(\w+):?-[^{}]*\}")
_REQUIRED = re.compile(r"\$\{(\w+):?\?[^{}]*\}")
_ITEMS = re.compile(r"\$\{(\w+)\[[@*]\]\}")
#: What a text must hold for anything in it to deploy, build or hand on.
_WORTH = re.compile(
    r"gcloud|docker|podman|\.sh\b|\b(npm|pnpm|yarn|bun|npx|next|vite|turbo|nx|ng)\b[^\n]*\b(build|generate)|(^|\s)(\./|scripts?/|bin/)[\w-]+"
)
_DEPTH = 3


def is_script(path: str) -> bool:
    """Whether the name is a shell script's."""
    return path.endswith((".sh", ".bash"))


def is_makefile(path: str) -> bool:
    """Whether the name is a Makefile's."""
    return basename(path) in {"Makefile", "makefile", "GNUmakefile"} or path.endswith(".mk")


class Scripts:
    """Reads scripts of one tree; ``called`` are those that something calls with arguments."""

    def __init__(self, files: Files, found: Found) -> None:
        self.files = files
        self.found = found
        self.called: set[str] = set()
        self.follow: Callable[[Change, str, Sequence[Hint]], bool] = lambda *_: False

    def script(
        self,
        path: str,
        arguments: Sequence[str] = (),
        hints: Sequence[Hint] = (),
        origin: str = "script",
        depth: int = 0,
        folder: str | None = None,
    ) -> None:
        """The deployments of a script that is started with ``arguments`` in ``folder``."""
        text = self.files.text(path) or ""
        folder = self._folder(path) if folder is None else folder
        variables = {str(number): value for number, value in enumerate(arguments, 1)}
        more = [(value, "the script's argument") for value in arguments if "$" not in value]
        self.text(path, text, variables, [*hints, *more], origin, depth, folder=folder)

    def _folder(self, path: str) -> str:
        """Where a script is taken to be started: its own folder if an image can be built there, else the root."""
        folder = dirname(path)
        built = any(
            join(folder, name) in self.files.paths for name in ("Dockerfile", "package.json", "requirements.txt")
        )
        return folder if built or join("", "Dockerfile") not in self.files.paths else ""

    def text(
        self,
        path: str,
        text: str,
        variables: dict[str, str] | None = None,
        hints: Sequence[Hint] = (),
        origin: str = "script",
        depth: int = 0,
        start: int = 1,
        folder: str = "",
        whole: str = "",
        env: tuple[Setting, ...] = (),
    ) -> None:
        """The deployments in shell ``text``, which stands in ``path`` from line ``start`` on.

        ``whole`` is the text of the whole file, when ``text`` is a part of it; ``env`` is what its processes see.
        """
        if not _WORTH.search(text):
            return
        given = variables or {}
        text = _ARRAY.sub(lambda match: f'{match[1]}="{_words(match[2])}"', _REQUIRED.sub(r"${\1}", text))
        text = _ITEMS.sub(r"${\1}", text)
        text = _DEFAULT.sub(
            lambda match: f"${{{match[1]}}}" if is_parameter(match[1]) and match[1] not in given else match[0], text
        )
        told = {canonical(value) for name, value in given.items() if is_parameter(name)}
        parts = branches(text)
        for environment, word, branch in [part for part in parts if part[0] in told] or parts:
            more = [(environment, "the script's condition")] if environment else []
            known = {**({"1": word} if word else {}), **given}
            self._text(path, branch, known, [*more, *hints], origin, depth, start, folder, whole or text, env)

    def _text(
        self,
        path: str,
        text: str,
        variables: dict[str, str] | None,
        hints: Sequence[Hint],
        origin: str,
        depth: int,
        start: int,
        folder: str,
        whole: str,
        env: tuple[Setting, ...],
    ) -> None:
        lines = _Lines(text, start)
        here = folder
        for words in (_evaluated(given) for given in commands(text, variables)):
            if words[0] == "cd" and len(words) > 1 and "$" not in words[1]:
                here = normpath(join(here, words[1]))
            elif words[0] == "export" and len(words) > 1:
                env = (*env, *_exported(words[1:]))
            elif (change := understand(words)) is not None:
                line = lines.of(words)
                self.keep(understand(words, line) or change, path, whole, line, origin, hints, here, depth, env)
            elif is_bundler(words):
                own = _exported(takewhile(lambda word: "=" in word, words))
                bundled = Change(
                    "build", "bundle", "", tuple(replace(item, build=True) for item in (*env, *own)), source=here
                )
                self.keep(bundled, path, whole, lines.of(words), origin, hints, here, depth, env)
            elif names := _secrets(words):
                for name in names:
                    self.found.secret(path, name.strip("\"'"), lines.of(words), hints)
            else:
                self._delegate(words, here, path, hints, origin, depth)

    def keep(
        self,
        change: Change,
        path: str,
        text: str,
        line: int | None,
        origin: str,
        hints: Sequence[Hint],
        folder: str,
        depth: int = 0,
        env: tuple[Setting, ...] = (),
    ) -> None:
        """Keep ``change``, seen from ``folder``; what it hands on to another file is read there."""
        if change.file:
            target = normpath(join(folder, change.file))
            target = target if target in self.files.paths else normpath(change.file)
            hands_on = change.verb in {"build", "replace"} and target in self.files.paths and depth < _DEPTH
            if hands_on and self.follow(change, target, hints):
                self.called.add(target)
                return
            change = replace(change, file=target)
        here = normpath(join(folder, change.source)) if change.source and not change.source.startswith("$") else ""
        passed = tuple(_from(item, env) for item in change.settings)
        self.found.change(path, text, replace(change, source=here, settings=passed), line, origin, hints)

    def _delegate(
        self, words: tuple[str, ...], folder: str, path: str, hints: Sequence[Hint], origin: str, depth: int
    ) -> None:
        """``./deploy.sh staging``, ``bash scripts/deploy.sh``: follow it with its arguments."""
        rest = list(words)
        if basename(rest[0]) in {"bash", "sh", "source", "."} and len(rest) > 1:
            rest = [word for word in rest[1:] if not word.startswith("-")] or rest
        name = rest[0].removeprefix("$(dirname $0)/").removeprefix("$_/")
        target = next(
            (
                item
                for item in (
                    normpath(join(folder, name)),
                    normpath(name.lstrip("/")),
                    join(dirname(path), basename(name)),
                )
                if item in self.files.paths
            ),
            "",
        )
        if not target or not (is_script(target) or "." not in basename(target)) or target == path or depth >= _DEPTH:
            return
        text = self.files.text(target) or ""
        if "gcloud" in text or "docker build" in text:
            self.called.add(target)
            self.script(target, rest[1:], [*hints], origin, depth + 1, folder)

    def makefile(self, path: str) -> None:
        """The deployments of a Makefile: each target's recipe, with the target's name as a hint."""
        text = self.files.text(path) or ""
        variables = {name: value.strip() for name, value in _MAKE_VARIABLE.findall(text)}
        variables = {name: expand(_shell(value), variables) for name, value in variables.items()}
        targets = list(_TARGET.finditer(text))
        for index, match in enumerate(targets):
            end = targets[index + 1].start() if index + 1 < len(targets) else len(text)
            rows = [row[1:].lstrip("@-") if row.startswith("\t") else "" for row in text[match.end() : end].split("\n")]
            recipe = _shell("\n".join(rows))
            if "gcloud" in recipe or "docker" in recipe or ".sh" in recipe:
                start = text.count("\n", 0, match.end()) + 1
                hints = [(match[1], "the target's name")]
                self.text(path, recipe, variables, hints, "makefile", 0, start, dirname(path), whole=text)


def _exported(words: Iterable[str]) -> tuple[Setting, ...]:
    """``NAME=value`` words as what later processes see."""
    pairs = (word.partition("=") for word in words)
    return tuple(setting(name, value, "set", "plain", None, build=True) for name, mark, value in pairs if mark)


def _from(item: Setting, env: tuple[Setting, ...]) -> Setting:
    """A build argument that hands on a variable which holds a secret comes from that secret."""
    name = item.value.strip("${}")
    source = next((known for known in reversed(env) if known.name == name and known.name), None)
    if not item.build or source is None or not item.value.startswith("$"):
        return item
    return replace(
        item, sort=source.sort, secret=source.secret, version=source.version, value=source.value, is_set=source.is_set
    )


def _shell(text: str) -> str:
    """Make's ``$(NAME)`` and ``$$`` as the shell writes them."""
    return re.sub(r"\$\((\w+)\)", r"${\1}", text).replace("$$", "$")


def _words(text: str) -> str:
    """The words of an array, on one line, without quotes and comments."""
    rows = (row.partition(" #")[0] for row in text.splitlines() if not row.lstrip().startswith("#"))
    return " ".join(" ".join(rows).replace('"', " ").replace("'", " ").split())


def _evaluated(words: tuple[str, ...]) -> tuple[str, ...]:
    """``eval "$CMD"`` and ``gcloud … $FLAGS``: variables that hold several words, taken apart."""
    if words[0] == "eval":
        words = words[1:] or words
    if any(word.startswith(("gcloud ", "--", "docker ")) and " " in word for word in words):
        return tuple(
            part
            for word in words
            for part in (word.split() if word.startswith(("gcloud ", "docker ")) or " --" in word else [word])
        )
    return words


def _secrets(words: Sequence[str]) -> list[str]:
    """The secret that ``gcloud secrets create NAME`` (or ``versions add NAME``) speaks of."""
    rest = list(words)
    at = next((index for index, word in enumerate(rest) if basename(word) == "gcloud"), None)
    if at is None or rest[at + 1 : at + 2] != ["secrets"]:
        return []
    tail = rest[at + 2 :]
    if tail[:1] == ["create"]:
        return [word for word in tail[1:2] if not word.startswith("-")]
    return [word for word in tail[2:3] if not word.startswith("-")] if tail[:2] == ["versions", "add"] else []


class _Lines:
    """The line of each command: the next line on which its program stands and that is no comment."""

    def __init__(self, text: str, start: int) -> None:
        self.rows = text.split("\n")
        self.start = start
        self.at: dict[str, int] = {}

    def of(self, words: Sequence[str]) -> int | None:
        program = next((basename(word) for word in words if basename(word) in {"gcloud", "docker", "podman"}), words[0])
        verb = next(
            (word for word in words if word in {"deploy", "update", "replace", "build", "create", "submit", "add"}), ""
        )
        begin = self.at.get(program, 0)
        order: list[int] = [*range(begin, len(self.rows)), *range(begin)]
        for index in order:  # a loop's body comes again
            row = self.rows[index]
            if program in row and not row.lstrip().startswith("#") and verb in "".join(self.rows[index : index + 4]):
                self.at[program] = index + 1
                return index + self.start
        return None
