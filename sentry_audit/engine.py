"""Facts in, findings out. Pure: nothing here reads, and nothing is guessed."""

from __future__ import annotations

from fnmatch import fnmatchcase
from string import Formatter
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from sentry_audit.errors import UsageError, nearest
from sentry_audit.facts import KINDS, Component, Fact, is_live
from sentry_audit.model import Confidence, Evidence, Finding, Problem, Remedy, Severity, Status
from sentry_audit.paths import named
from sentry_audit.predicates import holds

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sentry_audit.checks import Check


#: More commands than this are not pasted: the first ones tell what the rest are like.
_MOST_HINTS = 3


def select(checks: Sequence[Check], select: Sequence[str], ignore: Sequence[str]) -> tuple[Check, ...]:
    """The checks that ``select`` names (all when empty) less those of ``ignore``; UsageError when one names nothing."""
    for pattern in (*select, *ignore):
        if not any(_matches(check, pattern) for check in checks):
            hint = nearest(pattern, [check.id for check in checks], "see: sentry-audit checks list")
            raise UsageError(f"no check is called {pattern}", hint)
    chosen = [check for check in checks if not select or any(_matches(check, pattern) for pattern in select)]
    return tuple(check for check in chosen if not any(_matches(check, pattern) for pattern in ignore))


def _matches(check: Check, pattern: str) -> bool:
    kind, _, value = pattern.partition(":")
    if kind == "area" and value:
        return check.area == value
    if kind == "severity" and value:
        return check.severity.value == value
    return fnmatchcase(check.id, pattern)


def evaluate(
    checks: Sequence[Check],
    facts: Sequence[Fact],
    problems: Sequence[Problem],
    components: Sequence[Component],
    environment: str,
    required: bool,
    fixable: Collection[str] = (),
    root: str = ".",
) -> tuple[Finding, ...]:
    """At least one finding per check and component; ``required`` says whether Sentry is, in ``environment``.

    ``fixable`` are the checks whose gaps ``fix`` may close by itself; ``root`` is the repository, as commands name it.
    """
    groups: dict[tuple[str, str], list[Fact]] = {}
    for fact in facts:
        groups.setdefault((fact.kind, fact.component), []).append(fact)
    found: list[Finding] = []
    for component in components:
        for check in checks:
            if check.ecosystem not in {"", component.ecosystem}:
                reason = f"not applicable: {component.name} is no {check.ecosystem} component"
                found.append(_finding(check, Status.SKIPPED, reason, component.name, environment))
                continue
            mine = groups.get((check.subject, component.name), [])
            try:
                fix = check.fix.of(component.ecosystem) if check.fix is not None else None
                mine_ = check if fix is check.fix else replace(check, fix=fix)
                judged = _judge(mine_, mine, problems, component.name, environment, required)
                found += [_placed(_offered(item, fixable, mine_, mine, root), component) for item in judged]
            except Exception as error:  # noqa: BLE001 - a check that crashes is reported as one, never skipped
                found.append(
                    _finding(
                        check,
                        Status.ERROR,
                        f"the check failed: {type(error).__name__}: {error}",
                        component.name,
                        environment,
                    )
                )
    return tuple(found)


def _offered(finding: Finding, fixable: Collection[str], check: Check, facts: Sequence[Fact], root: str) -> Finding:
    """A gap that can be fixed says so, and how; one whose facts say that it is a person's does not."""
    if finding.remedy is None or finding.check not in fixable:
        return finding
    manual = [fact for fact in facts if getattr(fact, "by_hand", "")]
    if manual and any(fact in manual for fact in facts_behind(finding, check, facts)):
        return finding
    command = f"sentry-audit fix{named(root)} --env {finding.environment} --only {finding.check}"
    return replace(finding, remedy=replace(finding.remedy, fixable=True, command=command))


def _placed(finding: Finding, component: Component) -> Finding:
    """A check that serves both sides is the front end's where it judges one."""
    front = component.ecosystem == "npm" and finding.area == "backend"
    return replace(finding, area="frontend") if front else finding


def _judge(
    check: Check, facts: list[Fact], problems: Sequence[Problem], component: str, environment: str, required: bool
) -> list[Finding]:
    if check.environments == "required" and not required:
        return [_finding(check, Status.SKIPPED, f"not required in {environment}", component, environment)]
    blind = [
        problem
        for problem in problems
        if (check.subject in problem.kinds or "*" in problem.kinds) and problem.component in {"", component}
    ]
    facts = [fact for fact in facts if holds(fact, [item for item in check.where if item[0] in fact.identity])]
    unknown = [fact for fact in facts if fact.unknown]
    needless = [fact for fact in facts if fact.needless and not fact.unknown]
    subjects = [fact for fact in facts if not fact.unknown and not fact.needless and holds(fact, check.where)]
    bad = _bad(check, subjects)
    found: dict[Any, Finding] = {}
    for fact in bad:
        finding = _gap(check, fact, component, environment)
        found.setdefault((finding.message, finding.evidence), finding)
    if found:
        return sorted(
            found.values(),
            key=lambda item: (item.evidence[0].path or "", item.evidence[0].line or 0) if item.evidence else ("", 0),
        )
    if unknown:
        reasons = "; ".join(dict.fromkeys(fact.unknown for fact in unknown))
        evidence = tuple(dict.fromkeys(place for fact in unknown for place in fact.evidence))
        hint = "\n".join(list(dict.fromkeys(fact.hint for fact in unknown if fact.hint))[:_MOST_HINTS])
        return [_finding(check, Status.UNKNOWN, reasons, component, environment, evidence, hint)]
    if blind:
        reasons = "; ".join(dict.fromkeys(f"{problem.evidence}: {problem.reason}" for problem in blind))
        evidence = tuple(dict.fromkeys(problem.evidence for problem in blind))
        return [_finding(check, Status.UNKNOWN, reasons, component, environment, evidence, blind[0].hint)]
    if needless and not subjects:
        reasons = "; ".join(dict.fromkeys(fact.needless for fact in needless))
        evidence = tuple(dict.fromkeys(place for fact in needless for place in fact.evidence))
        finding = _finding(check, Status.SKIPPED, f"not applicable: {reasons}", component, environment, evidence)
        return [replace(finding, needless=True)]
    if not subjects and check.quantifier != "none":
        return [_absent(check, facts, component, environment)]
    if check.quantifier == "some" and not any(holds(fact, check.expect) for fact in subjects):
        return [_gap(check, subjects[0], component, environment)]
    evidence = tuple(dict.fromkeys(place for fact in subjects for place in fact.evidence))
    return [_finding(check, Status.PASS, _passed(check, subjects, environment), component, environment, evidence)]


