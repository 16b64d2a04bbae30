"""``checks.yaml`` → Check, refusing what it would otherwise have to guess."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from sentry_audit import cloud_facts, sentry_facts  # noqa: F401 - they register their kinds
from sentry_audit.errors import ChecksFileError, nearest
from sentry_audit.facts import KINDS
from sentry_audit.model import Confidence, Link, Severity
from sentry_audit.positions import Wrong, yaml_line
from sentry_audit.predicates import OPERATORS, Condition, conditions

if TYPE_CHECKING:
    from collections.abc import Sequence

QUANTIFIERS = ("each", "some", "none")
ECOSYSTEMS = ("pypi", "npm")
SAFETY = ("safe", "review", "live", "manual")
_REQUIRED = ("id", "title", "area", "severity", "expect", "message", "why", "examples")
_OPTIONAL = (
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
_ID = re.compile(r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")


class Fix(Struct, frozen=True):
    """What closes a gap: how safe it is to do, in one sentence, and the shape of the diff.

    ``others`` are those of components of another ecosystem, by its name.
    """

    safety: str
    summary: str
    diff: str = ""
    others: tuple[tuple[str, Fix], ...] = ()

    def of(self, ecosystem: str) -> Fix:
        """What closes the gap of a component of ``ecosystem``."""
        return dict(self.others).get(ecosystem, self)


class Check(Struct, frozen=True):
    """One question, asked of every fact of one kind."""

    id: str
    title: str
    area: str
    severity: Severity
    quantifier: str
    subject: str
    where: tuple[Condition, ...]
    expect: tuple[Condition, ...]
    message: str
    why: str
    environments: str = "all"
    ecosystem: str = ""
    link: Link | None = None
    fix: Fix | None = None
    refs: tuple[str, ...] = ()
    confidence: Confidence = Confidence.HIGH
    absent: str = "skip"
    absent_message: str = ""
    pass_message: str = ""
    permissions: tuple[str, ...] = ()
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def load(text: str, name: str) -> tuple[Check, ...]:
    """The checks of a file; ``name`` is the file's, for messages. Raises ChecksFileError."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        data = yaml.load(text, loader)  # noqa: S506 - a safe loader, chosen above
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise ChecksFileError(f"{place}: {getattr(error, 'problem', None) or 'not YAML'}", "fix the YAML") from error
    try:
        return loaded(data)
    except Wrong as wrong:
        line = yaml_line(text, wrong.path)
        keys = ".".join(str(part) for part in wrong.path)
        raise ChecksFileError(f"{name}:{line}: {keys or 'file'}: {wrong.message}", wrong.hint) from None


def _near(word: object, known: Sequence[str]) -> str:
    return nearest(word, known, f"known are: {', '.join(known)}")


def loaded(data: Any) -> tuple[Check, ...]:
    """The checks of a file, from its content as ``yaml`` reads it; ``load`` says where a mistake in it stands."""
    if not isinstance(data, dict) or not isinstance(data.get("checks"), list):
        raise Wrong((), "expected a mapping with a list under 'checks'", "see: sentry-audit checks schema")
    for key in data:
        if key != "checks":
            raise Wrong((str(key),), f"unknown key {key!r}", _near(key, ("checks",)))
    found: dict[str, Check] = {}
    for index, entry in enumerate(data["checks"]):
        check = _check(entry, ("checks", index))
        if check.id in found:
            raise Wrong(("checks", index, "id"), f"{check.id!r} is there twice", "ids are names: choose another")
        found[check.id] = check
    return tuple(found.values())


