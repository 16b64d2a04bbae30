"""Commands that install Python packages, understood: what each of them puts into an image."""

from __future__ import annotations

import re
from posixpath import basename

from msgspec import Struct, field
from msgspec.structs import replace

from sentry_audit.facts import Install

_VALUED = frozenset(
    {"-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-t", "--target", "--prefix",
     "--root", "--timeout", "--default-timeout", "--trusted-host", "--cache-dir", "--python", "-p", "--retries",
     "--no-binary", "--only-binary", "--progress-bar", "--src", "-d", "--dest", "-w", "--wheel-dir", "--platform",
     "--python-version", "--implementation", "--abi", "--proxy", "--cert", "--log", "--override", "--index-strategy",
     "--link-mode", "--config-settings", "--root-user-action", "--upgrade-strategy", "--constraints", "--build-constraint",
     "-o", "--output", "--output-file", "--format", "--index", "--exclude-newer", "--resolution", "--torch-backend"}
)  # fmt: skip
_FILE = re.compile(r"\.(whl|tar\.gz|zip)$")
_EGG = re.compile(r"[#&]egg=([\w.-]+)")


class _Words(Struct):
    """The arguments of a command, taken apart: options with their values, and the rest."""

    options: list[tuple[str, str]] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)

    def all(self, *names: str) -> tuple[str, ...]:
        """The values of an option, split at commas and spaces."""
        return tuple(
            part for name, value in self.options if name in names for part in re.split(r"[,\s]+", value) if part
        )

    def has(self, *names: str) -> bool:
        return any(name in names for name, _ in self.options)


def understand(command: tuple[str, ...], line: int, environment: dict[str, str]) -> tuple[Install | None, str]:
    """(the install step that ``command`` is, what could not be followed). File names stand as written.

    ``environment`` are the variables set so far (UV_NO_DEV and the like).
    """
    words = list(command)
    while words and (words[0] in {"sudo", "env", "time", "nice"} or ("=" in words[0] and not words[0].startswith("-"))):
        words = words[1:]
    program = basename(words[0]) if words else ""
    rest = words[1:]
    if re.fullmatch(r"(python|pypy)[\d.]*", program) and rest[:2] and rest[0] == "-m":
        program, rest = rest[1], rest[2:]
    if re.fullmatch(r"pip[\d.]*", program):
        return _pip(rest, line)
    if program == "uv":
        return _uv(rest, line, environment)
    if program == "poetry":
        return _poetry(rest, line)
    if program == "pipenv" and _command(rest) in {"install", "sync", "requirements", "lock"}:
        given = _parse(rest, {"--index", "-r", "--requirements"})
        return Install("pipenv", line, files=given.all("-r", "--requirements"), dev=given.has("--dev", "-d")), ""
    if program == "pdm" and _command(rest) in {"install", "sync", "export"}:
        given = _parse(rest, {"-G", "--group", "--with", "--without", "-p", "--project", "-o"})
        groups = given.all("-G", "--group", "--with")
        production = given.has("--prod", "--production", "--no-dev")
        return Install(
            "pdm", line, groups=groups, extras=groups, without=given.all("--without"), dev=not production
        ), ""
    if program in {"conda", "mamba", "micromamba"} and {"install", "create", "update"} & set(rest):
        return None, f"{program} installs packages, which was not followed"
    text = " ".join(command)
    if program in {"make", "just", "invoke", "task", "tox", "nox", "rye", "hatch", "pipx"} or program.endswith(".sh"):
        if program.endswith(".sh") or re.search(r"install|deps|sync|requirements|build", " ".join(rest)):
            return None, f"`{text[:60]}` may install packages, which was not followed"
    return None, ""


def _command(words: list[str]) -> str:
    return next((word for word in words if not word.startswith("-")), "")


def _parse(words: list[str], valued: set[str] | frozenset[str]) -> _Words:
    given = _Words()
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if not word.startswith("-") or word == "-":
            given.plain.append(word)
        elif "=" in word:
            name, _, value = word.partition("=")
            given.options.append((name, value))
        elif word in valued and at < len(words):
            given.options.append((word, words[at]))
            at += 1
        elif re.match(r"-[rceEG][^-]", word) and word[:2] in valued:
            given.options.append((word[:2], word[2:]))
        else:
            given.options.append((word, ""))
    given.plain = given.plain or []
    return given


