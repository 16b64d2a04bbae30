"""The options of a browser's init: rates, the environment, the release, integrations, and the conditions in front of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import Deployment, EnvVar, FrontendEnabled, FrontendTracing, Image, Release, SampleRate
from sentry_audit.fixers.js_guards import _bare, _is_asked, _terms
from sentry_audit.fixers.js_imports import Imports
from sentry_audit.fixers.js_inits import ENVIRONMENT, RATE
from sentry_audit.fixers.js_web import (
    NotClear,
    Patch,
    add_entry,
    analysis_of,
    answered,
    bad_of,
    init_at,
    options_node,
    pair_of,
    reads,
    refusing,
)
from sentry_audit.javascript.conditions import guards
from sentry_audit.javascript.syntax import line_of, options_of, text_of, walk
from sentry_audit.javascript.variables import PREFIXES, READ

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.fixing import Case, Change
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init

#: What a remark says of a rate that is a number of its own.
_HOW_MUCH = re.compile(r"\d\s*%|\b(all|every|everything|each|always|none|off|full)\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d*\.?\d+")
_LABELS = re.compile(r"^(SENTRY_ENVIRONMENT|SENTRY_ENV|APP_ENV|APP_ENVIRONMENT|ENVIRONMENT|ENV|DEPLOY_ENV|STAGE)$")
_RELEASES = re.compile(
    r"^(SENTRY_RELEASE|RELEASE|APP_RELEASE|GIT_SHA|GIT_COMMIT|COMMIT_SHA|COMMIT|SHA|BUILD_SHA|VERCEL_GIT_COMMIT_SHA)$"
)
_WINDOW = re.compile(r"typeof\s+(window|document|navigator|globalThis)\b|^!?(isBrowser|isServer)$")
_ADDED = {
    "browserTracingIntegration": "BrowserTracing",
    "replayIntegration": "Replay",
    "browserProfilingIntegration": "BrowserProfilingIntegration",
}


@refusing
def sampling(case: Case) -> Change:
    """Read the rate of traces from a variable of the build, with what the code has, at most a tenth, without one."""
    analysis = analysis_of(case)
    patches: dict[str, Patch] = {}
    for fact in bad_of(case):
        assert isinstance(fact, SampleRate)
        item = init_at(analysis, fact)
        node = _number(item, fact.option)
        patch = patches.setdefault(item.source.path, Patch(item.source))
        value = float(text_of(node))
        usual = patch.quoted(text_of(node) if 0 < value < 1 else "0.1", item.call)
        patch.replace(node, f"Number({reads(analysis, RATE)} || {usual})")
        _unremarked(patch, node)
    where = ", ".join(patches)
    variable = reads(analysis, RATE).rpartition(".")[2]
    summary = f"will read the rate of traces in {where} from {variable}, which the build may set"
    return answered(summary, [patch.edit() for patch in patches.values()])


def _unremarked(patch: Patch, node: Any) -> None:
    """Take out the remark beside a rate that says how much it takes: it would no longer be true."""
    following = node.parent
    for _ in range(3):
        following = following.next_sibling if following is not None else None
        if following is None or following.start_point[0] != node.end_point[0]:
            return
        if following.type == "comment":
            if _HOW_MUCH.search(text_of(following)):
                patch.cut(following.prev_sibling.end_byte, following.end_byte)
            return


def _number(item: Init, option: str) -> Any:
    """The literal that an option is, through constants of the file that are used for nothing else."""
    node = (options_of(item.call) or ({}, False))[0].get(option)
    for _ in range(4):
        if node is None or _NUMBER.fullmatch(text_of(node)):
            break
        if node.type == "parenthesized_expression":
            node = node.named_children[0]
        elif (name := text_of(node)) in item.source.constants:
            if item.source.text.count(f"export const {name}"):
                raise NotClear(f"{name} of {item.source.path} is used elsewhere too")
            node = item.source.constants[name]
        else:
            node = None
    if node is None:
        raise NotClear(f"the number of {option} at {item.evidence} was not found again")
    return node


# --- what tells events apart --------------------------------------------------------------------------


@refusing
def environment(case: Case) -> Change:
    """Give init an environment from a variable of the build; that the build has it is for the pipeline."""
    analysis = analysis_of(case)
    facts = bad_of(case)
    if not facts:
        raise NotClear("the init without a label was not found again")
    item = init_at(analysis, facts[0])
    value = (options_of(item.call) or ({}, False))[0].get("environment")
    label = next((one for one in analysis.labels if item.evidence in one.evidence or _within(item, one.evidence)), None)
    if label is not None and label.variables:
        names = " or ".join(label.variables)
        raise NotClear(
            f"init reads {names} already: give the build of {case.environment} a value for it",
            f"{label.variables[0]}={case.environment}",
        )
    variable = _chosen(case, analysis, _LABELS, ENVIRONMENT)
    patch = Patch(item.source)
    if value is None:
        add_entry(patch, options_node(item), f"environment: {variable}", "dsn")
    elif value.type == "shorthand_property_identifier":
        raise NotClear(f"where environment at {item.evidence} comes from was not followed")
    elif value.type == "string":
        patch.replace(value, f"{variable} || {text_of(value)}")
    else:
        patch.replace(value, f"{variable} || {text_of(value)}" if value.type == "member_expression" else variable)
    summary = (
        f"will label events of {item.source.path} with {variable.rpartition('.')[2]}, which the build must be given"
    )
    return answered(summary, [patch.edit()], "review")


def _within(item: Init, evidence: Any) -> bool:
    first, last = item.call.start_point[0] + 1, item.call.end_point[0] + 1
    return any(here.path == item.source.path and first <= (here.line or 0) <= last for here in evidence)


@refusing
def release(case: Case) -> Change:
    """Give events a release: by the plugin of the bundler, or by init from a variable that the build has."""
    analysis = analysis_of(case)
    facts = [fact for fact in bad_of(case) if isinstance(fact, Release)]
    if not facts:
        raise NotClear("the init without a release was not found again")
    item = init_at(analysis, facts[0])
    given = (options_of(item.call) or ({}, False))[0].get("release")
    if facts[0].variables:
        name = facts[0].variables[0]
        raise NotClear(
            f"init reads {name} already: give the build of {case.environment} the commit in it",
            f"{name}=$(git rev-parse HEAD)",
        )
    known = next(iter(_public(case, analysis, _RELEASES)), "")
    if given is None and not known:
        from sentry_audit.fixers.js_packages import refreshed
        from sentry_audit.fixers.js_plugins import plugged

        if not analysis.plugins:
            edits, tool = plugged(analysis)
            also = refreshed(analysis) if len(edits) > 1 else ""
            return answered(f"will let {tool} put the release in, and upload the source maps{also}", edits, "review")
        if "SENTRY_RELEASE" in case.finding.message:
            raise NotClear(
                f"{analysis.plugins[0].name} takes the release from SENTRY_RELEASE: give the build the commit in it",
                "ARG SENTRY_RELEASE", "ENV SENTRY_RELEASE=$SENTRY_RELEASE", '--build-arg "SENTRY_RELEASE=$(git rev-parse HEAD)"',
            )  # fmt: skip
        raise NotClear(f"{analysis.plugins[0].evidence} is told not to put a release in")
    variable = known or reads(analysis, "SENTRY_RELEASE")
    patch = Patch(item.source)
    if given is None:
        add_entry(patch, options_node(item), f"release: {variable}", "environment")
    elif given.type == "string":
        patch.replace(given, variable)
    else:
        raise NotClear(f"where the release at {item.evidence} comes from was not followed")
    return answered(f"will give events of {item.source.path} the release {variable.rpartition('.')[2]}", [patch.edit()])


def _chosen(case: Case, analysis: Analysis, pattern: re.Pattern[str], usual: str) -> str:
    """The variable of that sort which a build is given already, else one of the usual name."""
    return next(iter(_public(case, analysis, pattern)), "") or reads(analysis, usual)


def _public(case: Case, analysis: Analysis, pattern: re.Pattern[str]) -> Iterator[str]:
    """How code reads the variables of that sort which images, pipelines and dotenv files give the front end's build."""
    prefixes = PREFIXES[analysis.frontend.framework]
    names: dict[str, None] = {}
    for fact in case.scanned:
        if isinstance(fact, Image) and analysis.frontend.within(fact.path):
            names |= dict.fromkeys((*fact.args, *(key for key, _ in fact.env)))
        elif isinstance(fact, EnvVar) and fact.is_set and not fact.template and analysis.frontend.within(fact.path):
            names[fact.name] = None
        elif isinstance(fact, Deployment) and fact.resource in {"image", "bundle"}:
            names |= dict.fromkeys(item.name for item in fact.settings)
    for name in sorted(names):
        for prefix in prefixes:
            if name.startswith(prefix) and pattern.match(name[len(prefix) :]):
                yield reads(analysis, name[len(PREFIXES[analysis.frontend.framework][0]) :])


