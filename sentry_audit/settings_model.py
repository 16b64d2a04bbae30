"""``sentry-audit.yaml`` and ``[tool.sentry-audit]`` as they are written: every key, once.

From here follow what is refused, and in which words; the JSON Schema; and docs/settings-reference.md.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from msgspec import Meta, Struct, convert

from sentry_audit import modelled
from sentry_audit.modelled import pattern, said

_NAMES = "{where} must be a list of names"
_TEXT = "{where} must be a text, not {type}"
_REGIONS = ["europe-west1"]
UNTIL = "write the last day on which it holds (until: 2027-01-31), or until: permanent"

#: A text that is not empty.
Name: TypeAlias = Annotated[str, pattern(r"\S")]
#: A text of the user's; a number is taken for one (``ticket: 1204``).
Words: TypeAlias = Name | int
#: One name, or several; an empty list would cover nothing, and read as everything.
Scope: TypeAlias = Name | Annotated[list[Name], Meta(min_length=1)]
WAIVER = {"check": "dsn-hardcoded", "reason": "why it is accepted", "until": "2027-01-31"}


def _only(key: str, description: str, example: str) -> Meta:
    hint = f"for example: {key}: [{example}]; leave {key} out for all"
    return said(description, [example], "{where} must be a name or a list of names", hint)


class Component(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One deployable piece of the repository."""

    name: Annotated[Name, said("What it is called: in reports, and for `--component`.", "api", _TEXT)]
    path: Annotated[str, said("Its folder, from the root of the repository.", "services/api", _TEXT)]
    entry_point: (
        Annotated[str, said("The file that starts it, with the application's name.", "services/api/main.py:app", _TEXT)]
        | None
    ) = None
    role: (
        Annotated[
            Literal["service", "worker", "job"],
            said(
                "What sort of process it is.", "service", "{parent}: role must be service, worker or job, not {value}"
            ),
        ]
        | None
    ) = None
    server: Annotated[str, said("What serves it.", "uvicorn", _TEXT)] | None = None
    service: (
        Annotated[
            str | dict[str, Name],
            said(
                "The Cloud Run service that it is deployed as: one name, or one for each environment.",
                {"staging": "shop-api-stg", "production": "shop-api"},
                "{parent}: service must be a name, or map environments to names",
            ),
        ]
        | None
    ) = None


class CloudPlace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where something runs in Google Cloud."""

    project: Annotated[str, said("The id of the project.", "shop-stg", _TEXT, "write project: a-name")] = ""
    regions: Annotated[
        list[str],
        said(
            "The regions to ask; where nothing names one, all are asked.",
            _REGIONS,
            "{where} must be a list of regions",
        ),
    ] = []
    secret: Annotated[
        str,
        said(
            "A secret that the DSN is kept in, besides those that deployments pass: `name`, `name:version`, or "
            "`projects/PROJECT/secrets/NAME`.",
            "sentry-dsn",
            _TEXT,
        ),
    ] = ""


class GoogleCloud(CloudPlace, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """What is so for every environment; and below the name of an environment, what is so for it."""

    OTHERS: ClassVar[type[Struct]] = CloudPlace


class Waiver(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One accepted gap: a scope that is left out holds everywhere."""

    check: Annotated[Words, said("The id of the check, or a glob of ids.", "dsn-hardcoded", _TEXT)]
    reason: Annotated[Words, said("Why the gap is accepted.", "the base image has it", _TEXT)]
    until: Annotated[
        str,
        pattern(r"^(\d{4}-\d{2}-\d{2}|permanent)$"),
        said("The last day on which it holds, or `permanent`.", "2027-01-31", "{where}: {value} is neither a date nor permanent", UNTIL),
    ]  # fmt: skip
    components: Annotated[Scope, _only("components", "Only these components (names, globs).", "api")] | None = None
    environments: Annotated[Scope, _only("environments", "Only these environments.", "staging")] | None = None
    paths: (
        Annotated[Scope, _only("paths", "Only gaps that begin in these files (as in `.gitignore`).", "legacy/")] | None
    ) = None
    owner: Annotated[str | int, said("Who answers for it.", "team-shop", _TEXT)] = ""
    ticket: Annotated[str | int, said("Where it is followed up.", "SHOP-1204", _TEXT)] = ""
    fingerprint: (
        Annotated[Scope, _only("fingerprint", "Only gaps of this content; `waive` writes it.", "4f1c09aa")] | None
    ) = None


