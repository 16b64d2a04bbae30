"""The JSON Schema of check files, for editors: also which fields each kind of fact has."""

from __future__ import annotations

from sentry_audit.checks_mistakes import CHOICES, ECOSYSTEMS, ID, QUANTIFIERS, REQUIRED, SAFETY, fields
from sentry_audit.facts import KINDS
from sentry_audit.predicates import OPERATORS

#: What a value that an operator takes is in JSON.
_TYPES = {str: "string", int: "number", float: "number", bool: "boolean", list: "array", type(None): "null"}
_MEANINGS = {
    "id": "Its name: lower case, words joined by hyphens.",
    "title": "What is so when it passes, in one line.",
    "area": "What it belongs to; a word of the catalogue's, or one of your own.",
    "severity": "How much a gap matters: high blocks production.",
    "environments": "all, or required: only where Sentry is required.",
    "ecosystem": "Only components of this ecosystem.",
    "link": "The link of the chain that a gap breaks.",
    "each": "Every fact of this kind has to hold the expectation.",
    "some": "At least one fact of this kind has to hold it.",
    "none": "No fact of this kind may hold it.",
    "where": "Which facts are meant: fields, and what they must be.",
    "expect": "What must hold: fields, and what they must be.",
    "message": "What is said of a gap; {field} stands for a field of the fact.",
    "why": "Why it matters.",
    "fix": "What closes a gap.",
    "refs": "Where to read more.",
    "confidence": "How sure a gap is.",
    "absent": "What no fact at all means.",
    "absent_message": "What is said when there is no fact at all.",
    "pass_message": "What is said when it holds.",
    "permissions": "What Google Cloud has to permit for it to be decided.",
    "examples": "What it must say of an example: its tests.",
}


def _mapping(properties: dict[str, object], required: list[str]) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of check files."""
    text, texts = {"type": "string", "pattern": r"\S"}, {"type": "array", "items": {"type": "string"}}
    table: dict[str, object] = {"type": "object"}
    fix: dict[str, object] = {
        "safety": {"enum": list(SAFETY)},
        "summary": {"type": "string"},
        "diff": {"type": "string"},
    }
    properties: dict[str, object] = {
        **dict.fromkeys(("title", "area", "message", "why"), text),
        **{key: {"type": "string"} for key in ("absent_message", "pass_message")},
        **dict.fromkeys(("refs", "permissions"), texts),
        **dict.fromkeys(("where", "expect"), table),
        **{key: {"enum": list(known)} for key, known in CHOICES.items()},
        **{key: {"enum": sorted(KINDS)} for key in QUANTIFIERS},
        "id": {"type": "string", "pattern": ID.pattern},
        "fix": {
            "anyOf": [
                _mapping({**fix, **{name: _mapping(fix, ["summary"]) for name in ECOSYSTEMS}}, ["safety", "summary"]),
                {"type": "null"},
            ]
        },
        "examples": _examples(),
    }
    described: dict[str, object] = {
        key: {"description": _MEANINGS[key], **_plain(value)} for key, value in properties.items()
    }
    check = {
        **_mapping(described, list(REQUIRED)),
        "oneOf": [{"required": [key]} for key in QUANTIFIERS],
        "allOf": [_of(kind) for kind in sorted(KINDS)],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sentry-audit checks",
        **_mapping({"checks": {"type": "array", "items": {"$ref": "#/$defs/check"}}}, ["checks"]),
        "$defs": {
            "check": check,
            "condition": _condition(),
            **{f"of {kind}": _fields(kind) for kind in sorted(KINDS)},
            **{f"fields of {kind}": {"enum": list(fields(kind))} for kind in sorted(KINDS)},
        },
    }


def _ref(name: str) -> dict[str, object]:
    return {"$ref": "#/$defs/" + name.replace(" ", "%20")}


def _plain(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def _of(kind: str) -> dict[str, object]:
    """Checks on ``kind`` speak of its fields."""
    asked = [{"required": [key], "properties": {key: {"const": kind}}} for key in QUANTIFIERS]
    table = _ref(f"of {kind}")
    return {"if": {"anyOf": asked}, "then": {"properties": {"where": table, "expect": table}}}


def _fields(kind: str) -> dict[str, object]:
    names = _ref(f"fields of {kind}")
    return {"type": "object", "propertyNames": names, "additionalProperties": {"$ref": "#/$defs/condition"}}


def _condition() -> dict[str, object]:
    """A value (is), a list (in), or operators with what they take."""
    operators: dict[str, object] = {}
    for name, item in OPERATORS.items():
        types = list(dict.fromkeys(_TYPES[taken] for taken in item.takes))
        operators[name] = {"description": f"The field {item.meaning}.", "type": types[0] if len(types) == 1 else types}
    scalar = {"type": ["string", "number", "boolean", "null"]}
    return {"anyOf": [scalar, {"type": "array"}, _mapping(operators, [])]}


def _examples() -> dict[str, object]:
    kinds = {kind: {"type": "object", "propertyNames": _ref(f"fields of {kind}")} for kind in sorted(KINDS)}
    parts: dict[str, object] = {
        "files": {"type": "object", "additionalProperties": {"type": "string"}},
        "facts": {"type": "array", "items": _mapping(dict(kinds), [])},
        "environment": {"type": "string"},
    }
    example = {**_mapping(parts, []), "anyOf": [{"required": ["files"]}, {"required": ["facts"]}]}
    some = {"type": "array", "items": example}
    return _mapping(
        {"pass": {**some, "minItems": 1}, "fail": {**some, "minItems": 1}, "unknown": some}, ["pass", "fail"]
    )
