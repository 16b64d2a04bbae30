"""DSNs and auth tokens that stand in files of the repository, each given to the component whose folder it is in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit import dsn
from sentry_audit.comments import is_commented
from sentry_audit.facts import AuthToken, Dsn, EnvVar, Image
from sentry_audit.javascript.names import CODE, is_generated, is_test
from sentry_audit.javascript.variables import in_browsers
from sentry_audit.mentions import MENTIONS
from sentry_audit.model import Evidence
from sentry_audit.python.paths import deployed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.facts import Component, Fact
    from sentry_audit.python.program import Files

_TESTS = re.compile(
    r"(^|/)(setup-?tests?|(jest|vitest|test)[.-]?(setup|utils)|playwright|fixtures?\.\w+)\b", re.IGNORECASE
)
_CONFIGS = (".yml", ".yaml", ".sh", ".properties", ".toml", ".sentryclirc")
#: What getsentry hands out: organisation, user and integration tokens.
_TOKEN = re.compile(r"(?<![\w-])sntr(?:ys|yu|ya|yi)_[A-Za-z0-9+/=_.-]{20,}")
_EXAMPLE = re.compile(r"your|example|token|x{4}|\.{3}|_{3}", re.IGNORECASE)
#: A text that stands for a DSN until something puts one there.
_WORD = re.compile(r"[\w.%@#{}-]{4,}")
_REPLACES = re.compile(r"\b(sed|perl|awk|envsubst|replace\w*)\b")
#: One of these is in every text that holds a DSN or a token.
_MARKS = ("sntr", "AUTH_TOKEN", "://")
#: A text that is filled in while the program runs.
_FILLED = re.compile(r"https?://[^@\s]*(\$?\{|%[sr(])")
_COMPILED = (
    "bundlers compile variables of that name into what browsers load, where anybody can read them: drop the prefix"
)
_PUBLIC = in_browsers(r"\w*SENTRY\w*AUTH_TOKEN\w*")


def committed(files: Files, facts: Sequence[Fact], components: Sequence[Component]) -> list[Fact]:
    """The DSNs and tokens of a repository with their components; those in nobody's folder are the first one's."""
    found: list[Fact] = []
    seen: set[tuple[str, str | None, int | None]] = set()
    for fact in [*facts, *_literals(files), *_compiled_in(facts)]:
        if isinstance(fact, Dsn | AuthToken) and fact.evidence:
            path = fact.evidence[0].path or ""
            key = (fact.kind, path, fact.evidence[0].line)
            owners = [item for item in components if item.holds(path)]
            owner = max(owners, key=lambda item: len(item.folder), default=components[0] if components else None)
            if owner is not None and key not in seen:
                if isinstance(fact, Dsn) and (place := _written_over(files, fact)) is not None:
                    reason = f"{place} writes over {fact.shown}: with what was not followed"
                    fact = replace(fact, unknown=reason, evidence=(*fact.evidence, place))  # noqa: PLW2901
                found.append(replace(fact, component=owner.name))
            seen.add(key)
    return found


def _written_over(files: Files, fact: Dsn) -> Evidence | None:
    """Where a pipeline, an image or a script puts another text in the place of one that is no DSN."""
    if fact.valid or not _WORD.fullmatch(fact.shown):
        return None
    for path in files.search([fact.shown]):
        name = path.rpartition("/")[2]
        if not path.endswith((".yml", ".yaml", ".sh")) and not re.match(
            r"(.*\.)?(Dockerfile|Makefile)|Jenkinsfile", name
        ):
            continue
        for number, row in enumerate((files.text(path) or "").splitlines(), 1):
            if fact.shown in row and _REPLACES.search(row) and not is_commented(row, len(row)):
                return Evidence(path, number, None, None, f"replaces {fact.shown}")
    return None


def _literals(files: Files) -> Iterator[Fact]:
    """DSNs and tokens in code that can be deployed, and tokens in the files that build and deploy it."""
    for path in files.search(MENTIONS):
        code = path.endswith((".py", *CODE))
        if (
            not (code or path.endswith(_CONFIGS))
            or not (deployed(path) or path.startswith(".github/"))
            or is_test(path)
            or _TESTS.search(path)
        ):
            continue
        text = files.text(path) or ""
        if not any(mark in text for mark in _MARKS) or is_generated(text):
            continue
        if code and "sentry" in text:
            yield from _dsns(path, text)
        for pattern, problem in (
            (_TOKEN, "a Sentry auth token stands in the file: whoever reads it can change the Sentry organization"),
            (_PUBLIC, _COMPILED),
        ):
            for match in pattern.finditer(text):
                value = match[0]
                if is_commented(text, match.start()) or (pattern is _TOKEN and _EXAMPLE.search(value)):
                    continue
                name = "SENTRY_AUTH_TOKEN" if pattern is _TOKEN else match[1]
                here = Evidence(
                    path, text.count("\n", 0, match.start()) + 1, None, None, f"{name}=…" if pattern is _TOKEN else name
                )
                yield AuthToken(name=name, problem=problem, evidence=(here,))


def _dsns(path: str, text: str) -> Iterator[Fact]:
    for offset, value in dsn.find(text):
        if not is_commented(text, offset) and not _FILLED.match(text[offset:]):
            here = Evidence(path, text.count("\n", 0, offset) + 1, None, None, value.shown)
            yield dsn.fact(value, hardcoded=True, evidence=(here,))


def _compiled_in(facts: Sequence[Fact]) -> Iterator[Fact]:
    """Variables that a bundler compiles in and whose names say that they hold a token: dotenv files, images."""
    for fact in facts:
        names = [fact.name] if isinstance(fact, EnvVar) else list(fact.args) if isinstance(fact, Image) else []
        for name in names:
            if _PUBLIC.fullmatch(name):
                here = (
                    fact.evidence[0]
                    if isinstance(fact, EnvVar)
                    else Evidence(fact.evidence[0].path, None, None, None, f"ARG {name}")
                )
                yield AuthToken(name=name, problem=_COMPILED, evidence=(here,))
