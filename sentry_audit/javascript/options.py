"""What the options of a browser's init do: tracing, sampling, hooks, privacy.

Sources: @sentry/core ``parseSampleRate`` and ``_processEvent``; docs.sentry.io/platforms/javascript/configuration/options
and migration/v10-to-v11 (``dataCollection``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import FrontendTracing, Privacy, SampleRate
from sentry_audit.javascript.hooks import hooks
from sentry_audit.javascript.syntax import entries, line_of, text_of, walk
from sentry_audit.model import Evidence

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
_NUMBER = re.compile(r"^-?\d*\.?\d+$")
#: Options of replay that show what users typed and saw, when they are false.
_MASKS = ("maskAllText", "maskAllInputs", "blockAllMedia")


def option_facts(analysis: Analysis, item: Init, options: Mapping[str, Any], spread: bool) -> Iterator[Fact]:
    """The facts about the options of one init. ``spread``: further options come from elsewhere."""
    yield from _tracing(analysis, item, options, spread)
    yield from _sample_rates(analysis, item, options)
    yield from hooks(analysis, item, options)
    yield _privacy(analysis, item, options, spread)


def _tracing(analysis: Analysis, item: Init, options: Mapping[str, Any], spread: bool) -> Iterator[Fact]:
    if not {"tracesSampleRate", "tracesSampler"} & options.keys() or spread:
        return
    if "tracesSampler" not in options and _literal(options["tracesSampleRate"], item) == 0:
        return  # switched off on purpose
    package = analysis.package or item.package
    text = text_of(options.get("integrations"))
    if package in _TRACES or re.search(r"[tT]racing", text) or (text and not text.startswith("[")):
        yield FrontendTracing(evidence=(item.evidence,))
        return
    problem = f"a sampling rate is set, but {package} makes no spans without browserTracingIntegration()"
    yield FrontendTracing(effective=False, problem=problem, evidence=(item.evidence,))


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
            evidence=(_at(item, node, option),),
        )
    if "tracesSampler" in options:
        node = options["tracesSampler"]
        yield SampleRate(option="tracesSampler", per_environment=True, evidence=(_at(item, node, "tracesSampler"),))


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


def _privacy(analysis: Analysis, item: Init, options: Mapping[str, Any], spread: bool) -> Privacy:
    """What is sent besides the error: by option, and by what the version sends when nothing is said."""
    pii = options.get("sendDefaultPii")
    sends = pii is not None and text_of(pii) == "true"
    version = analysis.major(item.package)
    collection = options.get("dataCollection")
    problem = ""
    if version is not None and version >= 11 and collection is None and not spread:
        problem = (
            f"{item.package} {version} collects cookies, bodies, who the user is and what models are asked, "
            "unless dataCollection says otherwise"
        )
    unmasked, where = _unmasked(item, options)
    unscrubbed = f"replays show what users see and type: {', '.join(unmasked)}" if unmasked else ""
    if not unscrubbed and _misses_transactions(options):
        unscrubbed = "beforeSend scrubs errors; transactions and their spans are sent as they are"
        where = _at(item, options["beforeSend"], "beforeSend")
    place = _at(item, pii, "sendDefaultPii") if sends else where if unscrubbed else item.evidence
    return Privacy(
        send_default_pii=sends,
        pii="sendDefaultPii is true: cookies, headers and addresses of users are sent" if sends else "",
        scrubber_active=not problem,
        problem=problem,
        scrubbable=bool(unscrubbed or where or "beforeSend" in options or _replays(options)),
        scrubbing=not unscrubbed,
        unscrubbed=unscrubbed,
        evidence=tuple(dict.fromkeys((place or item.evidence,))),
    )


def _replays(options: Mapping[str, Any]) -> bool:
    return bool({"replaysSessionSampleRate", "replaysOnErrorSampleRate"} & options.keys()) and bool(
        re.search(r"[rR]eplay", text_of(options.get("integrations")))
    )


def _misses_transactions(options: Mapping[str, Any]) -> bool:
    traced = {"tracesSampleRate", "tracesSampler"} & options.keys()
    others = {"beforeSendTransaction", "beforeSendSpan"} & options.keys()
    return "beforeSend" in options and bool(traced) and not others and _changes(options["beforeSend"])


def _changes(hook: Any) -> bool:
    """Whether a hook takes something out of events or writes over it, and does not only choose among them."""
    for node in walk(hook):
        if node.type in {"assignment_expression", "augmented_assignment_expression"}:
            left = node.child_by_field_name("left")
            if left is not None and left.type in {"member_expression", "subscript_expression"}:
                return True
        if node.type == "unary_expression" and text_of(node).startswith("delete "):
            return True
    return False


def _unmasked(item: Init, options: Mapping[str, Any]) -> tuple[list[str], Evidence | None]:
    """The masks of session replay that are switched off."""
    if not {"replaysSessionSampleRate", "replaysOnErrorSampleRate"} & options.keys():
        return [], None
    for node in walk(item.call):
        if node.type != "call_expression" or not re.search(r"[rR]eplay(Integration)?$", _callee(node)):
            continue
        arguments = node.child_by_field_name("arguments").named_children
        if arguments and arguments[0].type == "object":
            given, _ = entries(arguments[0])
            off = [f"{name}: false" for name in _MASKS if text_of(given.get(name)) == "false"]
            if off:
                return off, Evidence(item.source.path, line_of(node), saw=text_of(node).partition("\n")[0][:80])
    return [], None


def _callee(node: Any) -> str:
    return text_of(node.child_by_field_name("function"))


def _at(item: Init, node: Any, option: str) -> Evidence:
    return Evidence(item.source.path, line_of(node), saw=f"{option}: {text_of(node)}".partition("\n")[0][:80])
