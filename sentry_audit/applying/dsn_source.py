"""Where the DSN of a fix comes from: a variable, a file, Sentry, a prompt or standard input; never the command line.

Other users of a machine see the arguments of a process, and shells keep them; so a DSN given there is refused.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sentry_audit.dsn import looks_like_dsn, parse
from sentry_audit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry_audit.applying.contract import Reporter
    from sentry_audit.sentry_project import SentryOptions

WAYS = "env:NAME, file:PATH, sentry:ORG/PROJECT, prompt or - (standard input)"
_PROJECT = re.compile(r"(?P<organization>[\w.-]+)/(?P<project>[\w.-]+)(?:#(?P<key>.+))?")
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
#: A DSN has about a hundred characters.
_LIMIT = 10_000


def dsn_source(
    spec: str, reporter: Reporter, sentry: SentryOptions | None = None, root: Path | None = None
) -> Callable[[], str]:
    """What gives the DSN that ``--dsn-from`` names: read and judged at its first call, and then remembered.

    ``sentry`` says how Sentry is asked, where it is to give the DSN of a project, for a fix of ``root``.

    Raises UsageError here for what names no source, and when called where nothing usable is there. No message has the
    value, or a ``spec`` that could be one.
    """
    read = _reader(spec, reporter, sentry, root)
    found: list[str] = []

    def give() -> str:
        if not found:
            where, value = read()
            judged = parse(value)
            if not judged.valid:
                raise UsageError(
                    f"the DSN from {where} cannot be used: {judged.problem}"
                    + (f" ({judged.shown})" if judged.host else ""),
                    "it is in Sentry under Settings > Projects > Client Keys (DSN); nothing was changed",
                )
            found.append(value)
        return found[0]

    return give


def _reader(
    spec: str, reporter: Reporter, sentry: SentryOptions | None, root: Path | None
) -> Callable[[], tuple[str, str]]:
    kind, _, name = spec.partition(":")
    if looks_like_dsn(spec) or "://" in spec:
        raise UsageError("--dsn-from takes no DSN: other users of this machine could see it", f"it takes {WAYS}")
    if spec == "-":
        return lambda: _standard_input(reporter)
    if spec == "prompt":
        return _prompt
    if kind == "env" and _NAME.fullmatch(name):
        return lambda: _variable(name)
    if kind == "file" and name:
        return lambda: _file(name, reporter)
    if kind == "sentry" and (match := _PROJECT.fullmatch(name)) is not None:
        return lambda: _sentry(match, sentry, root)
    raise UsageError("--dsn-from does not name a source of the DSN", f"it takes {WAYS}")


def _variable(name: str) -> tuple[str, str]:
    value = os.environ.get(name)
    if value is None:
        raise UsageError(f"the variable {name} is not set", f"export {name}, or pass --dsn-from prompt")
    return f"the variable {name}", value


def _sentry(asked: re.Match[str], options: SentryOptions | None, root: Path | None) -> tuple[str, str]:
    from sentry_audit.sentry_project import SentryOptions
    from sentry_audit.sources.sentry.credentials import VARIABLE, find
    from sentry_audit.sources.sentry.keys import active_dsn

    options = options or SentryOptions()
    credentials = find(options, root or Path())
    if credentials is None:
        hint = f"export {VARIABLE}: a token with project:read"
        raise UsageError("Sentry is to give the DSN, and there is no token to ask it with", hint)
    return active_dsn(asked["organization"], asked["project"], asked["key"] or "", options, credentials)


def _file(name: str, reporter: Reporter) -> tuple[str, str]:
    try:
        with Path(name).open("rb") as file:
            data = file.read(_LIMIT)
    except OSError as error:
        raise UsageError(
            f"{name} cannot be read: {error.strerror}", "give the file that holds the DSN alone"
        ) from error
    return name, _line(data, name, reporter)


def _standard_input(reporter: Reporter) -> tuple[str, str]:
    return "standard input", _line(sys.stdin.buffer.read(_LIMIT), "standard input", reporter)


def _line(data: bytes, where: str, reporter: Reporter) -> str:
    """The text without the newline that editors and ``echo`` end it with: the secret store would keep that."""
    value = data.decode("utf-8", "replace")
    shorter = value.removesuffix("\n").removesuffix("\r")
    if shorter != value:
        reporter(f"the newline at the end of {where} is left out")
    return shorter


def _prompt() -> tuple[str, str]:
    import warnings
    from getpass import GetPassWarning, getpass

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)  # else it would be read with an echo
            return "the prompt", getpass("DSN (is not shown): ")
    except (GetPassWarning, EOFError) as error:
        raise UsageError("there is no terminal to ask for the DSN", f"--dsn-from takes {WAYS}") from error
