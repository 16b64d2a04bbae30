"""The use cases, in the order in which things happen. Read this second, after ``model``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit.accepting import ledger
from sentry_audit.auditing import (
    DATA,
    Request,
    collect,
    components_of,
    derived,
    environments_of,
    facts_of,
    open_tree,
    report,
    sdk_table,
    snapshot_of,
    with_cloud,
)
from sentry_audit.errors import ChecksFileError, NothingAudited, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sentry_audit.checks import Check
    from sentry_audit.cloud import Snapshot
    from sentry_audit.differing import Difference
    from sentry_audit.facts import Fact
    from sentry_audit.model import Report
    from sentry_audit.settings import Settings
    from sentry_audit.sources.tree import Tree
    from sentry_audit.tracing import Way
    from sentry_audit.waivers.judging import Ledger

#: The kind of fact that only a booted application gives.
PROOF = "proof"

__all__ = [
    "PROOF",
    "Request",
    "accounted",
    "all_checks",
    "check",
    "checks_file",
    "checks_text",
    "collect_evidence",
    "describe",
    "difference",
    "ids",
    "sdk_table",
    "selected",
    "shipped_checks",
    "trace",
]


def checks_text() -> str:
    """The shipped ``checks.yaml``: from the wheel, else from the checkout that an editable install points to."""
    shipped = DATA / "checks.yaml"
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    return (DATA.parent.parent / "checks.yaml").read_text(encoding="utf-8")


def shipped_checks(*, examples: bool = True) -> tuple[Check, ...]:
    """The checks of the catalogue; without their examples they are read at a tenth of the time."""
    from sentry_audit.checks import load, loaded

    text = checks_text()
    data = None if examples else _parsed(text)
    return load(text, "checks.yaml") if data is None else loaded(data)


def _parsed(text: str) -> dict[str, object] | None:
    """``text`` as scripts/generate_checks_data.py parsed it; None if that was another text.

    To load a YAML parser and to parse the catalogue took a tenth of a short run.
    """
    import json
    import zlib

    try:
        known = json.loads((DATA / "checks.json").read_text(encoding="utf-8"))
        return {"checks": known["checks"]} if known["crc32"] == zlib.crc32(text.encode()) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check(
    request: Request, checks: Sequence[Check] | None = None, progress: Callable[[int, int, str], None] | None = None
) -> list[Report]:
    """Audit ``request.root`` in each environment asked for; one report each.

    ``checks`` replaces the catalogue; ``progress`` hears how many questions to Google Cloud were answered, of how many.

    Raises NothingAudited when there is nothing to look at, UsageError for names that do not exist, EvidenceError.
    """
    return accounted(request, checks, progress)[0]


def accounted(
    request: Request, checks: Sequence[Check] | None = None, progress: Callable[[int, int, str], None] | None = None
) -> tuple[list[Report], Ledger]:
    """As ``check``, and what came of each waiver."""
    tree, settings = open_tree(request)
    chosen = selected(request, settings, checks)
    request = needed(request, chosen)
    environments = environments_of(request, settings, tree)
    collected, deriver = collect(tree, settings, request)
    parts = components_of(collected, request.components)
    components = facts_of(parts)
    if not components:
        from sentry_audit.collecting import nothing

        raise NothingAudited(*nothing(collected))
    audited = [derived(deriver, parts, environment) for environment in environments]
    snapshot = snapshot_of(request, settings, deriver, parts, audited, progress)
    if request.asks:
        audited = [with_cloud(item, components, snapshot, deriver) for item in audited]
    accepted = ledger(request, settings, tree, lambda: ids(request, settings, checks))
    reports = [report(collected, components, chosen, item, snapshot, request, settings, accepted) for item in audited]
    return noted(reports, accepted, request, settings, tree), accepted


def noted(reports: list[Report], accepted: Ledger, request: Request, settings: Settings, tree: Tree) -> list[Report]:
    """``reports``, the last one with what is to be said of the waivers and the baseline themselves."""
    if not accepted.written and not accepted.complaints:
        return reports
    whole = not (request.select or request.ignore or request.components)
    known = environments_of(replace(request, all_environments=True), settings, tree)
    notes = accepted.notes(known, whole=whole)
    return [*reports[:-1], replace(reports[-1], notes=(*reports[-1].notes, *notes))]


def ids(request: Request, settings: Settings, checks: Sequence[Check] | None = None) -> tuple[str, ...]:
    """The ids of all checks that there are for ``request``, selected or not."""
    return tuple(item.id for item in _known_checks(request, settings, checks))


def _known_checks(request: Request, settings: Settings, checks: Sequence[Check] | None) -> Sequence[Check]:
    if checks is not None:
        return checks
    return (*shipped_checks(examples=False), *_own_checks(request.root, settings.checks))


def needed(request: Request, chosen: Sequence[Check]) -> Request:
    """``request`` without asking Sentry where no chosen check looks at what it says."""
    from sentry_audit import sentry_facts
    from sentry_audit.facts import KINDS

    looked = any(KINDS[item.subject].__module__ == sentry_facts.__name__ for item in chosen)
    return request if looked or request.sentry is None else replace(request, sentry=None)


def selected(request: Request, settings: Settings, checks: Sequence[Check] | None = None) -> tuple[Check, ...]:
    """The checks of ``request``: of ``checks``, else of the catalogue and the settings.

    Raises UsageError for a name that is none, NothingAudited when no check is left, ChecksFileError.
    """
    from sentry_audit.engine import select

    known = _known_checks(request, settings, checks)
    chosen = select(known, request.select, request.ignore)
    if checks is None and request.proofs is not None:
        others = [item for item in chosen if (item.subject == PROOF) is not request.proofs]
        chosen = tuple(item for item in chosen if (item.subject == PROOF) is request.proofs)
        if not chosen and others and not request.proofs:
            raise NothingAudited("only verify judges proofs: it boots the application", "run: sentry-audit verify")
    if not chosen:
        raise NothingAudited(
            "no check is selected", "leave --select and --ignore out, or see: sentry-audit checks list"
        )
    return chosen


def collect_evidence(request: Request, progress: Callable[[int, int, str], None] | None = None) -> Snapshot:
    """What Google Cloud and Sentry say about the components of ``request.root`` in the environments asked for.

    Raises NothingAudited when there is nothing to ask for.
    """
    tree, settings = open_tree(request)
    environments = environments_of(request, settings, tree)
    collected, deriver = collect(tree, settings, request)
    parts = components_of(collected, request.components)
    audited = [derived(deriver, parts, environment) for environment in environments]
    snapshot = snapshot_of(request, settings, deriver, parts, audited, progress)
    if snapshot is None:
        raise NothingAudited(
            f"nothing in {request.root} says where on Cloud Run it is deployed for {', '.join(environments)}",
            "name project and service in sentry-audit.yaml: google_cloud, and components: service",
        )
    return snapshot


def trace(request: Request, name: str) -> list[Way]:
    """The way of one variable in the environment asked for.

    Raises NothingAudited when there is nothing to look at, or the variable is named nowhere.
    """
    from sentry_audit import tracing
    from sentry_audit.facts import DsnArgument

    tree, settings = open_tree(request)
    collected, deriver = collect(tree, settings, request)
    environment = environments_of(request, settings, tree)[0]
    services, frontends = components_of(collected, request.components)
    facts = deriver.derive(services, environment, frontends)[0]
    read = {item for fact in facts if isinstance(fact, DsnArgument) for item in fact.variables}
    if name not in read and not collected.tree.search([name]):
        known = sorted(_variables(collected.facts) | read)
        raise NothingAudited(f"{name} is named nowhere in {request.root}", nearest(name, known, "check the spelling"))
    components = [*(service.fact for service in services), *(item.fact for item in frontends)]
    return tracing.trace(name, environment, tree, components, collected.facts, facts, deriver.matching)


def _variables(facts: Sequence[Fact]) -> set[str]:
    from sentry_audit.facts import Deployment, EnvVar

    found = {fact.name for fact in facts if isinstance(fact, EnvVar)}
    return found | {item.name for fact in facts if isinstance(fact, Deployment) for item in fact.settings if item.name}


def difference(
    request: Request, left: str, right: str, progress: Callable[[int, int, str], None] | None = None
) -> list[Difference]:
    """What differs between two environments along the chain."""
    from sentry_audit.differing import differences

    reports = check(replace(request, environments=(left, right), all_environments=False), progress=progress)
    return differences(reports[0], reports[1])


def checks_file(path: Path, name: str = "") -> tuple[Check, ...]:
    """The checks of a file of the user's; raises ChecksFileError."""
    from sentry_audit.checks import load

    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ChecksFileError(f"{path} cannot be read: {error.strerror}", "give the path of a check file") from error
    except UnicodeDecodeError as error:
        raise ChecksFileError(f"{path} is not UTF-8 text (byte {error.start})", "save it as UTF-8") from error
    return load(text, name or str(path))


