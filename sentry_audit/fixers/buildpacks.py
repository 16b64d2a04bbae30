"""A variable of the build, where Cloud Run builds from source without a Dockerfile: buildpacks see it, a Dockerfile does not.

Source: cloud.google.com/run/docs/configuring/services/build-environment-variables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit.fixers.definitions import Given, give
from sentry_audit.fixing import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.facts import Deployment
    from sentry_audit.fixers.definitions import Placed
    from sentry_audit.fixers.passing import Value
    from sentry_audit.fixers.spelling import Spelling
    from sentry_audit.fixing import Case


def pass_to_source(
    case: Case, deployments: Sequence[Deployment], name: str, value: Value, kind: str
) -> Placed | Refusal:
    """``--update-build-env-vars`` of each command that deploys from source; ``kind`` is the place's, for ``value``."""

    def ask(spelling: Spelling) -> Given | Refusal:
        around = case.files.text(spelling.deployment.path) or ""
        told = value(replace(spelling, around=around), kind)
        return told if isinstance(told, Refusal) else Given(name, told, "build")

    placed: Placed = []
    for item in deployments:
        if any(one.build and one.name == name and one.is_set for one in item.settings):
            continue
        if item.origin == "deploy-cloudrun":
            flag = f'flags: "--update-build-env-vars={name}=…"'
            return Refusal(reason=f"{item.evidence[0]} is an action without an input for it", commands=(flag,))
        more = give(case, item, ask)
        if isinstance(more, Refusal):
            return more
        placed += more
    return placed
