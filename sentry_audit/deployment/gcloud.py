"""``gcloud run`` and ``docker build`` commands, understood: what they set, update, remove and clear.

Semantics: cloud.google.com/sdk/gcloud/reference/run/deploy. ``--set-env-vars`` removes all plain variables first,
``--set-secrets`` all secret ones; ``--update-*`` keeps the others.
"""

from __future__ import annotations

import re
from posixpath import basename
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit import dsn
from sentry_audit.deployment import location
from sentry_audit.deployment.inputs import Input, Unread, flags, variables
from sentry_audit.facts import Setting
from sentry_audit.scanners.variables import shown

if TYPE_CHECKING:
    from sentry_audit.deployment.inputs import Look

_GROUPS = frozenset({"alpha", "beta"})
_CHANGES = {
    "--set-env-vars": ("set", "plain"),
    "--update-env-vars": ("update", "plain"),
    "--remove-env-vars": ("remove", "plain"),
    "--clear-env-vars": ("clear", "plain"),
    "--set-secrets": ("set", "secret"),
    "--update-secrets": ("update", "secret"),
    "--remove-secrets": ("remove", "secret"),
    "--clear-secrets": ("clear", "secret"),
    "--env-vars-file": ("file", "plain"),
}
#: Variables that buildpacks see while they build from source; a Dockerfile gets none of them.
_BUILDING = {"--set-build-env-vars": "set", "--update-build-env-vars": "update"}
_SWITCHES = frozenset(
    {"--quiet", "-q", "--allow-unauthenticated", "--no-allow-unauthenticated", "--no-traffic", "--async", "--cpu-boost",
     "--no-cpu-boost", "--cpu-throttling", "--no-cpu-throttling", "--clear-env-vars", "--clear-secrets", "--use-http2",
     "--clear-build-env-vars",
     "--execute-now", "--wait", "--default-url", "--no-default-url", "--iap", "--no-iap", "--session-affinity"}
)  # fmt: skip
_BUILD_VALUES = frozenset(
    {"-t", "--tag", "-f", "--file", "--build-arg", "--target", "--platform", "--secret", "--destination", "--context",
     "--dockerfile", "--cache-from", "--cache-to", "--network", "--label", "--progress", "-o", "--output"}
)  # fmt: skip
_REFERENCE = re.compile(
    r"^(?:projects/(?P<project>[^/]+)/secrets/)?(?P<name>[^:/]+)(?:/versions/|:)?(?P<version>[^:/]*)$"
)


class Change(Struct, frozen=True):
    """One command that changes a service or job, or builds an image. ``verb``: deploy, update, replace, build.

    ``file`` is the manifest of ``services replace``, or the Dockerfile of a build; ``unresolved`` what was not followed,
    ``ignored`` what is without effect.
    """

    verb: str
    resource: str
    service: str
    settings: tuple[Setting, ...] = ()
    image: str = ""
    source: str = ""
    project: str = ""
    file: str = ""
    unresolved: tuple[str, ...] = ()
    substitutions: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    region: str = ""


def _not_read(name: str) -> Input:
    return Input(reason=f"{name} was not read")


def understand(words: tuple[str, ...], line: int | None = None, look: Look = _not_read) -> Change | None:
    """What a command changes, or None if it deploys and builds nothing; ``look`` gives the files that it takes."""
    at = next((index for index, word in enumerate(words) if basename(word) in {"gcloud", "docker", "podman"}), None)
    if at is None:
        return None
    program, rest = basename(words[at]), list(words[at + 1 :])
    if program == "gcloud":
        rest, unread = _flags_files(rest, look)
        first = []
        while rest and rest[0].startswith("-"):
            first += rest[:1] if "=" in rest[0] or rest[0] in _SWITCHES else rest[:2]
            rest = rest[1:] if "=" in rest[0] or rest[0] in _SWITCHES else rest[2:]
        plain = [word for index, word in enumerate(rest) if word not in _GROUPS or index > 1]
        change = _gcloud([*plain, *first], line, look)
        return change and replace(change, unresolved=(*change.unresolved, *unread))
    if rest[:1] == ["buildx"]:
        rest = rest[1:]
    return build(rest[1:], line) if rest[:1] == ["build"] else None


def _flags_files(words: list[str], look: Look) -> tuple[list[str], list[str]]:
    """(the words with the flags of each ``--flags-file`` in its place, why some were not read)."""
    found: list[str] = []
    unread: list[str] = []
    rest = iter(words)
    for word in rest:
        if word != "--flags-file" and not word.startswith("--flags-file="):
            found.append(word)
            continue
        name = word.partition("=")[2] or next(rest, "")
        try:
            found += flags(look, name)
        except Unread as error:
            unread.append(f"--flags-file={name}: {error}")
    return found, unread


def _gcloud(words: list[str], line: int | None, look: Look) -> Change | None:
    match words[:3]:
        case ["run", "deploy", *_]:
            return _run("deploy", "service", words[2:], line, look)
        case ["run", "services", "update"]:
            return _run("update", "service", words[3:], line, look)
        case ["run", ("services" | "jobs" | "worker-pools") as kind, "replace"]:
            given, plain = _flags(words[3:])
            return Change(
                "replace", kind[:-1], "", file=plain[0] if plain else "", project=_last(given, "--project"),
                region=_last(given, "--region"),
            )  # fmt: skip
        case ["run", "worker-pools", ("deploy" | "update") as verb]:
            return _run(verb, "worker-pool", words[3:], line, look)
        case ["run", "jobs", ("create" | "update" | "deploy") as verb]:
            return _run("update" if verb == "update" else "deploy", "job", words[3:], line, look)
        case ["builds", "submit", *_]:
            given, plain = _flags(words[2:])
            tag = _last(given, "--tag", "-t")
            source = plain[0] if plain else "."
            pairs = [part.partition("=") for part in _last(given, "--substitutions").split(",")]
            substitutions = tuple((name.strip(), value.strip()) for name, mark, value in pairs if mark)
            return Change(
                "build", "image", "", image=tag, source=source, project=_last(given, "--project"),
                file=_last(given, "--config"), substitutions=substitutions,
            )  # fmt: skip
    return None


def _flags(words: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """(flags with their values, plain arguments)."""
    found: list[tuple[str, str]] = []
    plain: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if not word.startswith("-") or word == "-":
            plain.append(word)
        elif "=" in word:
            name, _, value = word.partition("=")
            found.append((name, value))
        elif word in _SWITCHES or at >= len(words) or words[at].startswith("--"):
            found.append((word, ""))
        else:
            found.append((word, words[at]))
            at += 1
    return found, plain


def _last(given: list[tuple[str, str]], *names: str) -> str:
    return next((value for name, value in reversed(given) if name in names), "")


def _run(verb: str, resource: str, words: list[str], line: int | None, look: Look) -> Change:
    given, plain = _flags(words)
    found: list[Setting] = []
    unresolved: list[str] = []
    container = ""
    main = ""
    for name, value in given:
        if name == "--container":
            container = value
            main = main or container
        if name in _BUILDING:
            seen = settings(value, _BUILDING[name], "plain", line)
            found += [replace(item, build=True) for item in seen if item.name]
        if name not in _CHANGES or (container and container != main):
            continue
        operation, sort = _CHANGES[name]
        if operation == "file":
            more, reason = from_file(value, "set", line, look)
            found += more
            unresolved += [f"{name}={value}: {reason}"] if reason else []
        elif operation == "clear":
            found.append(Setting("", "clear", sort, line=line))
        else:
            found += settings(value, operation, sort, line)
            if _open(value):
                unresolved.append(f"{name}={value[:40]} is a variable that was not followed")
    return Change(
        verb, resource, plain[0] if plain else "", tuple(found), _last(given, "--image"), _last(given, "--source"),
        _last(given, "--project"), "", tuple(unresolved), region=_last(given, "--region"),
    )  # fmt: skip


def from_file(
    name: str, operation: str, line: int | None, look: Look, *, plain: bool = False
) -> tuple[list[Setting], str]:
    """The plain variables of the file ``name``, and why they are not known; what ``set`` replaces is gone either way."""
    replaced = [Setting("", "clear", "plain", line=line)] if operation == "set" else []
    try:
        rows = variables(name, look(name), plain=plain)
    except Unread as error:
        return replaced, str(error)
    return [replace(setting(row.name, row.value, operation, "plain", row.line), path=row.path) for row in rows], ""


def _open(value: str) -> bool:
    """Whether a whole list of variables is itself a variable (``--set-env-vars=$VARS``)."""
    return value.startswith("$") and "=" not in value


def settings(text: str, operation: str, sort: str, line: int | None) -> list[Setting]:
    """``A=1,B=2`` (or ``^@^A=1@B=2``, gcloud's own escape) as settings; names only for ``remove``."""
    separator = ","
    if escaped := re.match(r"^\^(.+?)\^", text):
        separator, text = escaped[1], text[escaped.end() :]
    found: list[Setting] = []
    for part in (part.strip() for part in text.split(separator)):
        name, mark, value = part.partition("=")
        if not name or name.startswith("/") or (not mark and operation != "remove"):
            continue  # /path=secret:1 is a file
        found.append(setting(name.strip(), value.strip(), operation, sort, line))
    return found or [Setting("", "clear" if operation == "set" else operation, sort, line=line)]


def setting(name: str, value: str, operation: str, sort: str, line: int | None, *, build: bool = False) -> Setting:
    """One variable; its value is kept only where it cannot be secret, a DSN redacted."""
    if sort == "secret":
        match = _REFERENCE.match(value)
        secret, version, project = match.group("name", "version", "project") if match else (value, "", "")
        return Setting(
            name, operation, sort, secret=secret, version=version, is_set=bool(value), line=line, build=build,
            project=location.project_of(project or ""),
        )  # fmt: skip
    kept = (
        dsn.parse(value).shown
        if dsn.looks_like_dsn(value)
        else shown(name, value) or (value if value.startswith("$") else "")
    )
    return Setting(name, operation, sort, value=kept, is_set=bool(value), line=line, build=build)


def mounted(value: str, line: int | None) -> list[Setting]:
    """``--secret id=TOKEN,env=SENTRY_AUTH_TOKEN`` as a setting of the build: what a Dockerfile can mount by that id."""
    fields = dict(part.partition("=")[::2] for part in value.split(",") if "=" in part)
    name = fields.get("id", "")
    return [Setting(name, "set", "mount", line=line, build=True)] if name else []


def build(words: list[str], line: int | None) -> Change:
    """The arguments of ``docker build`` (or kaniko's executor)."""
    given: list[tuple[str, str]] = []
    plain: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if "=" in word and word.startswith("--"):
            name, _, value = word.partition("=")
            given.append((name, value))
        elif word in _BUILD_VALUES and at < len(words):
            given.append((word, words[at]))
            at += 1
        elif not word.startswith("-"):
            plain.append(word)
    arguments = []
    for name, value in given:
        if name == "--build-arg":
            key, mark, text = value.partition("=")
            arguments.append(setting(key, text if mark else f"${key}", "set", "plain", line, build=True))
        elif name == "--secret":
            arguments += mounted(value, line)
    source = _last(given, "--context") or (plain[-1] if plain else ".")
    return Change(
        "build", "image", "", tuple(arguments), _last(given, "-t", "--tag", "--destination"), source.removeprefix("dir://"), "",
        _last(given, "-f", "--file", "--dockerfile"),
    )  # fmt: skip