def _own_checks(root: Path, names: Sequence[str]) -> list[Check]:
    """The checks that the settings add; an id of the catalogue's cannot be taken."""
    taken = {item.id for item in shipped_checks(examples=False)} if names else set()
    found: list[Check] = []
    for name in names:
        if not (root / name).exists():
            there = [str(item.relative_to(root)) for item in (root / name).parent.glob("*.y*ml")]
            raise ChecksFileError(
                f"{name} cannot be read: the settings name it under checks, and it is not there",
                nearest(name, there, "give a path from the root of the repository"),
            )
        for index, item in enumerate(checks_file(root / name, name)):
            if item.id in taken:
                from sentry_audit.positions import yaml_line

                line = yaml_line((root / name).read_text(encoding="utf-8-sig"), ("checks", index, "id"))
                raise ChecksFileError(f"{name}:{line}: the check {item.id} exists already", "choose another id")
            taken.add(item.id)
            found.append(item)
    return found


def all_checks(root: Path) -> tuple[Check, ...]:
    """The catalogue, and the checks that the settings of ``root`` add. Raises SettingsError, ChecksFileError."""
    from sentry_audit.settings import load

    return (*shipped_checks(), *_own_checks(root, load(root).checks))


def describe(check_id: str, root: Path) -> Check:
    """The check with that id, of the catalogue or of ``root``; raises UsageError with the nearest id."""
    known = {item.id: item for item in shipped_checks()}
    if check_id not in known:  # what is wrong in the settings is no matter for a check of the catalogue
        known = {item.id: item for item in all_checks(root)}
    if check_id in known:
        return known[check_id]
    raise UsageError(f"no check is called {check_id}", nearest(check_id, known, "see: sentry-audit checks list"))
