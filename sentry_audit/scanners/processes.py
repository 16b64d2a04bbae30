"""What starts the pieces of a repository: Procfile, compose files, App Engine, supervisord."""

from __future__ import annotations

import re
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import Fact, Process
from sentry_audit.model import Evidence
from sentry_audit.scanners.base import Found, Scanner
from sentry_audit.scanners.dotenv import environment_of
from sentry_audit.scanners.nodes import children, compose, items, text_of
from sentry_audit.scanners.shell import commands
from sentry_audit.scanners.variables import declared

if TYPE_CHECKING:
    from collections.abc import Callable

_COMPOSE = re.compile(r"^(docker-)?compose([._-].*)?\.ya?ml$|^docker-compose.*\.ya?ml$")
_PROC = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")
_OTHERS = frozenset({"qa", "uat", "preview", "sandbox", "demo"})
_KINDS = frozenset({"process"})


def matches(path: str) -> bool:
    """``Procfile``, ``docker-compose*.yml``, ``compose.yaml``, ``app.yaml``, ``supervisord.conf``."""
    name = path.rsplit("/", 1)[-1]
    return (
        name == "Procfile"
        or name in {"app.yaml", "app.yml"}
        or (name.endswith((".conf", ".ini")) and ("supervisor" in path or name in {"worker.conf", "workers.conf"}))
        or is_compose(path)
    )


def is_compose(path: str) -> bool:
    """Whether the name is a compose file's."""
    return path.endswith((".yml", ".yaml")) and bool(_COMPOSE.match(path.rsplit("/", 1)[-1]))


def speaks_of(path: str) -> str:
    """The environment of a compose file: what its name says, else development, for which such files are."""
    words = re.split(r"[._-]", path.rsplit("/", 1)[-1].lower())
    return environment_of(path) or next((word for word in words if word in _OTHERS), "development")


def scan(path: str, text: str) -> Found:
    """The processes that the file declares, and the environment that it gives them."""
    name = path.rsplit("/", 1)[-1]
    if name == "Procfile":
        return tuple(_procfile(path, text)), ()
    if name.endswith((".conf", ".ini")):
        return tuple(_supervisor(path, text)), ()
    return _yaml(path, text, _app if name.startswith("app.") else _compose)


def _process(path: str, name: str, words: tuple[str, ...], line: int | None, **more: str) -> Process:
    saw = Evidence(path, line, None, None, " ".join(words)[:100])
    return Process(
        path=path, name=name, command=words, line=line, evidence=(saw,), **{"context": dirname(path), **more}
    )


def _procfile(path: str, text: str) -> list[Fact]:
    found: list[Fact] = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _PROC.match(line)
        if match and match[1] != "release":
            here = dirname(path)
            for words in commands(match[2]):
                if words[0] == "cd" and len(words) > 1:
                    here = normpath(join(here, words[1]))
                    continue
                found.append(_process(path, match[1], words, number, origin="procfile", context=here))
    return found


def _supervisor(path: str, text: str) -> list[Fact]:
    import configparser

    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return []
    found: list[Fact] = []
    for section in parser.sections():
        kind, _, name = section.partition(":")
        if kind != "program" or not parser.has_option(section, "command"):
            continue
        command = parser.get(section, "command")
        line = next((number for number, row in enumerate(text.splitlines(), 1) if f"[{section}]" in row), None)
        words = commands(command)[-1:]
        if words:
            found.append(_process(path, name, words[0], line, origin="supervisor"))
    return found


def _yaml(path: str, text: str, reader: Callable[[str, Any], list[Fact]]) -> Found:
    nodes, problems = compose(path, text, _KINDS)
    return tuple(fact for node in nodes for fact in reader(path, node)), tuple(problems)


def words_of(node: Any) -> tuple[str, ...]:
    """The last command of a compose file's ``command`` or ``entrypoint``."""
    if node is None:
        return ()
    if isinstance(node.value, str):
        found = commands(node.value.replace("$$", "$"))
        return found[-1] if found else ()
    words = tuple(text_of(item) for item in items(node))
    if len(words) > 2 and words[0] in {"sh", "bash", "/bin/sh", "/bin/bash"} and words[1].startswith("-"):
        found = commands(words[-1])
        return found[-1] if found else ()
    return words


def _compose(path: str, node: Any) -> list[Fact]:
    found: list[Fact] = []
    environment = speaks_of(path)
    for name, service in children(children(node).get("services")).items():
        fields = children(service)
        context, image = built(path, fields.get("build"))
        words = words_of(fields.get("command"))
        entry = words_of(fields.get("entrypoint"))
        line = service.start_mark.line
        command = fields.get("command") or fields.get("entrypoint")
        begins = command.start_mark.line + 1 if command is not None else line
        if "build" in fields or words or entry:
            found.append(_process(path, name, words or entry, begins, origin="compose", image=image, context=context))
        found += _environment(path, fields.get("environment"), environment)
    return found


def built(path: str, node: Any) -> tuple[str, str]:
    """(the build context, the Dockerfile), relative to the root."""
    folder = dirname(path)
    if node is None:
        return folder, ""
    fields = children(node)
    context = text_of(fields.get("context")) if fields else text_of(node)
    if "://" in context or context.startswith("$"):
        return folder, ""
    context = normpath(join(folder, context or "."))
    context = "" if context == "." else context
    return context, normpath(join(context, text_of(fields.get("dockerfile")) or "Dockerfile"))


def _environment(path: str, node: Any, environment: str = "", origin: str = "compose") -> list[Fact]:
    found: list[Fact] = []
    for name, value in children(node).items():
        line = value.start_mark.line + 1
        found += declared(path, name, text_of(value), line, origin=origin, environment=environment)
    for item in items(node):
        name, mark, value = text_of(item).partition("=")
        if mark:
            line = item.start_mark.line + 1
            found += declared(path, name, value, line, origin=origin, environment=environment)
    return found


def _app(path: str, node: Any) -> list[Fact]:
    fields = children(node)
    entry = fields.get("entrypoint")
    runtime = text_of(fields.get("runtime"))
    found: list[Fact] = []
    if not runtime.startswith("python"):
        return found
    if entry is not None and isinstance(entry.value, str):
        line = entry.start_mark.line + 1
        found += [_process(path, "app", words, line, origin="app.yaml") for words in commands(entry.value)[-1:]]
    elif "runtime" in fields:
        words = ("gunicorn", "main:app")  # cloud.google.com/appengine/docs/standard/python3/runtime: the default
        found.append(_process(path, "app", words, fields["runtime"].start_mark.line + 1, origin="app.yaml"))
    found += _environment(path, fields.get("env_variables"), origin="app.yaml")
    return found


SCANNER = Scanner("processes", matches, scan)
