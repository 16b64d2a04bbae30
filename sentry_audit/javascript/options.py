"""What the options of a browser's init do: tracing and sampling; hooks and privacy have modules of their own.

Source: @sentry/core ``parseSampleRate``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import FrontendTracing, SampleRate
from sentry_audit.javascript.hooks import hooks
from sentry_audit.javascript.privacy import privacy
from sentry_audit.javascript.syntax import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sentry_audit.facts import Fact
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init

#: SDKs that add the browser's tracing by themselves.
_TRACES = frozenset({"@sentry/nextjs", "@sentry/nuxt", "@sentry/sveltekit", "@sentry/gatsby", "@sentry/astro"})
_RATES = (
    "sampleRate",
    "tracesSampleRate",
    "replaysSessionSampleRate",
    "replaysOnErrorSampleRate",
    "profilesSampleRate",
)
#: (the rates, what they sample, what records it): no browser SDK adds these by itself.
_RECORDED = (
    (("replaysSessionSampleRate", "replaysOnErrorSampleRate"), "replays", "replayIntegration()"),
    (("profilesSampleRate",), "profiles", "browserProfilingIntegration()"),
)
_RECORDERS = {
    "replays": re.compile(
        r"replay\w*Integration|\bnew\s+(?:\w+\.)*Replay\b|Integration\(\s*[\"']replay", re.IGNORECASE
    ),
    "profiles": re.compile(r"Profiling(?:Integration)?\b"),
}
_NUMBER = re.compile(r"^-?\d*\.?\d+$")
_COMMENT = re.compile(r"(?<!:)//[^\n]*|/\*.*?\*/", re.DOTALL)
_ADDED = re.compile(r"addIntegration\([^)]*[tT]racing")


def option_facts(analysis: Analysis, item: Init, options: Mapping[str, Any], spread: bool) -> Iterator[Fact]:
    """The facts about the options of one init. ``spread``: further options come from elsewhere."""
    yield from _tracing(analysis, item, options, spread)
    idle = {} if spread else _idle(analysis, item, options)
    for option, problem in idle.items():
        if problem:
            yield FrontendTracing(effective=False, problem=problem, evidence=(item.at(options[option], option),))
    yield from _sample_rates(analysis, item, {name: node for name, node in options.items() if name not in idle})
    yield from hooks(analysis, item, options)
    yield privacy(analysis, item, options, spread)


def _tracing(analysis: Analysis, item: Init, options: Mapping[str, Any], spread: bool) -> Iterator[Fact]:
    if not {"tracesSampleRate", "tracesSampler"} & options.keys() or spread:
        return
    if "tracesSampler" not in options and _literal(options["tracesSampleRate"], item) == 0:
        return  # switched off on purpose
    if instruments(analysis, item, options):
        yield FrontendTracing(evidence=(item.evidence,))
        return
    package = analysis.package or item.package
    problem = f"a sampling rate is set, but {package} makes no spans without browserTracingIntegration()"
    yield FrontendTracing(effective=False, problem=problem, evidence=(item.evidence,))


def _idle(analysis: Analysis, item: Init, options: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with each rate, the first of its sort, of what no integration of the front end records."""
    found: dict[str, str] = {}
    listed = text_of(options.get("integrations"))
    if listed and not listed.startswith("[") and "integrations" not in item.source.constants:
        return found  # a function, or what comes from elsewhere
    for names, sort, integration in _RECORDED:
        rates = {name: _literal(options[name], item) for name in names if name in options}
        given = [name for name, rate in rates.items() if rate is None or 0 < rate <= 1]
        texts = (_COMMENT.sub("", analysis.files.text(path) or "") for path in analysis.mentioning)
        if given and not any(_RECORDERS[sort].search(text) for text in texts):
            problem = f"{' and '.join(given)} {'do' if len(given) > 1 else 'does'} nothing: {sort} need {integration}"
            found |= dict.fromkeys(given, "") | {given[0]: problem}
    return found


def instruments(analysis: Analysis, item: Init, options: Mapping[str, Any]) -> bool:
    """Whether the browser's requests are instrumented: by an integration that is listed, or that the SDK adds itself."""
    text = _COMMENT.sub("", text_of(options.get("integrations")))
    package = analysis.package or item.package
    listed = re.search(r"[tT]racing", text) or (text and not text.startswith("["))
    return package in _TRACES or bool(listed or _ADDED.search(item.source.text))


def _sample_rates(analysis: Analysis, item: Init, options: Mapping[str, Any]) -> Iterator[Fact]:
    """Each sampling option: whether it can do what it says, and whether it is one number for all environments."""
    for option in _RATES:
        node = options.get(option)
        if node is None or text_of(node) in {"undefined", "null"}:
            continue
        origin = analysis.values.origin(node, item.source)
        number = _literal(node, item)
        if option.startswith("replays") and (number is None or number <= 1):
            continue  # a rate of its own per environment is asked of traces only
        problem = ""
        if number is not None and not 0 <= number <= 1:
            problem = f"{number:g} is outside 0.0 to 1.0: the SDK takes it for no rate at all"
        elif number == 0 and option == "sampleRate":
            problem = "it is 0: every error is dropped"
        elif origin.variables and analysis.major(item.package) in {5, 6, 7} and "Number(" not in text_of(node):
            name = origin.variables[0][0]
            problem = (
                f"{name} is a string, which {item.package} {analysis.major(item.package)} takes for no rate at all"
            )
        yield SampleRate(
            option=option,
            value=text_of(node)[:50],
            effective=not problem,
            problem=problem,
            per_environment=number is None,
            full=number is not None and number >= 1,
            zero=number == 0,
            evidence=(item.at(node, option),),
        )
    if "tracesSampler" in options:
        node = options["tracesSampler"]
        yield SampleRate(option="tracesSampler", per_environment=True, evidence=(item.at(node, "tracesSampler"),))


def _literal(node: Any, item: Init) -> float | None:
    """The number that an expression is, through a constant; None for whatever depends on something."""
    for _ in range(3):
        text = text_of(node)
        if _NUMBER.match(text):
            return float(text)
        if node.type == "parenthesized_expression" and node.named_children:
            node = node.named_children[0]
        elif node.type in {"identifier", "shorthand_property_identifier"} and text in item.source.constants:
            node = item.source.constants[text]
        else:
            return None
    return None