class Sentry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sentry itself, as its API is asked."""

    #: An address would send the user's token to whoever writes to the repository.
    REFUSED: ClassVar[dict[str, tuple[str, str]]] = {
        "url": (
            "{where} is not read from a repository: the token would be sent there",
            "export SENTRY_URL, or pass --sentry-url",
        )
    }
    organization: Annotated[str, said("The organization to ask about DSNs that do not name theirs.", "shop", _TEXT)] = (
        ""
    )


class File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of sentry-audit. Everything may be left out."""

    environments: (
        Annotated[list[str], said("The environments that `--all-envs` audits.", ["staging", "production"], _NAMES)]
        | None
    ) = None
    default_environment: (
        Annotated[str, said("The environment that is audited when `--env` is left out.", "production", _TEXT)] | None
    ) = None
    optional_environments: (
        Annotated[list[str], said("Environments in which a dark Sentry is no gap.", ["development"], _NAMES)] | None
    ) = None
    components: (
        Annotated[
            list[Component],
            said(
                "The components, in place of those that are discovered; image, manifests and workers are still found "
                "by their folders.",
                [{"name": "api", "path": "services/api"}],
                "components must be a list",
            ),
        ]
        | None
    ) = None
    exclude: (
        Annotated[
            list[str],
            said("What is not looked at: patterns as in `.gitignore`.", ["legacy/", "*.generated.py"], _NAMES),
        ]
        | None
    ) = None
    agents: (
        Annotated[
            list[str],
            said("Entry points that should tell Sentry which agent runs.", ["app/agents/support.py:run"], _NAMES),
        ]
        | None
    ) = None
    checks: (
        Annotated[
            list[str],
            said(
                "Check files that add to the catalogue, from the root of the repository.", ["checks/ours.yaml"], _NAMES
            ),
        ]
        | None
    ) = None
    deployments: (
        Annotated[
            dict[str, str],
            said(
                "Which environment the deploy definitions of a file are of: patterns as in a shell.",
                {"deploy/run-*.sh": "staging"},
                "deployments must map files to environments",
            ),
        ]
        | None
    ) = None
    google_cloud: (
        Annotated[
            GoogleCloud,
            said(
                "Where each environment runs. It comes before what the deploy definitions say; `--project` and "
                "`--region` come before both.",
                {"staging": {"project": "shop-stg", "regions": _REGIONS}},
            ),
        ]
        | None
    ) = None
    waivers: Annotated[list[Waiver], said("Gaps that are accepted.", [WAIVER], "waivers must be a list")] | None = None
    baseline: (
        Annotated[
            str,
            said(
                "The file of the gaps that were there before: only others fail a run.",
                "sentry-audit-baseline.json",
                "baseline must be a path, not {type}",
            ),
        ]
        | None
    ) = None
    sentry: Annotated[Sentry, said("Sentry itself, as its API is asked.", {"organization": "shop"})] | None = None


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of sentry-audit.yaml."""
    return modelled.schema(File, "sentry-audit settings")


def read(data: Any) -> File:
    """The settings in ``data``, in which ``modelled.mistakes`` found nothing."""
    return convert(data, File)


def by_environment(google_cloud: dict[str, Any]) -> dict[str, CloudPlace]:
    """What ``google_cloud`` says of everything (``""``), and of each environment that it names."""
    own = {key: value for key, value in google_cloud.items() if key in CloudPlace.__struct_fields__}
    others = {str(key): convert(value, CloudPlace) for key, value in google_cloud.items() if key not in own}
    return {"": convert(own, CloudPlace), **others}