def _pip(words: list[str], line: int, tool: str = "pip") -> tuple[Install | None, str]:
    if _command(words) not in {"install", "wheel", "download", "sync"}:
        return None, ""
    given = _parse(words, _VALUED | {"-r", "--requirement", "--requirements", "-e", "--editable", "--extra", "--group"})
    arguments = given.plain[1:]
    files = list(given.all("-r", "--requirement", "--requirements"))
    if _command(words) == "sync":
        files, arguments = [*files, *arguments], []
    packages: list[str] = []
    extras = list(given.all("--extra"))
    unresolved = ""
    for argument in [*arguments, *given.all("-e", "--editable")]:
        target, _, extra = argument.partition("[")
        if argument.startswith("git+") or "://" in argument:
            egg = _EGG.search(argument)
            head = argument.partition(" @ ")[0] if " @ " in argument else ""
            packages.append(egg[1] if egg else head or basename(argument.partition("@")[0]).removesuffix(".git"))
        elif "*" in target or _FILE.search(target):
            unresolved = f"pip installs {argument}, and what is in it was not followed"
        elif target.startswith((".", "/")) or target.endswith("/"):
            files.append(target)
            extras += [part.strip() for part in extra.rstrip("]").split(",") if part.strip()]
        elif target.startswith("$"):
            unresolved = f"pip installs {argument}, whose value is not known"
        else:
            packages.append(argument)
    extras += ["*"] * given.has("--all-extras")
    step = Install(
        tool, line, files=tuple(files), packages=tuple(packages), extras=tuple(extras), groups=given.all("--group")
    )
    return (step if files or packages else None), unresolved


def _poetry(words: list[str], line: int) -> tuple[Install | None, str]:
    valued = {
        "--with",
        "--without",
        "--only",
        "-E",
        "--extras",
        "-C",
        "--directory",
        "-P",
        "--project",
        "-o",
        "--output",
        "-f",
        "--format",
    }
    given = _parse(words, valued)
    command = given.plain[0] if given.plain else ""
    if command not in {"install", "export", "sync"}:
        return None, ""
    extras = given.all("-E", "--extras") + ("*",) * given.has("--all-extras")
    only = given.all("--only") + ("main",) * given.has("--no-dev", "--only-root")
    groups = given.all("--with")
    folder = given.all("-C", "--directory", "-P", "--project")
    dev = (command != "export" or given.has("--dev", "--with-dev")) and not given.has("--no-dev")
    step = Install(
        "poetry", line, files=folder, groups=groups, without=given.all("--without"), only=only, extras=extras, dev=dev
    )
    return (None, "") if given.has("--only-root") else (step, "")


def _uv(words: list[str], line: int, environment: dict[str, str]) -> tuple[Install | None, str]:
    if words[:1] == ["pip"]:
        return _pip(words[1:], line, "pip")
    valued = _VALUED | {
        "--group",
        "--no-group",
        "--only-group",
        "--extra",
        "--no-extra",
        "--package",
        "--project",
        "--directory",
    }
    given = _parse(words, valued)
    command = given.plain[0] if given.plain else ""
    if command == "add":
        return Install("pip", line, packages=tuple(given.plain[1:])), ""
    if command not in {"sync", "export"}:
        return None, ""
    without = given.all("--no-group")
    only = given.all("--only-group")
    off = (
        given.has("--no-dev", "--no-default-groups")
        or environment.get("UV_NO_DEV", "") in {"1", "true"}
        or "dev" in without
    )
    groups = given.all("--group") + (() if off else ("dev",))
    extras = given.all("--extra") + ("*",) * given.has("--all-extras")
    files = given.all("--project", "--directory") + tuple(f"package:{name}" for name in given.all("--package"))
    step = Install("uv", line, files=files, groups=groups, without=without, only=only, extras=extras)
    return (replace(step, dev=True) if given.has("--all-groups", "--all-packages") else step), ""
