"""What a Dockerfile gives to the bundler that it runs: arguments, variables, mounted secrets, and git's history."""

from __future__ import annotations

import re
from itertools import dropwhile
from posixpath import basename
from typing import TYPE_CHECKING

from msgspec import Struct, field

from sentry_audit.scanners.instructions import Instruction, read
from sentry_audit.scanners.shell import commands

if TYPE_CHECKING:
    from collections.abc import Sequence

_RUNNERS = frozenset({"npm", "pnpm", "yarn", "bun", "npx", "bunx", "turbo", "nx", "next", "vite", "ng", "nuxt", "nuxi", "gatsby",
                      "astro", "remix", "webpack", "rollup", "esbuild", "corepack", "lerna", "rush"})  # fmt: skip
_PAIR = re.compile(r"""([A-Za-z_]\w*)(?:=("[^"]*"|'[^']*'|\S*))?""")
_OLD_ENV = re.compile(r"^([A-Za-z_]\w*)\s+(.+)$", re.DOTALL)
_REFERENCE = re.compile(r"\$\{?([A-Za-z_]\w*)")
_WITHOUT_GIT = re.compile(r"alpine|slim|distroless|bun\b|scratch", re.IGNORECASE)


class Mount(Struct, frozen=True):
    """A secret that a RUN mounts: its id, and the variable that the command gets it in (``""``: none, ``?``: untold)."""

    id: str
    variable: str
    line: int


class Stage(Struct):
    """What a stage has so far: an argument counts only where it is declared, in its stage and those made from it."""

    args: dict[str, tuple[str, int]] = field(default_factory=dict)
    env: dict[str, tuple[str, int]] = field(default_factory=dict)
    git: bool = False


class Bundling(Struct):
    """What one Dockerfile says of the bundler's run.

    ``line`` is where it runs, None if nothing in the file bundles. ``args`` are (default, line) by name, ``env`` (value as
    written, line); ``last`` are those of the stage that starts. ``copies`` are the sources of COPY; ``git`` is true where
    a git program is there.
    """

    path: str
    text: str = ""
    line: int | None = None
    args: dict[str, tuple[str, int]] = field(default_factory=dict)
    env: dict[str, tuple[str, int]] = field(default_factory=dict)
    mounts: list[Mount] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    git: bool = False
    last: Stage = field(default_factory=Stage)


def bundling(path: str, text: str) -> Bundling:
    """What the Dockerfile ``text`` gives to a bundler, and to what it starts."""
    found = Bundling(path, text)
    stage = Stage()
    outside: dict[str, tuple[str, int]] = {}
    named: dict[str, Stage] = {}
    inside = False
    for item in read(text):
        if item.name == "FROM":
            words = item.value.split()
            base = named.get(words[0].lower()) if words else None
            stage = Stage(git=bool(words) and not _WITHOUT_GIT.search(words[0]))
            if base is not None:
                stage = Stage(dict(base.args), dict(base.env), base.git)
            if len(words) > 2 and words[1].lower() == "as":
                named[words[2].lower()] = stage
            inside = True
        elif item.name == "ARG":
            for match in _PAIR.finditer(item.value):
                given = (match[2] or "").strip("\"'") or outside.get(match[1], ("", 0))[0]
                (stage.args if inside else outside)[match[1]] = (given, item.line)
        else:
            _take(found, stage, item)
    found.last = stage
    return found


def _take(found: Bundling, stage: Stage, item: Instruction) -> None:
    if item.name == "ENV":
        old = _OLD_ENV.match(item.value) if "=" not in item.value.partition(" ")[0] else None
        pairs = [(old[1], old[2])] if old else [(match[1], match[2] or "") for match in _PAIR.finditer(item.value)]
        for name, value in pairs:
            stage.env[name] = (value.strip().strip("\"'"), item.line)
    elif item.name in {"COPY", "ADD"} and not item.flag("from"):
        words = list(item.words or item.value.split())
        found.copies += words[:-1]
    elif item.name == "RUN":
        _run(found, stage, item)


def _run(found: Bundling, stage: Stage, item: Instruction) -> None:
    text = f"{item.value}\n{item.body}"
    found.mounts += [
        mount for name, value in item.flags if name == "mount" for mount in _mounts(value, text, item.line)
    ]
    if re.search(r"\b(apk|apt|apt-get|yum|dnf|microdnf)\b[^\n]*\bgit\b", text):
        stage.git = True
    if runs_bundler(item):
        found.line = found.line or item.line
        found.args |= stage.args
        found.env |= stage.env
        found.git = found.git or stage.git


def runs_bundler(item: Instruction) -> bool:
    """Whether a RUN builds a front end."""
    return item.name == "RUN" and any(map(is_bundler, commands(f"{item.value}\n{item.body}")))


def is_bundler(words: Sequence[str]) -> bool:
    """``npm run build``, ``pnpm turbo build --filter web``, ``ng build``: whether a command builds a front end."""
    rest = list(dropwhile(lambda word: "=" in word or word in {"env", "exec", "dotenv", "cross-env", "time"}, words))
    return (
        bool(rest)
        and basename(rest[0]) in _RUNNERS
        and any(word.partition(":")[0] in {"build", "generate", "export"} for word in rest[1:])
    )


def _mounts(value: str, text: str, line: int) -> list[Mount]:
    """The secret of one ``--mount``, and how the command reads it."""
    fields = dict(part.partition("=")[::2] for part in value.split(","))
    if fields.get("type") != "secret":
        return []
    target = fields.get("target") or fields.get("dst") or fields.get("destination") or ""
    name = fields.get("id") or basename(target)
    if fields.get("env"):
        return [Mount(name, fields["env"], line)]
    place = target or f"/run/secrets/{name}"
    read_as = re.search(rf"""\b([A-Za-z_]\w*)=["']?(?:\$\(|`)\s*(?:cat|<)\s*["']?{re.escape(place)}""", text)
    if read_as:
        return [Mount(name, read_as[1], line)]
    told = "/run/secrets" in text or place in text or re.search(r"sentryclirc|build-plugin|\.env|\.properties", target)
    handed = re.search(r"\.sh\b|\b(source|make|just|task)\b|(^|\s)\./", text)  # a script may read it
    return [Mount(name, "?" if told or handed else "", line)]


def references(value: str) -> list[str]:
    """The variables that a value of ENV is made of."""
    return _REFERENCE.findall(value)