def _bad(check: Check, subjects: list[Fact]) -> list[Fact]:
    if check.quantifier == "each":
        return [fact for fact in subjects if not holds(fact, check.expect)]
    if check.quantifier == "none":
        return [fact for fact in subjects if holds(fact, check.expect)]
    return []


def _passed(check: Check, subjects: list[Fact], environment: str) -> str:
    """What was seen: the check's own sentence if a fact fills it, else its title."""
    for fact in subjects if check.pass_message else ():
        values = _Values(fact, environment)
        if all(values[name] for _, name, _, _ in Formatter().parse(check.pass_message) if name):
            return " ".join(check.pass_message.format_map(values).split())
    for fact in subjects:
        for name in ("source", "specifier", "name"):
            value = getattr(fact, name, "")
            if value and check.link is not None:
                version = getattr(fact, "version", "") if name == "specifier" else ""
                return f"{check.title}: {value}" + (f" (resolves to {version})" if version else "")
    return check.title


def _absent(check: Check, facts: list[Fact], component: str, environment: str) -> Finding:
    kind = KINDS[check.subject].kind.replace("_", " ")
    told = check.absent_message.format(component=component, environment=environment)
    if check.absent == "skip" or facts:
        why = told if told and not facts else f"no {kind} to judge in {component}"
        finding = _finding(check, Status.SKIPPED, f"not applicable: {why}", component, environment)
        return replace(finding, unlooked=not facts and is_live(check.subject))
    status = Status.GAP if check.absent == "gap" else Status.UNKNOWN
    message = told or f"no {kind} was found"
    return _finding(check, status, message, component, environment)


def _gap(check: Check, fact: Fact, component: str, environment: str) -> Finding:
    values = _Values(fact, environment)
    message = " ".join(check.message.format_map(values).split())
    remedy = None
    if check.fix is not None:
        remedy = Remedy(
            summary=check.fix.summary.format_map(values),
            safety=check.fix.safety,
            command=f"sentry-audit explain {check.id}",
            diff=check.fix.diff.format_map(values),
        )
    finding = _finding(check, Status.GAP, message, component, environment, fact.evidence)
    if check.confidence is Confidence.LOW:
        return replace(finding, status=Status.UNKNOWN, message=f"low confidence: {message}")
    return replace(finding, remedy=remedy)


class _Values(dict[str, str]):
    """The fields of a fact as text, for ``str.format_map``."""

    def __init__(self, fact: Fact, environment: str) -> None:
        super().__init__(environment=environment)
        self.fact = fact

    def __missing__(self, key: str) -> str:
        value = getattr(self.fact, key)
        return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _finding(
    check: Check,
    status: Status,
    message: str,
    component: str,
    environment: str,
    evidence: tuple[Evidence, ...] = (),
    hint: str = "",
) -> Finding:
    return Finding(
        check=check.id, title=check.title, area=check.area, severity=check.severity, status=status, message=message,
        component=component, environment=environment, confidence=check.confidence, evidence=evidence, link=check.link, hint=hint,
    )  # fmt: skip


def exit_code(findings: Sequence[Finding], fail_on: Severity | None, allow_unknown: bool) -> int:
    """1 for a gap at or above ``fail_on`` (None: never), 4 for what is undecided there or crashed, else 0."""
    serious = [item for item in findings if fail_on is None or item.severity.rank >= fail_on.rank]
    if fail_on is not None and any(item.status is Status.GAP for item in serious):
        return 1
    if any(item.status is Status.ERROR for item in serious):
        return 4
    if fail_on is not None and not allow_unknown and any(item.status is Status.UNKNOWN for item in serious):
        return 4
    return 0


def bad_facts(check: Check, facts: Sequence[Fact], component: str) -> tuple[Fact, ...]:
    """The facts of ``component`` that make ``check`` a gap; none where it is one because something is absent."""
    mine = [fact for fact in facts if fact.kind == KINDS[check.subject].kind and fact.component == component]
    return tuple(
        _bad(check, [fact for fact in mine if not (fact.unknown or fact.needless) and holds(fact, check.where)])
    )


def facts_behind(finding: Finding, check: Check, facts: Sequence[Fact]) -> tuple[Fact, ...]:
    """Those of ``bad_facts`` that made just this ``finding``: a check has one for each place that it faults."""
    bad = bad_facts(check, facts, finding.component)
    bare = replace(check, fix=None)
    mine = (
        (fact, _gap(bare, fact, finding.component, finding.environment))
        for fact in bad
        if fact.evidence == finding.evidence
    )
    return tuple(fact for fact, made in mine if made.message == finding.message) or bad
