"""The use case of ``fix`` up to the first write: audit, plan, and audit as it would be."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit import __version__
from sentry_audit.accepting import ledger
from sentry_audit.app import ids, needed, noted, selected
from sentry_audit.auditing import (
    Request,
    collect,
    components_of,
    derived,
    environments_of,
    facts_of,
    open_tree,
    report,
    snapshot_of,
    with_cloud,
)
from sentry_audit.errors import NothingAudited, UsageError
from sentry_audit.fixing import Case
from sentry_audit.formatting import Formatters
from sentry_audit.known_fixers import fixers
from sentry_audit.model import Link, Status
from sentry_audit.planning import Audit, Scope
from sentry_audit.planning import plan as planned
from sentry_audit.sources.overlay import Overlay, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sentry_audit.auditing import Audited
    from sentry_audit.checks import Check
    from sentry_audit.cloud import Snapshot
    from sentry_audit.collecting import Collected
    from sentry_audit.deriving import Deriver
    from sentry_audit.facts import Component
    from sentry_audit.fixing import Edit, Fixer, Plan
    from sentry_audit.model import Finding, Report


#: Where these break, nothing after them runs: closing their gaps shows what could not be judged before.
_REVEALING = frozenset({Link.SDK, Link.INIT, Link.DSN})
#: The same for the server of a Next.js application, whose init instrumentation runs.
_REVEALING_CHECKS = frozenset({"frontend-request-errors-captured"})


class Planned(Struct, frozen=True):
    """A plan; the audit that it begins with, and the one of the tree with all its edits, in the same cloud.

    ``wanted`` are the checks that were to be fixed: all those that were audited without ``--only``.
    """

    plan: Plan
    before: Report
    after: Report
    wanted: frozenset[str]


def plan(
    request: Request,
    only: Sequence[str] = (),
    *,
    repo: bool = True,
    cloud: bool = True,
    unproven: bool = False,
    formatted: bool = True,
    checks: Sequence[Check] | None = None,
    known: Mapping[str, Fixer] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Planned:
    """What ``fix`` will do about the gaps of ``request.root`` in its one environment; nothing is written.

    All checks of ``request`` are audited, so that no fix breaks what another looks at; ``only`` (as in ``--select``) says
    whose gaps are fixed. ``repo`` and ``cloud`` say what may be changed, ``known`` replaces the fixers that there are.
    ``formatted``: files get the format of the project's own formatter, where that is installed.

    Raises what ``app.check`` raises; UsageError for more than one environment.
    """
    from sentry_audit.engine import select

    gc.enable()  # each rehearsal makes syntax trees that the next does not need
    stage = _Stage(request, checks, progress)
    wanted = frozenset(item.id for item in select(stage.checks, only, ()))
    scope = Scope(
        wanted=wanted if only else None,
        repo=repo,
        cloud=cloud,
        unproven=unproven,
        cloud_checks=_judging(stage.checks, _cloud_kinds()),
        deployed_later=_judging(stage.checks, {"deploy_drift"}),
        revealing=_REVEALING_CHECKS | {item.id for item in stage.checks if item.link in _REVEALING},
    )
    formatter = Formatters(stage.tree) if formatted else None
    found = planned(stage, fixers() if known is None else known, scope, stage.environment, __version__, formatter)
    edits = {change.path: change.after for step in found.steps for change in step.files}
    return Planned(found, stage.before(), stage.look(edits)[0], wanted)


def cases(request: Request) -> list[Case]:
    """What fixers are given: a case for every gap of the checks that ``request`` selects. Raises as ``plan``."""
    return list(_Stage(request, None, None).look({})[1].cases)


def _judging(checks: Sequence[Check], kinds: set[str]) -> frozenset[str]:
    return frozenset(item.id for item in checks if item.subject in kinds)


def _cloud_kinds() -> set[str]:
    """The kinds of facts that no edit of a file changes: those of Google Cloud and of Sentry."""
    from sentry_audit.facts import KINDS, is_live

    return {name for name in KINDS if is_live(name)}


class _Stage:
    """The repository, and what Google Cloud was seen to hold: asked once, before anything is edited."""

    def __init__(
        self,
        request: Request,
        checks: Sequence[Check] | None,
        progress: Callable[[int, int, str], None] | None,
    ) -> None:
        self.tree, self.settings = open_tree(request)
        self.checks = selected(request, self.settings, checks)
        self.request = needed(request, self.checks)
        self.ids = ids(request, self.settings, checks)
        environments = environments_of(request, self.settings, self.tree)
        if len(environments) != 1:
            raise UsageError("fix works in one environment at a time", "give one: --env staging")
        [self.environment] = environments
        self.snapshot: Snapshot | None = None
        self._progress = progress
        self._begun = False
        self._last: tuple[dict[str, str | None], tuple[Report, Audit]] | None = None
        self._first = self.look({})

    def text(self, path: str) -> str | None:
        """A file as it is."""
        return self.tree.text(path)

    def refusal(self, edit: Edit) -> str:
        """Why a file may not be edited so."""
        return refusal(self.tree, edit.path, edit.after)

    def before(self) -> Report:
        """The report on the tree as it is: that of ``app.check``."""
        [found] = noted([self._first[0]], self._accepted, self.request, self.settings, self.tree)
        return found

    def audit(self, edits: Mapping[str, str | None]) -> Audit:
        """The audit of the tree with ``edits``."""
        return self.look(edits)[1]

    def look(self, edits: Mapping[str, str | None]) -> tuple[Report, Audit]:
        """The audit of the tree with ``edits``, as a report and as what planning needs."""
        if not edits and self._begun:
            return self._first
        if self._last is None or self._last[0] != edits:
            self._last = dict(edits), self._look(edits)
        return self._last[1]

    def _look(self, edits: Mapping[str, str | None]) -> tuple[Report, Audit]:
        tree = Overlay(self.tree, edits) if edits else self.tree
        collected, deriver = collect(tree, self.settings, self.request)
        parts = components_of(collected, self.request.components)
        components = facts_of(parts)
        if not components:
            from sentry_audit.collecting import nothing

            raise NothingAudited(*nothing(collected))
        audited = derived(deriver, parts, self.environment)
        if not self._begun:
            self._begun = True
            self.snapshot = snapshot_of(self.request, self.settings, deriver, parts, [audited], self._progress)
        if self.request.asks:
            audited = with_cloud(audited, components, self.snapshot, deriver)
        accepted = ledger(self.request, self.settings, tree, lambda: self.ids)
        if not edits:
            self._accepted = accepted
        found = report(
            collected, components, self.checks, audited, self.snapshot, self.request, self.settings, accepted
        )
        return found, Audit(found.findings, tuple(self._cases(found.findings, collected, deriver, components, audited)))

    def _cases(
        self,
        findings: Sequence[Finding],
        collected: Collected,
        deriver: Deriver,
        components: Sequence[Component],
        audited: Audited,
    ) -> list[Case]:
        """A case for every gap."""
        from sentry_audit.cloud import CloudOptions
        from sentry_audit.derive.targets import targets
        from sentry_audit.engine import facts_behind

        gaps = [item for item in findings if item.status is Status.GAP]
        if not gaps:
            return []
        known = {item.id: item for item in self.checks}
        owners = {item.name: item for item in components}
        facts = {name: tuple(item for item in audited.facts if item.component == name) for name in owners}
        options = self.request.cloud or CloudOptions()
        places = targets(
            components, self.environment, deriver.facts, audited.facts, deriver.matching, self.settings, options
        )
        return [
            Case(
                finding=item,
                bad=facts_behind(item, known[item.check], facts[item.component]),
                component=owners[item.component],
                environment=self.environment,
                facts=facts[item.component],
                scanned=collected.facts,
                program=collected.program,
                table=deriver.table,
                snapshot=self.snapshot,
                targets=tuple(place for place in places if place.component == item.component),
            )
            for item in gaps
        ]