# --- integrations -------------------------------------------------------------------------------------


@refusing
def tracing(case: Case) -> Change:
    """Add the integration that records what a rate samples."""
    analysis = analysis_of(case)
    patches: dict[str, tuple[Patch, Imports, Any, list[str]]] = {}
    for fact in bad_of(case):
        assert isinstance(fact, FrontendTracing)
        wanted = next((name for name in _ADDED if name in fact.problem), "")
        item = init_at(analysis, fact)
        if not wanted:
            raise NotClear(fact.problem)
        if item.source.path not in patches:
            patch = Patch(item.source)
            patches[item.source.path] = patch, Imports(patch), item, []
        _, imports, _, calls = patches[item.source.path]
        major = analysis.major(item.package)
        call = imports.of(item.package, wanted if major is None or major >= 8 else _ADDED[wanted])
        calls.append(f"{call}()" if major is None or major >= 8 else f"new {call}()")
    for patch, imports, item, calls in patches.values():
        _integrate(patch, item, calls)
        imports.flush()
    where = ", ".join(patches)
    replays = any("replay" in call.lower() for *_, calls in patches.values() for call in calls)
    what = "will record what is sampled, sessions of users too," if replays else "will record what is sampled"
    edits = [known[0].edit() for known in patches.values()]
    return answered(f"{what} in {where}", edits, "review" if replays else "safe")