def _check(entry: Any, path: tuple[str | int, ...]) -> Check:
    if not isinstance(entry, dict):
        raise Wrong(path, f"a check is a mapping, not {type(entry).__name__}")
    for key in entry:
        if key not in _REQUIRED and key not in _OPTIONAL:
            raise Wrong((*path, str(key)), f"unknown key {key!r}", _near(key, (*_REQUIRED, *_OPTIONAL)))
    for key in _REQUIRED:
        if key not in entry:
            raise Wrong(path, f"{key!r} is missing", "every check has: " + ", ".join(_REQUIRED))
    for key in ("id", "title", "area", "message", "why"):
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise Wrong((*path, key), "must be a text that is not empty")
    if not _ID.match(entry["id"]):
        raise Wrong((*path, "id"), f"{entry['id']!r} is not kebab-case", "for example: backend-sdk-declared")
    quantifiers = [key for key in QUANTIFIERS if key in entry]
    if len(quantifiers) != 1:
        raise Wrong(path, "exactly one of each, some, none names the kind of fact", "for example: each: sdk_init")
    subject = entry[quantifiers[0]]
    if subject not in KINDS:
        raise Wrong((*path, quantifiers[0]), f"there is no fact kind {subject!r}", _near(subject, tuple(KINDS)))
    fix = _fix(entry.get("fix"), (*path, "fix"), subject)
    _placeholders(entry["message"], subject, (*path, "message"))
    _placeholders(str(entry.get("absent_message", "")), "", (*path, "absent_message"))
    _placeholders(str(entry.get("pass_message", "")), subject, (*path, "pass_message"))
    return Check(
        id=entry["id"],
        title=entry["title"],
        area=entry["area"],
        severity=Severity(_choice(entry["severity"], [item.value for item in Severity], (*path, "severity"))),
        quantifier=quantifiers[0],
        subject=subject,
        where=_conditions(entry.get("where", {}), subject, (*path, "where")),
        expect=_conditions(entry["expect"], subject, (*path, "expect")),
        message=entry["message"],
        why=entry["why"],
        environments=_choice(entry.get("environments", "all"), ["all", "required"], (*path, "environments")),
        ecosystem=_choice(entry.get("ecosystem", ""), ["", *ECOSYSTEMS], (*path, "ecosystem")),
        link=Link(_choice(entry["link"], [item.value for item in Link], (*path, "link"))) if "link" in entry else None,
        fix=fix,
        refs=_texts(entry.get("refs", []), (*path, "refs")),
        confidence=Confidence(
            _choice(entry.get("confidence", "high"), [item.value for item in Confidence], (*path, "confidence"))
        ),
        absent=_choice(entry.get("absent", "skip"), ["skip", "gap", "unknown"], (*path, "absent")),
        absent_message=str(entry.get("absent_message", "")),
        pass_message=str(entry.get("pass_message", "")),
        permissions=_texts(entry.get("permissions", []), (*path, "permissions")),
        examples=_examples(entry["examples"], (*path, "examples")),
    )


def _choice(value: Any, known: list[str], path: Sequence[str | int]) -> str:
    if value not in known:
        raise Wrong(path, f"{value!r} is none of {', '.join(known)}", _near(value, known))
    return str(value)


def _texts(value: Any, path: Sequence[str | int]) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Wrong(path, "must be a list of texts")
    return tuple(value)


def _fields(subject: str) -> tuple[str, ...]:
    return KINDS[subject].__struct_fields__


def _conditions(table: Any, subject: str, path: tuple[str | int, ...]) -> tuple[Condition, ...]:
    if not isinstance(table, dict):
        raise Wrong(path, "must be a mapping of fields to what they must be", "for example: {declared: true}")
    known = _fields(subject)
    for name, wanted in table.items():
        if name not in known:
            raise Wrong((*path, str(name)), f"{subject} has no field {name!r}", _near(name, known))
        for operator, value in wanted.items() if isinstance(wanted, dict) else ():
            _operator(operator, value, (*path, name))
    return conditions(table)


def _operator(operator: object, value: Any, path: tuple[str | int, ...]) -> None:
    if operator not in OPERATORS:
        raise Wrong((*path, str(operator)), f"unknown operator {operator!r}", _near(operator, tuple(OPERATORS)))
    takes = OPERATORS[str(operator)].takes
    if not isinstance(value, takes) or (isinstance(value, bool) and bool not in takes):
        wanted = " or ".join(item.__name__ for item in takes)
        raise Wrong((*path, str(operator)), f"takes {wanted}, not {type(value).__name__}")
    if operator == "matches":
        try:
            re.compile(str(value))
        except re.error as error:
            raise Wrong((*path, "matches"), f"not a regular expression: {error}") from None


def _placeholders(text: str, subject: str, path: tuple[str | int, ...]) -> None:
    known = (*(_fields(subject) if subject else ("component",)), "environment")
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise Wrong(path, f"not a template: {error}", "write {{ and }} for braces") from None
    for name in names:
        if name not in known:
            raise Wrong(path, f"{{{name}}} is not a field of {subject or 'this text'}", _near(name, known))


def _fix(entry: Any, path: tuple[str | int, ...], subject: str) -> Fix | None:
    if entry is None:
        return None
    if not isinstance(entry, dict):
        raise Wrong(path, "must be a mapping with safety and summary")
    keys = ("safety", "summary", "diff") if path[-1] in ECOSYSTEMS else ("safety", "summary", "diff", *ECOSYSTEMS)
    for key in entry:
        if key not in keys:
            raise Wrong((*path, str(key)), f"unknown key {key!r}", _near(key, keys))
    for key in ("summary", "diff"):
        _placeholders(str(entry.get(key, "")), subject, (*path, key))
    if "summary" not in entry:
        raise Wrong(path, "'summary' is missing")
    others = (
        (name, _fix({"safety": entry.get("safety"), **entry[name]}, (*path, name), subject))
        for name in ECOSYSTEMS
        if name in entry
    )
    return Fix(
        _choice(entry.get("safety"), list(SAFETY), (*path, "safety")),
        str(entry["summary"]),
        str(entry.get("diff", "")),
        tuple((name, fix) for name, fix in others if fix is not None),
    )


