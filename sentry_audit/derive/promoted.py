"""What follows when one build makes the front end of several environments: one DSN and one label in all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import canonical, named_in
from sentry_audit.facts import DsnMatrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.deployment.promotion import Promotion
    from sentry_audit.facts import FrontendVariable
    from sentry_audit.javascript.labels import Label

#: What a page knows of where it is.
_AT_RUN_TIME = re.compile(r"\b(window|location|document|globalThis|self)\b|__ENV|getConfig\(|[rR]untimeConfig")


def mislabelled(shared: Promotion | None, name: str, environment: str) -> str:
    """Why a label that is compiled in from ``name`` is wrong in ``environment``; ``""`` if it is not."""
    if shared is None:
        return ""
    given = next((item.value for item in shared.build.settings if item.name == name), "")
    if given and named_in(given) == {canonical(environment)}:
        return ""
    value = f" as {given!r}" if given and not given.startswith("$") else ""
    return f"{shared}, with {name} compiled in{value}: events of {environment} do not say where they are from"


def told_apart(shared: Promotion, variable: FrontendVariable, labels: Sequence[Label]) -> DsnMatrix:
    """Whether the environments that one image is deployed to can be told apart: by a label that is found at run time."""
    here = (*shared.evidence, *(place for label in labels for place in label.evidence))
    if labels and all(label.open or _AT_RUN_TIME.search(label.evidence[0].saw) for label in labels):
        return DsnMatrix(evidence=here)
    if any(len(set(label.literals)) > 1 for label in labels):
        reason = f"{shared}: whether init's environment is decided at run time was not followed"
        return DsnMatrix(unknown=reason, evidence=here)
    value = variable.source.partition("; one build")[0]
    problem = f"{shared}: both send to one project ({value}), and no label that is set at run time tells them apart"
    return DsnMatrix(distinct=False, problem=problem, evidence=here)
