"""The JSON Schema of ``--format json``; its words come from the model, so that they cannot drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.model import Confidence, Link, Severity, Status
from sentry_audit.reporters.json_ import SCHEMA_VERSION

if TYPE_CHECKING:
    from enum import StrEnum

_SAFETIES = ["safe", "review", "live", "manual"]
_TEXT: dict[str, object] = {"type": "string"}
_NAME: dict[str, object] = {"type": "string", "minLength": 1}
_MAYBE_TEXT: dict[str, object] = {"type": ["string", "null"]}
_POSITION: dict[str, object] = {"type": ["integer", "null"], "minimum": 1}
_COUNT: dict[str, object] = {"type": "integer", "minimum": 0}
_FLAG: dict[str, object] = {"type": "boolean"}
_EXIT_CODE: dict[str, object] = {"enum": [0, 1, 2, 3, 4, 5, 6, 10, 70]}


def output_schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of what ``--format json`` writes: every key required, no other allowed."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sentry-audit check --format json",
        "description": "One environment's audit, or with --all-envs one per environment.",
        "oneOf": [_ref("report"), _ref("environments")],
        "$defs": {
            "report": _report(),
            "environments": _object(
                schema_version={"const": SCHEMA_VERSION},
                environments=_list(_ref("report")),
                exit_code=_EXIT_CODE,
            ),
            "component": _object(
                name=_NAME,
                path=_TEXT,
                ecosystem=_NAME,
                role=_TEXT,
                entry_point=_MAYBE_TEXT,
                reasons=_list(_TEXT),
                chain=_list(_ref("link")),
            ),
            "link": _object(link=_enum(Link), status=_enum(Status), message=_TEXT, evidence=_list(_ref("evidence"))),
            "finding": _finding(),
            "evidence": _object(path=_MAYBE_TEXT, line=_POSITION, column=_POSITION, resource=_MAYBE_TEXT, saw=_TEXT),
            "remedy": _object(fixable=_FLAG, safety={"enum": _SAFETIES}, summary=_TEXT, command=_TEXT),
            "waiver": _object(reason=_NAME, until=_NAME, owner=_TEXT, ticket=_TEXT, place=_ref("evidence")),
            "google_cloud": _object(
                taken_at=_TEXT,
                identity=_TEXT,
                identity_source=_TEXT,
                evidence=_MAYBE_TEXT,
                projects=_list(_TEXT),
                failure=_TEXT,
                command=_TEXT,
            ),
            "sentry": _object(
                taken_at=_TEXT,
                url=_TEXT,
                token_source=_TEXT,
                evidence=_MAYBE_TEXT,
                projects=_list(_TEXT),
                failure=_TEXT,
                command=_TEXT,
            ),
            "sentry_project": _object(
                component=_NAME, host=_TEXT, project=_TEXT, dsn=_TEXT, fingerprint=_TEXT, resource=_TEXT
            ),
            "problem": _object(
                source=_NAME,
                kinds={"type": "array", "items": _NAME, "uniqueItems": True},
                component=_TEXT,
                reason=_TEXT,
                hint=_TEXT,
                evidence=_ref("evidence"),
            ),
        },
    }


def _report() -> dict[str, object]:
    return _object(
        schema_version={"const": SCHEMA_VERSION},
        tool=_object(name={"const": "sentry-audit"}, version=_NAME),
        root=_TEXT,
        environment=_TEXT,
        verdict=_object(ready=_FLAG, headline=_TEXT),
        components=_list(_ref("component")),
        findings=_list(_ref("finding")),
        problems=_list(_ref("problem")),
        notes=_list(_TEXT),
        google_cloud=_or_null("google_cloud"),
        sentry=_or_null("sentry"),
        sentry_projects=_list(_ref("sentry_project")),
        counts=_object(**{status.value: _COUNT for status in Status}),
        exit_code=_EXIT_CODE,
    )


def _finding() -> dict[str, object]:
    return _object(
        check=_NAME,
        title=_TEXT,
        area=_TEXT,
        severity=_enum(Severity),
        confidence=_enum(Confidence),
        status=_enum(Status),
        component=_TEXT,
        environment=_TEXT,
        link={"enum": [*(link.value for link in Link), None]},
        message=_TEXT,
        hint=_TEXT,
        evidence=_list(_ref("evidence")),
        remedy=_or_null("remedy"),
        waiver=_or_null("waiver"),
        fingerprint=_NAME,
    )


def _object(**properties: dict[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: dict[str, object]) -> dict[str, object]:
    return {"type": "array", "items": items}


def _enum(words: type[StrEnum]) -> dict[str, object]:
    return {"enum": [word.value for word in words]}


def _ref(name: str) -> dict[str, object]:
    return {"$ref": f"#/$defs/{name}"}


def _or_null(name: str) -> dict[str, object]:
    return {"anyOf": [_ref(name), {"type": "null"}]}
