"""From what was seen of Google Cloud, and what the repository says, to facts of one component in one environment. Pure.

What could not be seen becomes facts that are unknown, with the reason and the command that would help: never nothing,
and never a pass. ``derive.matrix`` compares environments with each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit.cloud_facts import (
    CloudRunEnv,
    CloudRunEnvironment,
    CpuAllocation,
    DeployDrift,
    Egress,
    ServingRevision,
)
from sentry_audit.derive.drift import drift_facts
from sentry_audit.derive.live import Subject, Unseen, found, needs, unseen
from sentry_audit.derive.secrets import KINDS as SECRET_KINDS
from sentry_audit.derive.secrets import secret_facts
from sentry_audit.derive.serving import serving_facts
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.cloud import Snapshot, Target
    from sentry_audit.deployment.matching import Matching
    from sentry_audit.derive.live import Needs
    from sentry_audit.facts import Component, Fact

_RUN_KINDS: tuple[type[Fact], ...] = (
    CloudRunEnv, CloudRunEnvironment, ServingRevision, CpuAllocation, Egress, DeployDrift
)  # fmt: skip
#: Every kind that this module makes, but for ``dsn``.
KINDS = (*SECRET_KINDS, *_RUN_KINDS)


def cloud_facts(
    component: Component, environment: str, snapshot: Snapshot | None, facts: Sequence[Fact], matching: Matching
) -> list[Fact]:
    """What is so of ``component`` on Google Cloud in ``environment``, for each service that it runs as.

    ``facts`` are those already derived for it. Nothing without a snapshot, or where nothing says that it runs there;
    but a front end whose DSN is compiled in needs nothing of what runs it, wherever that is.
    """
    if snapshot is None:
        return []
    mine = [fact for fact in facts if fact.component in {"", component.name}]
    targets = [item for item in snapshot.targets if (item.component, item.environment) == (component.name, environment)]
    need = needs(component, None, mine)
    if not targets and need.built:
        return [kind(component=component.name, needless=need.nothing, evidence=need.evidence) for kind in KINDS]
    found: dict[Fact, None] = {}
    for target in targets:
        derived = _derived(component, environment, snapshot, target, mine, matching)
        found |= dict.fromkeys(replace(fact, component=component.name) for fact in derived)
    return list(found)


def _derived(
    component: Component,
    environment: str,
    snapshot: Snapshot,
    target: Target,
    facts: Sequence[Fact],
    matching: Matching,
) -> list[Fact]:
    need = needs(component, target, facts)
    idle = _idle(need, target)
    settled = [kind(needless=need.nothing, evidence=need.evidence) for kind in idle]
    left = [kind for kind in KINDS if kind not in idle]
    if not left:
        return settled
    project = snapshot.project(target.project)
    blind = _blind(snapshot, target)
    if blind is not None or project is None:
        why = blind or Unseen(f"the project {target.project} was not read")
        here = (Evidence(resource=f"projects/{target.project}", saw="not read"),) if target.project else ()
        return [*settled, *(kind(unknown=why.reason, hint=why.hint, evidence=here) for kind in left)]
    services, missing, hidden = found(target, project)
    subject = Subject(
        component, environment, target, project, snapshot, facts, matching, need, services, missing, hidden
    )
    made = secret_facts(subject) if SECRET_KINDS[0] in left else []
    if not need.built:
        made += [*serving_facts(subject), *drift_facts(subject)]
    return [*settled, *made]


def _idle(need: Needs, target: Target) -> tuple[type[Fact], ...]:
    """The kinds of which nothing has to hold: a DSN that is compiled in, or stands in the code, needs no secret."""
    if not need.nothing:
        return ()
    secrets = () if need.secret or target.secrets else SECRET_KINDS
    return (*secrets, *_RUN_KINDS) if need.built else secrets


def _blind(snapshot: Snapshot, target: Target) -> Unseen | None:
    """Why nothing of the target was seen; None if something was."""
    if snapshot.failure is not None:
        return unseen([snapshot.failure])
    if target.project and target.service:
        return None
    what = "project" if not target.project else "service"
    usual = (
        f"which {what} {target.component} runs in on Google Cloud is not known"
        if what == "project"
        else (f"which Cloud Run service is {target.component}'s is not known")
    )
    return Unseen(target.why or usual)