def _integrate(patch: Patch, item: Init, calls: list[str]) -> None:
    node = options_node(item)
    pair = pair_of(node, "integrations")
    if pair is None:
        add_entry(patch, node, f"integrations: [{', '.join(calls)}]")
        return
    value = pair.child_by_field_name("value") if pair.type == "pair" else None
    if value is None or value.type != "array":
        raise NotClear(f"integrations at {item.evidence} are no list that could be added to", *calls)
    children = [child for child in value.named_children if child.type != "comment"]
    if not children:
        patch.replace(value, f"[{', '.join(calls)}]")
        return
    last = children[-1]
    lined = last.start_point[0] != value.start_point[0]
    gap = f"{patch.style.end}{patch.indent_of(last)}" if lined else " "
    patch.insert(last.end_byte, "".join(f",{gap}{call}" for call in calls))


# --- whether init runs --------------------------------------------------------------------------------


@refusing
def enabled(case: Case) -> Change:
    """Take what asks for an environment out of the condition in front of init: a DSN that is set is reason enough."""
    analysis = analysis_of(case)
    edits = []
    for fact in bad_of(case):
        assert isinstance(fact, FrontendEnabled)
        edits.append(_opened(analysis, fact))
    return answered(f"will initialise wherever a DSN is set, in {edits[0].path}", edits, "review")


def _opened(analysis: Analysis, fact: FrontendEnabled) -> Any:
    here = fact.evidence[0]
    for item in analysis.loaded:
        options, _ = options_of(item.call) or ({}, True)
        found = guards(item.call)
        if options.get("enabled") is not None:
            found.append((options["enabled"], True))
        for node, wanted in found:
            if (item.source.path, line_of(node)) != (here.path, here.line):
                continue
            patch = Patch(item.source)
            _drop(analysis, patch, item, node, wanted, options)
            return patch.edit()
    raise NotClear("the condition in front of init was not found again")


def _drop(analysis: Analysis, patch: Patch, item: Init, node: Any, wanted: bool, options: dict[str, Any]) -> None:
    inner = _bare(node)
    terms = list(_terms(inner, "&&" if wanted else "||"))
    dsn = options.get("dsn")
    if dsn is None:
        raise NotClear("init is given no DSN, so nothing else could decide")
    known = {name for name, _ in analysis.values.origin(dsn, item.source).variables}
    bad = []
    for term in terms:
        origins = [
            analysis.values.origin(part, item.source)
            for part in walk(term)
            if part.type in {"identifier", "member_expression"}
            and (READ.match(text_of(part)) or part.type == "identifier")
        ]
        names = {name for origin in origins for name, _ in origin.variables}
        if names and not names & known and not _WINDOW.search(text_of(term)):
            bad.append(term)
    if not bad:
        raise NotClear(f"what keeps {' '.join(text_of(inner).split())[:80]} from holding is yours to say")
    subject = _subject(dsn, inner, item)
    kept = [term for term in terms if term not in bad]
    if not any(re.search(rf"(?<![\w.]){re.escape(subject)}(?![\w])", text_of(term)) for term in kept):
        text = subject if _is_asked(inner) or not wanted else f"Boolean({subject})"
        patch.replace(bad[0], text if wanted else f"!{subject}")
        kept, bad = [*kept, bad[0]], bad[1:]
    first = next(index for index, term in enumerate(terms) if term in kept)
    if first:
        patch.cut(terms[0].start_byte, terms[first].start_byte)
    for before, term in zip(terms[first:], terms[first + 1 :], strict=False):
        if term in bad:
            patch.cut(before.end_byte, term.end_byte)


def _subject(dsn: Any, condition: Any, item: Init) -> str:
    """How the DSN is written where the condition stands: what init is given, if that is known there."""
    text = text_of(dsn)
    if READ.match(text):
        return text
    declared = item.source.constants.get(text) if dsn.type in {"identifier", "shorthand_property_identifier"} else None
    if declared is not None and declared.end_byte < condition.start_byte:
        return text
    if declared is not None and READ.match(text_of(declared)):
        return text_of(declared)
    raise NotClear(f"how the DSN is called at {item.source.path}:{line_of(condition)} was not followed")


ECOSYSTEM = "npm"
FIXERS = {
    "sampling-per-environment": sampling,
    "deploy-environment-declared": environment,
    "release-set": release,
    "frontend-tracing": tracing,
    "frontend-init-enabled": enabled,
}
