"""The fixers that there are, found by folder, and which of them is asked for a component. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.fixers.fitting import fitted
from sentry_audit.fixing import Change, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.fixing import Case, Fixer


def fixers() -> dict[str, Fixer]:
    """Every fixer that there is, by its check.

    A module with an ``ECOSYSTEM`` fixes the components of that one only: some checks judge services and front ends, and
    each has its own fixer.
    """
    from sentry_audit.plugins import discover

    ecosystems = discover("sentry_audit.fixers", "ECOSYSTEM")
    found: dict[str, list[tuple[str, Fixer]]] = {}
    for name, given in discover("sentry_audit.fixers", "FIXERS").items():
        for check, fixer in given.items():
            found.setdefault(check, []).append((ecosystems.get(name, ""), fixer))
    return {check: _first(given) for check, given in found.items()}


def _first(given: Sequence[tuple[str, Fixer]]) -> Fixer:
    """The change that the first of these fixers gives, those of the component's ecosystem before general ones.

    Lines that it made longer than the project has them are broken.
    Without one: the first refusal, rather one that can be pasted; an empty one where none of them is for the component.
    """

    def fixer(case: Case) -> Change | Refusal:
        own = case.component.ecosystem
        refusals = []
        for ecosystem, each in sorted(given, key=lambda item: item[0] != own):
            if ecosystem in {"", own}:
                answer = each(case)
                if isinstance(answer, Change):
                    return fitted(answer, case.files)
                refusals.append(answer)
        return next((item for item in refusals if item.commands), next(iter(refusals), Refusal(reason="")))

    return fixer
