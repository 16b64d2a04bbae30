"""Whether the Content Security Policies on a front end's pages let browsers reach Sentry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit import csp
from sentry_audit.deployment.environments import canonical, speaks_of, told
from sentry_audit.derive.envelopes import PAGE, Target, Way, target_of, way_of
from sentry_audit.facts import ContentPolicy, DsnGuard
from sentry_audit.guard import SAMPLES, both

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.facts import Fact
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.policies.policy import Policy
    from sentry_audit.policies.reading import Policies

_SAAS = ("sentry.io (US)", "sentry.io (EU)", "sentry.io (older)")
_TODAY = frozenset({"sentry.io (US)", "sentry.io (EU)"})
#: Hosts that are Sentry's own, but take no events; and names of what a self-hosted one is called.
_SENTRYS = re.compile(r"(^|\.)(sentry\.io|sentry-cdn\.com|sentry\.dev)$", re.IGNORECASE)
_SELF_HOSTED = re.compile(r"sentry|glitchtip|bugsink", re.IGNORECASE)
_ORGANISATION = re.compile(r"\bo\d+\.ingest\.((?:[a-z]{2}\.)?sentry\.io)(?:/api/\d+\S*?(?=[\s;,]|$))?", re.IGNORECASE)
Answers = dict[str, bool | None]


def content_policies(
    analysis: Analysis, policies: Policies, facts: Sequence[Fact], found: Sequence[Fact], environment: str
) -> Iterator[ContentPolicy]:
    """A fact for each policy on the pages, and one if each lets some DSN pass, but none passes them all.

    ``facts`` are those of the repository, ``found`` those of the front end.
    """
    inits = analysis.loaded or analysis.inits
    if not inits:
        return
    mine = [item for item in policies.of(analysis.frontend) if _speaks_of(item, environment) and _of_a_page(item)]
    if not mine:
        return
    way = way_of(analysis, policies.constants(analysis.frontend), policies)
    target = target_of(analysis, facts, environment)
    judged = [(item, _answers(item, way, target)) for item in _distinct(mine)]
    gaps = False
    for item, answers in judged:
        fact = _judge(item, answers, way, target)
        gaps |= not fact.allows
        yield fact
    if not gaps and not target.known:
        yield from _together(judged, [fact for fact in found if isinstance(fact, DsnGuard) and fact.rejects])


def _speaks_of(policy: Policy, environment: str) -> bool:
    path = policy.evidence.path or ""
    hints = [(part, "the file's name") for part in reversed(path.split("/"))]
    return speaks_of(told(hints[:2])[0], canonical(environment))


def _of_a_page(policy: Policy) -> bool:
    """False for policies of uploads, images and answers of an API, under which no script runs."""
    return not policy.texts or any(map(csp.runs_scripts, policy.texts))


def _distinct(policies: Sequence[Policy]) -> list[Policy]:
    """Each text once: what is set on the request and on the response, or in general and for a route, is one policy."""
    found: dict[tuple[str, ...], Policy] = {}
    for item in sorted(policies, key=lambda item: bool(item.route) + bool(item.condition)):
        key = item.texts or (str(item.evidence), item.unread)
        found.setdefault(key, item)
    return [item for item in policies if item in found.values()]


def _answers(policy: Policy, way: Way, target: Target) -> Answers:
    """For each kind of DSN, or each known host, whether a policy lets its events leave the page."""
    found: Answers = {}
    for name, url in target.addresses.items():
        answers = set()
        for text in policy.texts:
            plain = text if target.known else _ORGANISATION.sub(r"o450.ingest.\1", text)
            answer = way.allowed(plain, url)
            if answer is False and not target.known and name not in _SAAS and not way.tunnel and _self_hosted(text):
                answer = True
            answers.add(answer)
        found[name] = answers.pop() if len(answers) == 1 else None
    return found


def _self_hosted(text: str) -> str:
    """A host among the sources whose name says that it may be a Sentry of one's own."""
    for part in text.split(","):
        for source in csp.connect_sources(part) or []:
            host = re.sub(r"^[a-z]+://", "", source).partition("/")[0].partition(":")[0]
            if _SELF_HOSTED.search(host) and not _SENTRYS.search(host) and "." in host and csp.HOLE not in host:
                return host
    return ""


