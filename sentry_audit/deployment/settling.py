"""The environment of definitions that name none, from others of the same service."""

from __future__ import annotations

from collections import defaultdict
from posixpath import dirname
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit.deployment.environments import TOLD_SERVICE
from sentry_audit.facts import BUILDS, Deployment, SecretDeclared

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_audit.facts import Fact


def settled(facts: Sequence[Fact]) -> list[Fact]:
    """``facts`` with the environment of each deployment and secret that names none, where others leave no doubt.

    Those are the others of its service in the same pipeline, and those that only tell the service its environment.
    """
    near: dict[tuple[str, str], list[Deployment]] = defaultdict(list)
    told: dict[str, list[Deployment]] = defaultdict(list)
    beside: dict[str, list[Deployment]] = defaultdict(list)
    for fact in facts:
        if not isinstance(fact, Deployment) or fact.resource in BUILDS:
            continue
        if fact.origin == "terraform":
            beside[dirname(fact.path)].append(fact)
        if fact.environment:
            near[fact.pipeline, fact.service].append(fact)
            if fact.rule.startswith(TOLD_SERVICE):
                told[fact.service].append(fact)
    return [_secret(fact, beside) if isinstance(fact, SecretDeclared) else _settled(fact, near, told) for fact in facts]


def _secret(fact: SecretDeclared, beside: dict[str, list[Deployment]]) -> SecretDeclared:
    """A secret of Terraform with the environment of all services beside it."""
    other = _agreed(beside.get(dirname(fact.path), [])) if fact.origin == "terraform" else None
    return fact if fact.environment or other is None else replace(fact, environment=other.environment)


def _settled(fact: Fact, near: dict[tuple[str, str], list[Deployment]], told: dict[str, list[Deployment]]) -> Fact:
    if not isinstance(fact, Deployment) or fact.environment or fact.resource in BUILDS or not fact.service:
        return fact
    anywhere = [] if "$" in fact.service else told.get(fact.service, [])
    for others in (near.get((fact.pipeline, fact.service), []), anywhere):
        if other := _agreed(others):
            return replace(fact, environment=other.environment, rule=f"as {other.path}:{other.line}: {other.rule}")
    return fact


def _agreed(others: Iterable[Deployment]) -> Deployment | None:
    """One of ``others`` if all are of one environment."""
    by = {item.environment: item for item in others}
    return next(iter(by.values())) if len(by) == 1 else None