def _examples(entry: Any, path: tuple[str | int, ...]) -> dict[str, list[dict[str, Any]]]:
    if not isinstance(entry, dict):
        raise Wrong(path, "must be a mapping with pass and fail")
    for key, items in entry.items():
        if key not in {"pass", "fail", "unknown"}:
            raise Wrong((*path, str(key)), f"unknown key {key!r}", _near(key, ("pass", "fail", "unknown")))
        if not isinstance(items, list):
            raise Wrong((*path, key), "must be a list of examples")
        for index, item in enumerate(items):
            _example(item, (*path, key, index))
    for key in ("pass", "fail"):
        if not entry.get(key):
            raise Wrong(path, f"there is no example that must {key}", "a check without one is not tested")
    return entry


def _example(item: Any, path: tuple[str | int, ...]) -> None:
    if not isinstance(item, dict) or not ({"files", "facts"} & set(item)):
        raise Wrong(path, "an example has files or facts", "for example: {files: {main.py: …}}")
    for key in item:
        if key not in {"files", "facts", "environment"}:
            raise Wrong((*path, str(key)), f"unknown key {key!r}", _near(key, ("files", "facts", "environment")))
    for index, entry in enumerate(item.get("facts", [])):
        for kind, values in entry.items() if isinstance(entry, dict) else ():
            if kind not in KINDS:
                raise Wrong((*path, "facts", index), f"there is no fact kind {kind!r}", _near(kind, tuple(KINDS)))
            for name in values:
                if name not in _fields(kind):
                    raise Wrong(
                        (*path, "facts", index, kind), f"{kind} has no field {name!r}", _near(name, _fields(kind))
                    )


def _mapping(properties: dict[str, object], required: list[str]) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of check files, for editors."""
    scalar = {"type": ["string", "number", "boolean", "null"]}
    operators = {name: {"description": item.meaning} for name, item in OPERATORS.items()}
    condition = {
        "anyOf": [scalar, {"type": "array"}, {"type": "object", "properties": operators, "additionalProperties": False}]
    }
    table = {"type": "object", "additionalProperties": condition}
    example = {
        "type": "object",
        "properties": {
            "files": {"type": "object", "additionalProperties": {"type": "string"}},
            "facts": {"type": "array", "items": {"type": "object"}},
            "environment": {"type": "string"},
        },
        "additionalProperties": False,
    }
    examples = {"type": "array", "items": example, "minItems": 1}
    text = {"type": "string", "minLength": 1}
    texts = {"type": "array", "items": {"type": "string"}}
    fix: dict[str, object] = {"safety": {"enum": list(SAFETY)}, "summary": text, "diff": {"type": "string"}}
    properties: dict[str, object] = {
        "id": {"type": "string", "pattern": _ID.pattern},
        "title": text,
        "area": text,
        "severity": {"enum": [item.value for item in Severity]},
        "environments": {"enum": ["all", "required"]},
        "ecosystem": {"enum": list(ECOSYSTEMS)},
        "link": {"enum": [item.value for item in Link]},
        "where": table,
        "expect": table,
        "message": text,
        "why": text,
        "fix": {
            "type": "object",
            "properties": {**fix, **{name: _mapping(fix, ["summary"]) for name in ECOSYSTEMS}},
            "required": ["safety", "summary"],
            "additionalProperties": False,
        },
        "refs": texts,
        "confidence": {"enum": [item.value for item in Confidence]},
        "absent": {"enum": ["skip", "gap", "unknown"]},
        "absent_message": {"type": "string"},
        "pass_message": {"type": "string"},
        "permissions": texts,
        "examples": {
            "type": "object",
            "properties": {"pass": examples, "fail": examples, "unknown": examples},
            "required": ["pass", "fail"],
            "additionalProperties": False,
        },
    }
    properties |= {key: {"enum": sorted(KINDS)} for key in QUANTIFIERS}
    item = {
        "type": "object",
        "properties": properties,
        "required": list(_REQUIRED),
        "oneOf": [{"required": [key]} for key in QUANTIFIERS],
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sentry-audit checks",
        "type": "object",
        "properties": {"checks": {"type": "array", "items": item}},
        "required": ["checks"],
        "additionalProperties": False,
    }
