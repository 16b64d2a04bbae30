"""What a check file may say, and everything that is wrong with one: found before a check is made of it."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, Any

from sentry_audit import cloud_facts, sentry_facts  # noqa: F401 - they register their kinds
from sentry_audit.errors import nearest
from sentry_audit.facts import KINDS
from sentry_audit.model import Confidence, Link, Severity
from sentry_audit.positions import Wrong
from sentry_audit.predicates import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sentry_audit.positions import Path

QUANTIFIERS = ("each", "some", "none")
ECOSYSTEMS = ("pypi", "npm")
SAFETY = ("safe", "review", "live", "manual")
REQUIRED = ("id", "title", "area", "severity", "expect", "message", "why", "examples")
OPTIONAL = (
    "environments",
    "ecosystem",
    "link",
    *QUANTIFIERS,
    "where",
    "fix",
    "refs",
    "confidence",
    "absent",
    "absent_message",
    "pass_message",
    "permissions",
)
ID = re.compile(r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")
#: The keys whose value is one of a few words; ``ecosystem`` left out is every one.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "severity": tuple(item.value for item in Severity),
    "environments": ("all", "required"),
    "ecosystem": ECOSYSTEMS,
    "link": tuple(item.value for item in Link),
    "confidence": tuple(item.value for item in Confidence),
    "absent": ("skip", "gap", "unknown"),
}
_TEXTS = ("id", "title", "area", "message", "why")
_MORE_TEXTS = ("absent_message", "pass_message")
_EXAMPLES = ("pass", "fail", "unknown")
_EXAMPLE = ("files", "facts", "environment")


def mistakes(data: Any) -> Iterator[Wrong]:
    """Everything that is wrong with the content of a check file, as ``yaml`` reads it."""
    if not isinstance(data, dict) or not isinstance(data.get("checks"), list):
        yield Wrong((), "expected a mapping with a list under 'checks'", "see: sentry-audit checks schema")
        return
    yield from _unknown(data, ("checks",), ())
    ids: set[str] = set()
    for index, entry in enumerate(data["checks"]):
        path = ("checks", index)
        yield from _in_check(entry, path)
        name = entry.get("id") if isinstance(entry, dict) else None
        if isinstance(name, str):
            if name in ids:
                yield Wrong((*path, "id"), f"{name!r} is there twice", "ids are names: choose another")
            ids.add(name)


def near(word: object, known: Sequence[str]) -> str:
    """A hint for ``word``: the nearest of ``known``, else all of them."""
    return nearest(word, known, f"known are: {', '.join(known)}")


def fields(subject: str) -> tuple[str, ...]:
    """The fields of a kind of fact."""
    return KINDS[subject].__struct_fields__


def _unknown(table: dict[Any, Any], known: Sequence[str], path: Path) -> Iterator[Wrong]:
    for key in table:
        if key not in known:
            yield Wrong((*path, str(key)), f"unknown key {key!r}", near(key, known))


def _missing(table: dict[Any, Any], required: Sequence[str], path: Path, hint: str) -> Iterator[Wrong]:
    """The keys that are not there; one that is misspelt is told as such."""
    strange = [key for key in table if key not in (*REQUIRED, *OPTIONAL)]
    for key in required:
        if key not in table and not nearest(key, strange, ""):
            yield Wrong(path, f"{key!r} is missing", hint)


def _in_check(entry: Any, path: Path) -> Iterator[Wrong]:
    if not isinstance(entry, dict):
        yield Wrong(path, f"a check is a mapping, not {type(entry).__name__}")
        return
    yield from _unknown(entry, (*REQUIRED, *OPTIONAL), path)
    yield from _missing(entry, REQUIRED, path, "every check has: " + ", ".join(REQUIRED))
    for key in (*_TEXTS, *_MORE_TEXTS):
        value = entry.get(key, "" if key in _MORE_TEXTS else "text")
        if not isinstance(value, str) or (key in _TEXTS and not value.strip()):
            yield Wrong((*path, key), "must be a text that is not empty")
    if isinstance(entry.get("id"), str) and not ID.match(entry["id"]):
        yield Wrong((*path, "id"), f"{entry['id']!r} is not kebab-case", "for example: backend-sdk-declared")
    for key, known in CHOICES.items():
        if key in entry:
            yield from _choice(entry[key], known, (*path, key))
    for key in ("refs", "permissions"):
        value = entry.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            yield Wrong((*path, key), "must be a list of texts", f"for example: {key}: [a text]")
    if "examples" in entry:
        yield from _in_examples(entry["examples"], (*path, "examples"))
    yield from _in_question(entry, path)


def _in_question(entry: dict[str, Any], path: Path) -> Iterator[Wrong]:
    """What speaks of a kind of fact, where that is known."""
    quantifiers = [key for key in QUANTIFIERS if key in entry]
    if len(quantifiers) != 1:
        yield Wrong(path, "exactly one of each, some, none names the kind of fact", "for example: each: sdk_init")
        return
    subject = entry[quantifiers[0]]
    if not isinstance(subject, str) or subject not in KINDS:
        known = near(subject, tuple(KINDS))
        hint = (
            known if known.startswith("did you mean") else "docs/facts.md lists the kinds; for example: each: sdk_init"
        )
        yield Wrong((*path, quantifiers[0]), f"there is no fact kind {subject!r}", hint)
        return
    for key in ("where", "expect"):
        yield from _in_conditions(entry.get(key, {}), subject, (*path, key))
    for key, kind in (("message", subject), ("absent_message", ""), ("pass_message", subject)):
        if isinstance(entry.get(key), str):
            yield from _in_template(entry[key], kind, (*path, key))
    if entry.get("fix") is not None:
        yield from _in_fix(entry["fix"], (*path, "fix"), subject)


def _choice(value: Any, known: Sequence[str], path: Path) -> Iterator[Wrong]:
    if value not in known:
        yield Wrong(path, f"{value!r} is none of {', '.join(known)}", near(value, known))


def _in_conditions(table: Any, subject: str, path: Path) -> Iterator[Wrong]:
    if not isinstance(table, dict):
        yield Wrong(path, "must be a mapping of fields to what they must be", "for example: {declared: true}")
        return
    known = fields(subject)
    for name, wanted in table.items():
        if name not in known:
            yield Wrong((*path, str(name)), f"{subject} has no field {name!r}", near(name, known))
        for operator, value in wanted.items() if isinstance(wanted, dict) else ():
            yield from _in_operator(operator, value, (*path, str(name)))


def _in_operator(operator: object, value: Any, path: Path) -> Iterator[Wrong]:
    if operator not in OPERATORS:
        yield Wrong((*path, str(operator)), f"unknown operator {operator!r}", near(operator, tuple(OPERATORS)))
        return
    takes = OPERATORS[str(operator)].takes
    if not isinstance(value, takes) or (isinstance(value, bool) and bool not in takes):
        wanted = " or ".join(item.__name__ for item in takes)
        yield Wrong((*path, str(operator)), f"takes {wanted}, not {type(value).__name__}")
    elif operator == "matches":
        try:
            re.compile(str(value))
        except re.error as error:
            yield Wrong((*path, "matches"), f"not a regular expression: {error}")


def _in_template(text: str, subject: str, path: Path) -> Iterator[Wrong]:
    known = (*(fields(subject) if subject else ("component",)), "environment")
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    except ValueError as error:
        yield Wrong(path, f"not a template: {error}", "write {{ and }} for braces")
        return
    for name in names:
        if name not in known:
            yield Wrong(path, f"{{{name}}} is not a field of {subject or 'this text'}", near(name, known))


def _in_fix(entry: Any, path: Path, subject: str) -> Iterator[Wrong]:
    if not isinstance(entry, dict):
        yield Wrong(path, "must be a mapping with safety and summary")
        return
    inner = path[-1] in ECOSYSTEMS
    yield from _unknown(entry, ("safety", "summary", "diff", *(() if inner else ECOSYSTEMS)), path)
    for key in ("summary", "diff"):
        yield from _in_template(str(entry.get(key, "")), subject, (*path, key))
    if "summary" not in entry:
        yield Wrong(path, "'summary' is missing")
    if not inner or "safety" in entry:
        yield from _choice(entry.get("safety"), SAFETY, (*path, "safety"))
    for name in () if inner else ECOSYSTEMS:
        if name in entry:
            yield from _in_fix(entry[name], (*path, name), subject)


def _in_examples(entry: Any, path: Path) -> Iterator[Wrong]:
    if not isinstance(entry, dict):
        yield Wrong(path, "must be a mapping with pass and fail")
        return
    yield from _unknown(entry, _EXAMPLES, path)
    for key in _EXAMPLES:
        items = entry.get(key, [])
        if not isinstance(items, list):
            yield Wrong((*path, key), "must be a list of examples")
        elif not items and key != "unknown" and not nearest(key, [item for item in entry if item not in _EXAMPLES], ""):
            yield Wrong(path, f"there is no example that must {key}", "a check without one is not tested")
        for index, item in enumerate(items if isinstance(items, list) else ()):
            yield from _in_example(item, (*path, key, index))


def _in_example(item: Any, path: Path) -> Iterator[Wrong]:
    if not isinstance(item, dict) or not ({"files", "facts"} & set(item)):
        yield Wrong(path, "an example has files or facts", "for example: {files: {main.py: …}}")
        return
    yield from _unknown(item, _EXAMPLE, path)
    files, facts = item.get("files", {}), item.get("facts", [])
    if not isinstance(files, dict) or not all(isinstance(text, str) for text in files.values()):
        yield Wrong((*path, "files"), "must be a mapping of paths to texts", "for example: files: {main.py: import os}")
    if not isinstance(facts, list):
        yield Wrong((*path, "facts"), "must be a list of facts", "for example: facts: [{dsn: {valid: true}}]")
        return
    for index, entry in enumerate(facts):
        yield from _in_fact(entry, (*path, "facts", index))


def _in_fact(entry: Any, path: Path) -> Iterator[Wrong]:
    if not isinstance(entry, dict):
        yield Wrong(path, "a fact is a mapping of its kind to its fields", "for example: {dsn: {valid: true}}")
        return
    for kind, values in entry.items():
        if kind not in KINDS:
            yield Wrong((*path, str(kind)), f"there is no fact kind {kind!r}", near(kind, tuple(KINDS)))
        elif not isinstance(values, dict):
            yield Wrong(
                (*path, kind), "must be a mapping of fields to values", f"{kind} has: {', '.join(fields(kind))}"
            )
        else:
            for name in values:
                if name not in fields(kind):
                    yield Wrong((*path, kind, str(name)), f"{kind} has no field {name!r}", near(name, fields(kind)))