def _judge(policy: Policy, answers: Answers, way: Way, target: Target) -> ContentPolicy:
    evidence = (policy.evidence, *way.evidence)
    where = str(policy.evidence)
    if policy.unread:
        return ContentPolicy(unknown=f"{policy.unread}: it may set a policy", evidence=evidence)
    passes = tuple(name for name, answer in answers.items() if answer)
    blocked = tuple(name for name, answer in answers.items() if answer is False)
    through = " through the tunnel" if way.tunnel else ""
    if all(answers.values()) if target.known else _TODAY & set(passes):
        but = f", and keeps out {_listed(blocked)}" if blocked else ""
        hosts = " and ".join(passes) if target.known else _listed(passes)
        return ContentPolicy(passes=passes, source=f"{where} lets {hosts} pass{through}{but}", evidence=evidence)
    if not target.known and "self-hosted" in passes:
        host = next(filter(None, map(_self_hosted, policy.texts)), "a host of your own")
        return ContentPolicy(
            passes=passes, source=f"{where} lets {host} pass, and no host of sentry.io", evidence=evidence
        )
    reason = _undecided(policy, answers, passes, way, target)
    if reason:
        return ContentPolicy(unknown=reason, passes=passes, evidence=evidence)
    return ContentPolicy(allows=False, passes=passes, problem=_problem(policy, way, target, blocked), evidence=evidence)


def _undecided(policy: Policy, answers: Answers, passes: Sequence[str], way: Way, target: Target) -> str:
    """Why a policy that does not let everything pass is no gap; ``""`` if it is one."""
    where = policy.evidence
    wanted = list(answers.values()) if target.known else [answers[name] for name in _SAAS]
    if None in wanted and (not target.known or False not in wanted):
        if way.unknown:
            return way.unknown
        shown = next(filter(None, map(_shown, policy.texts)), "…")
        return f"whether the policy at {where} lets Sentry's ingest host pass depends on parts that were not followed: {shown}"
    if passes and not target.known:
        return (
            f"the policy at {where} lets only {_listed(passes)} pass: the DSN must be of that kind, "
            f"as those that sentry.io hands out today are not"
        )
    if policy.route:
        return f"the policy at {where} keeps Sentry out, but only where the path is {policy.route}"
    if policy.condition:
        return f"the policy at {where} keeps Sentry out if {policy.condition}, which was not followed"
    return ""


def _problem(policy: Policy, way: Way, target: Target, blocked: Sequence[str]) -> str:
    sources = next((found for text in policy.texts if (found := _shown(text))), "nothing")
    named = f"the policy at {policy.evidence} lets pages connect to {sources}"
    if way.tunnel == PAGE:
        return f"{named}, and the tunnel is on the page's own origin, which needs 'self'"
    if way.tunnel:
        return f"{named}, not to the tunnel, {way.tunnel}"
    hosts = " or ".join(blocked) if target.known else "Sentry's ingest host"
    return f"{named}, not to {hosts}, and there is no tunnel"


def _shown(text: str) -> str:
    sources = [source for part in text.split(",") for source in csp.connect_sources(part) or []]
    listed = ["…" if csp.HOLE in source else source for source in sources]
    return " ".join(listed[:6]) + (" …" if len(listed) > 6 else "")


def _listed(kinds: Sequence[str]) -> str:
    """``sentry.io (US, EU) and self-hosted``."""
    regions = [kind.partition("(")[2].rstrip(")") for kind in kinds if kind in _SAAS]
    others = [kind for kind in kinds if kind not in _SAAS]
    saas = [f"sentry.io ({', '.join(regions)})"] if regions else []
    return " and ".join([*saas, *others])


def _together(judged: Sequence[tuple[Policy, Answers]], guards: Sequence[DsnGuard]) -> Iterator[ContentPolicy]:
    """A gap if every kind of DSN is kept out by one policy or guard or another."""
    certain = [(item, answers) for item, answers in judged if not (item.route or item.condition or item.unread)]
    if not certain or len(certain) + len(guards) < 2:
        return
    open_ = {kind: True for kind, _ in SAMPLES}
    for _, answers in certain:
        open_ = {kind: bool(both(left, answers[kind] is not False)) for kind, left in open_.items()}
    for guard in guards:
        open_ = {kind: left and kind not in guard.rejects for kind, left in open_.items()}
    if any(open_.values()):
        return
    said = [f"the guard at {guard.evidence[0]} rejects {_listed(guard.rejects)}" for guard in guards]
    for item, answers in certain:
        blocked = [kind for kind, answer in answers.items() if answer is False]
        if blocked:
            said.append(f"the policy at {item.evidence} blocks {_listed(blocked)}")
    places = (*(place for guard in guards for place in guard.evidence), *(item.evidence for item, _ in certain))
    what = "no DSN can pass both" if len(said) == 2 else "no DSN can pass all of them"
    yield ContentPolicy(allows=False, problem=f"{what}: {', '.join(said)}", evidence=places)
