"""``gcloud run`` and ``docker build`` commands, understood: what they set, update, remove and clear.

Semantics: cloud.google.com/sdk/gcloud/reference/run/deploy. ``--set-env-vars`` removes all plain variables first,
``--set-secrets`` all secret ones; ``--update-*`` keeps the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from posixpath import basename

from sentry_audit import dsn
from sentry_audit.facts import Setting
from sentry_audit.scanners.variables import shown

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
_SWITCHES = frozenset(
    {"--quiet", "-q", "--allow-unauthenticated", "--no-allow-unauthenticated", "--no-traffic", "--async", "--cpu-boost",
     "--no-cpu-boost", "--cpu-throttling", "--no-cpu-throttling", "--clear-env-vars", "--clear-secrets", "--use-http2",
     "--execute-now", "--wait", "--default-url", "--no-default-url", "--iap", "--no-iap", "--session-affinity"}
)  # fmt: skip
_BUILD_VALUES = frozenset(
    {"-t", "--tag", "-f", "--file", "--build-arg", "--target", "--platform", "--secret", "--destination", "--context",
     "--dockerfile", "--cache-from", "--cache-to", "--network", "--label", "--progress", "-o", "--output"}
)  # fmt: skip
_REFERENCE = re.compile(r"^(?:projects/[^/]+/secrets/)?([^:/]+)(?:/versions/|:)?([^:/]*)$")


@dataclass(frozen=True, slots=True)
class Change:
    """One command that changes a service or job, or builds an image. ``verb``: deploy, update, replace, build.

    ``file`` is the manifest of ``services replace``, or the Dockerfile of a build; ``unresolved`` what was not followed.
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


def understand(words: tuple[str, ...], line: int | None = None) -> Change | None:
    """What a command changes, or None if it deploys and builds nothing."""
    at = next((index for index, word in enumerate(words) if basename(word) in {"gcloud", "docker", "podman"}), None)
    if at is None:
        return None
    program, rest = basename(words[at]), list(words[at + 1 :])
    if program == "gcloud":
        flags = []
        while rest and rest[0].startswith("-"):
            flags += rest[:1] if "=" in rest[0] or rest[0] in _SWITCHES else rest[:2]
            rest = rest[1:] if "=" in rest[0] or rest[0] in _SWITCHES else rest[2:]
        return _gcloud([*(word for index, word in enumerate(rest) if word not in _GROUPS or index > 1), *flags], line)
    if rest[:1] == ["buildx"]:
        rest = rest[1:]
    return build(rest[1:], line) if rest[:1] == ["build"] else None


def _gcloud(words: list[str], line: int | None) -> Change | None:
    match words[:3]:
        case ["run", "deploy", *_]:
            return _run("deploy", "service", words[2:], line)
        case ["run", "services", "update"]:
            return _run("update", "service", words[3:], line)
        case ["run", "services", "replace"]:
            flags, plain = _flags(words[3:])
            return Change("replace", "service", "", file=plain[0] if plain else "", project=_last(flags, "--project"))
        case ["run", "worker-pools", ("deploy" | "update") as verb]:
            return _run(verb, "worker-pool", words[3:], line)
        case ["run", "jobs", ("create" | "update" | "deploy") as verb]:
            return _run("update" if verb == "update" else "deploy", "job", words[3:], line)
        case ["builds", "submit", *_]:
            flags, plain = _flags(words[2:])
            tag = _last(flags, "--tag", "-t")
            source = plain[0] if plain else "."
            pairs = [part.partition("=") for part in _last(flags, "--substitutions").split(",")]
            given = tuple((name.strip(), value.strip()) for name, mark, value in pairs if mark)
            return Change(
                "build", "image", "", image=tag, source=source, project=_last(flags, "--project"),
                file=_last(flags, "--config"), substitutions=given,
            )  # fmt: skip
    return None


def _flags(words: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """(flags with their values, plain arguments)."""
    flags: list[tuple[str, str]] = []
    plain: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if not word.startswith("-") or word == "-":
            plain.append(word)
        elif "=" in word:
            name, _, value = word.partition("=")
            flags.append((name, value))
        elif word in _SWITCHES or at >= len(words) or words[at].startswith("--"):
            flags.append((word, ""))
        else:
            flags.append((word, words[at]))
            at += 1
    return flags, plain


def _last(flags: list[tuple[str, str]], *names: str) -> str:
    return next((value for name, value in reversed(flags) if name in names), "")


def _run(verb: str, resource: str, words: list[str], line: int | None) -> Change:
    flags, plain = _flags(words)
    found: list[Setting] = []
    unresolved: list[str] = []
    container = ""
    main = ""
    for name, value in flags:
        if name == "--container":
            container = value
            main = main or container
        if name not in _CHANGES or (container and container != main):
            continue
        operation, sort = _CHANGES[name]
        if operation == "file":
            unresolved.append(f"--env-vars-file={value} was not read")
        elif operation == "clear":
            found.append(Setting("", "clear", sort, line=line))
        else:
            found += settings(value, operation, sort, line)
            if _open(value):
                unresolved.append(f"{name}={value[:40]} is a variable that was not followed")
    if any(name == "--flags-file" for name, _ in flags):
        unresolved.append("--flags-file was not read")
    return Change(
        verb, resource, plain[0] if plain else "", tuple(found), _last(flags, "--image"), _last(flags, "--source"),
        _last(flags, "--project"), "", tuple(unresolved),
    )  # fmt: skip


def _open(value: str) -> bool:
    """Whether a whole list of variables is itself a variable (``--set-env-vars=$VARS``)."""
    return value.startswith("$") and "=" not in value


def settings(text: str, operation: str, sort: str, line: int | None, separator: str = ",") -> list[Setting]:
    """``A=1,B=2`` (or ``^@^A=1@B=2``, gcloud's own escape) as settings; names only for ``remove``."""
    if escaped := re.match(r"^\^(.+?)\^", text):
        separator, text = escaped[1], text[escaped.end() :]
    found: list[Setting] = []
    for part in (part.strip() for part in text.split(separator)):
        name, mark, value = part.partition("=")
        if not name or (not mark and operation != "remove"):
            continue
        found.append(setting(name.strip(), value.strip(), operation, sort, line))
    return found or [Setting("", "clear" if operation == "set" else operation, sort, line=line)]


def setting(name: str, value: str, operation: str, sort: str, line: int | None, *, build: bool = False) -> Setting:
    """One variable; its value is kept only where it cannot be secret, a DSN redacted."""
    if sort == "secret":
        match = _REFERENCE.match(value)
        secret, version = (match[1], match[2]) if match else (value, "")
        return Setting(
            name, operation, sort, secret=secret, version=version, is_set=bool(value), line=line, build=build
        )
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
    flags: list[tuple[str, str]] = []
    plain: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if "=" in word and word.startswith("--"):
            name, _, value = word.partition("=")
            flags.append((name, value))
        elif word in _BUILD_VALUES and at < len(words):
            flags.append((word, words[at]))
            at += 1
        elif not word.startswith("-"):
            plain.append(word)
    arguments = []
    for name, value in flags:
        if name == "--build-arg":
            key, mark, given = value.partition("=")
            arguments.append(setting(key, given if mark else f"${key}", "set", "plain", line, build=True))
        elif name == "--secret":
            arguments += mounted(value, line)
    source = _last(flags, "--context") or (plain[-1] if plain else ".")
    return Change(
        "build", "image", "", tuple(arguments), _last(flags, "-t", "--tag", "--destination"), source.removeprefix("dir://"), "",
        _last(flags, "-f", "--file", "--dockerfile"),
    )  # fmt: skip
