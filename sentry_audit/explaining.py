"""A page about one check: why, from what evidence, what is said, what closes it, what it needs. Pure."""

from __future__ import annotations

import inspect
import textwrap
from typing import TYPE_CHECKING

from sentry_audit.facts import KINDS
from sentry_audit.modelled import flow
from sentry_audit.predicates import OPERATORS
from sentry_audit.sources.gcp.permissions import RPCS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.checks import Check, Fix
    from sentry_audit.predicates import Condition

_WIDTH = 78
_WHERE = {"all": "in every environment", "required": "where Sentry is required (not in development)"}
_HOW = {"each": "Every", "some": "At least one", "none": "No"}
_SAFETY = {
    "safe": "safe to apply",
    "review": "to be reviewed: it changes what runs",
    "live": "changes Google Cloud",
    "manual": "by hand",
}
_ABSENT = {
    "skip": "Where there is none, there is nothing to check.",
    "gap": "Where there is none, that is the gap.",
    "unknown": "Where there is none, it is unknown.",
}


def explanation(check: Check, *, can_fix: bool = False) -> str:
    """The page, at most 80 columns wide but for addresses and diffs; ``can_fix``: ``fix`` may do it by itself."""
    parts = [
        f"{check.id}\n{'=' * len(check.id)}",
        check.title,
        "\n".join(_facts(check)),
        "WHY\n" + _paragraphs(check.why),
        "WHAT IS LOOKED AT\n" + "\n".join(map(_wrapped, _looked(check))),
        "WHAT IS SAID\n" + "\n".join(map(_wrapped, _said(check))),
        "WHAT CLOSES IT\n" + "\n".join(_closing(check, can_fix=can_fix)),
        "PERMISSIONS\n" + "\n".join(_permissions(check)),
    ]
    if check.refs:
        parts.append("READ MORE\n" + "\n".join(f"  {item}" for item in check.refs))
    return "\n\n".join(parts) + "\n"


def _facts(check: Check) -> Iterator[str]:
    yield f"severity: {check.severity.value}"
    yield f"applies:  {_WHERE[check.environments]}" + (f", to {check.ecosystem} components" if check.ecosystem else "")
    if check.link:
        yield f"link:     {check.link.value}"
    yield f"area:     {check.area}"


def _looked(check: Check) -> Iterator[str]:
    """The evidence: which facts, which of them, and what must hold."""
    kind = inspect.cleandoc(KINDS[check.subject].__doc__ or "").split("\n\n")[0].replace("``", "")
    yield f"{check.subject}: {kind}"
    which = f" where {_conditions(check.where)}" if check.where else ""
    yield f"{_HOW[check.quantifier]} {check.subject}{which} has: {_conditions(check.expect)}."
    yield _ABSENT[check.absent]


def _conditions(given: Sequence[Condition]) -> str:
    return " and ".join(_condition(*item) for item in given)


def _condition(name: str, operator: str, wanted: object) -> str:
    if operator == "empty":
        return f"{name} is {'' if wanted else 'not '}empty"
    return f"{name} {OPERATORS[operator].meaning} {flow(wanted)}"


def _said(check: Check) -> Iterator[str]:
    yield f"a gap: {check.message}"
    if check.absent_message:
        yield f"no {check.subject}: {check.absent_message}"
    if check.pass_message:
        yield f"it holds: {check.pass_message}"


def _closing(check: Check, *, can_fix: bool) -> Iterator[str]:
    """What closes a gap, for each ecosystem where it differs, and whether ``fix`` may do it."""
    if check.fix is None:
        yield _wrapped("What the message says is to be put right.")
    else:
        for name, item in (("", check.fix), *check.fix.others):
            yield from _remedy(f"{name}: " if name else "", item)
    command = f"sentry-audit fix --only {check.id}"
    yield ""
    yield _wrapped(f"{command} may do it." if can_fix else "No fix does it by itself: it is done by hand.")


def _remedy(lead: str, fix: Fix) -> Iterator[str]:
    yield _wrapped(f"{lead}{fix.summary} ({_SAFETY[fix.safety]})")
    if fix.diff:
        yield textwrap.indent(fix.diff.rstrip("\n"), "    ")


def _permissions(check: Check) -> Iterator[str]:
    """What has to be permitted, and the smallest role that permits it; scopes of Sentry's tokens have a colon."""
    roles = {item.permission: item.role for item in RPCS.values()}
    if not check.permissions:
        yield _wrapped("None: only the repository is read.")
    for name in check.permissions:
        given = "a scope of the Sentry token" if ":" in name else roles.get(name, "Google Cloud")
        yield f"  {name}  ({given})"


def _paragraphs(text: str) -> str:
    return "\n\n".join(map(_wrapped, text.strip().split("\n\n")))


def _wrapped(text: str) -> str:
    words = " ".join(text.split())
    return textwrap.fill(
        words, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )
