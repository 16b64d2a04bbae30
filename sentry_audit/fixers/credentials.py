"""What a bundler's plugin needs to upload source maps, given to the build that lacks it: the token, and for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.deployment.matching import Matching
from sentry_audit.derive.building import Building
from sentry_audit.facts import Component
from sentry_audit.fixers._code import plural
from sentry_audit.fixers.build_secrets import token
from sentry_audit.fixers.bundles import provide_all
from sentry_audit.fixers.passing import CLOUDBUILD, SCRIPT, WORKFLOW
from sentry_audit.fixing import Edit, Refusal
from sentry_audit.model import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.fixers.passing import Value
    from sentry_audit.fixers.spelling import Spelling
    from sentry_audit.fixing import Case

_SECRET = ("TOKEN", "SECRET", "PASSWORD")


def lacks(case: Case, names: Sequence[str]) -> list[str]:
    """Those of the variables ``names`` that the build of the front end is not seen to get."""
    matching = Matching([case.component, Component(name="", path="?")], case.scanned)
    building = Building(case.component, case.environment, case.scanned, matching, case.files)
    return [name for name in dict.fromkeys(names) if building.reach(name).status is not Status.PASS]


def credential(case: Case, name: str, also: Sequence[str] = ()) -> tuple[list[Edit], str] | Refusal:
    """(the edits that give the build the variable ``name``, what a person has to do first).

    ``also`` are plain ones that it is given together with a plain one.
    """
    if any(word in name for word in _SECRET):
        return token(case, name)
    names = [name, *also]
    change = provide_all(case, [(each, _value(each)) for each in names], "for whom the maps are")
    if isinstance(change, Refusal):
        return change
    return list(change.edits), f"{plural(names)} {'have' if also else 'has'} to be set where it is built"


def _value(name: str) -> Value:
    def value(_: Spelling, kind: str) -> str:
        return {WORKFLOW: f"${{{{ vars.{name} }}}}", CLOUDBUILD: f"${{_{name}}}", SCRIPT: f"${{{name}:-}}"}[kind]

    return value
