"""What leaves a browser besides the error itself: by option, and by what the SDK sends when nothing is said.

Sources: docs.sentry.io/platforms/javascript/configuration/options and migration/v10-to-v11 (``dataCollection``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from sentry_audit import wire
from sentry_audit.facts import Privacy
from sentry_audit.javascript.hooks import function_of, parameter_of, returned
from sentry_audit.javascript.syntax import entries, line_of, options_of, text_of, walk
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init

#: Options of replay that show what users typed and saw, when they are false.
MASKS = ("maskAllText", "maskAllInputs", "blockAllMedia")
#: How a finding about the requests to a server begins.
REQUESTS = "the server sends "
#: What of ``dataCollection`` is about users, in the words of a finding.
PERSONAL = {"userInfo": "who the user is", "cookies": "cookies", "httpBodies": "bodies"}


def privacy(analysis: Analysis, item: Init, options: Mapping[str, Any], spread: bool) -> Privacy:
    """What is sent besides the error: by option, and by what the version sends when nothing is said."""
    pii, where_pii = _pii(analysis, item, options)
    problem, where_problem = ("", None) if spread else _collects(analysis, item, options)
    unmasked, where = _unmasked(item, options, spread)
    unscrubbed = f"replays show what users see and type: {', '.join(unmasked)}" if unmasked else ""
    if not unscrubbed and misses_transactions(analysis, item, options):
        unscrubbed = "beforeSend scrubs errors; transactions and their spans are sent as they are"
        where = item.at(options["beforeSend"], "beforeSend")
    scrubbed = "" if unscrubbed else _scrubbed(analysis, item, options)
    places = (where_pii, where_problem, where if unscrubbed else None)
    return Privacy(
        send_default_pii=bool(pii),
        pii=pii,
        scrubber_active=not problem,
        problem=problem,
        scrubbable=bool(unscrubbed or scrubbed),
        scrubbing=not unscrubbed,
        unscrubbed=unscrubbed,
        scrubbed=scrubbed,
        evidence=tuple(place for place in places if place is not None) or (item.evidence,),
    )


def served_privacy(analysis: Analysis, item: Init, *, runs: bool) -> Privacy:
    """The same for the init of a server of Next.js, whose SDK sends headers and paths of requests as they are."""
    read = options_of(item.call)
    if not runs:
        return Privacy(needless=f"nothing loads {item.source.path}", evidence=(item.evidence,))
    if read is None:
        return Privacy(unknown="the options of init were not followed", evidence=(item.evidence,))
    options, spread = read
    told = privacy(analysis, item, options, spread)
    if spread or told.unscrubbed or "sentry.edge.config" in item.source.path:
        return told
    hook = options.get("beforeSend")
    found = function_of(analysis, hook, item.source) if hook is not None else None
    if hook is not None and (_scrubs(analysis, item, options) or found is None or _hands_on(found[1])):
        return replace(told, scrubbable=True, scrubbing=True, scrubbed="beforeSend scrubs errors")
    strict = told.scrubber_active and knows_collection(analysis, item) and "dataCollection" in options
    sent = "query strings" if strict else "headers (Authorization, cookies) and query strings"
    takes = ", and beforeSend takes nothing out" if hook is not None else ""
    unscrubbed = f"{REQUESTS}{sent} of requests as they are{takes}"
    places = tuple(dict.fromkeys((*told.evidence, item.evidence)))
    return replace(told, scrubbable=True, scrubbing=False, unscrubbed=unscrubbed, scrubbed="", evidence=places)


def collection_of(item: Init, options: Mapping[str, Any]) -> Any:
    """The object that ``dataCollection`` is, through a constant of the file; None where it is none, or is not there."""
    node = options.get("dataCollection")
    if node is not None and text_of(node) in item.source.constants:
        node = item.source.constants[text_of(node)]
    return node if node is not None and node.type == "object" else None


def asked_for(collection: Any) -> list[str]:
    """What of users ``dataCollection`` says in so many words is to be sent."""
    given = entries(collection)[0] if collection is not None else {}
    on = {key: text_of(given[key]) for key in PERSONAL if key in given}
    return [key for key, text in on.items() if text == "true" or (text.startswith("[") and text[1:-1].strip())]


def _pii(analysis: Analysis, item: Init, options: Mapping[str, Any]) -> tuple[str, Evidence | None]:
    """What sends personal data because somebody asked for it, and where."""
    pii = options.get("sendDefaultPii")
    if pii is not None and text_of(pii) == "true":
        said = "sendDefaultPii is true: cookies, headers and addresses of users are sent"
        return said, item.at(pii, "sendDefaultPii")
    collection = collection_of(item, options)
    asked = asked_for(collection) if knows_collection(analysis, item) else []
    if asked:
        said = (
            f"dataCollection asks for {', '.join(asked)}: {', '.join(PERSONAL[key] for key in asked)} of users are sent"
        )
        return said, item.at(entries(collection)[0][asked[0]], f"dataCollection.{asked[0]}")
    return "", None


def knows_collection(analysis: Analysis, item: Init) -> bool:
    """Whether the SDK has ``dataCollection``: since 10.57 (blog.sentry.io/datacollection-control-panel)."""
    found = re.match(r"(\d+)(?:\.(\d+))?", analysis.version(item.package))
    return found is not None and (int(found[1]), int(found[2] or 0)) >= (10, 57)


def _collects(analysis: Analysis, item: Init, options: Mapping[str, Any]) -> tuple[str, Evidence | None]:
    """What is collected for want of an option: what ``dataCollection`` leaves out is on, wherever it is not off by default."""
    version, said = analysis.major(item.package), options.get("dataCollection")
    if said is None:
        if version is None or version < 11:
            return "", None
        return (
            f"{item.package} {version} collects cookies, bodies, who the user is and what models are asked, "
            "unless dataCollection says otherwise"
        ), None
    collection = collection_of(item, options)
    if collection is None or not knows_collection(analysis, item):
        return "", None
    given, spread = entries(collection)
    if spread or PERSONAL.keys() & given.keys():
        return "", None
    left = ", ".join(PERSONAL.values())
    return f"dataCollection says nothing of {left}, so all of it is collected", item.at(said, "dataCollection")


def _scrubbed(analysis: Analysis, item: Init, options: Mapping[str, Any]) -> str:
    """What keeps personal data out of what is sent; ``""`` if nothing says so."""
    masks = ["replays mask what users see and type"] if _replays(options) else []
    hooks = ["beforeSend scrubs errors"] if _scrubs(analysis, item, options) else []
    told = ", ".join(masks + hooks)
    return told[:1].upper() + told[1:]


def _replays(options: Mapping[str, Any]) -> bool:
    return bool({"replaysSessionSampleRate", "replaysOnErrorSampleRate"} & options.keys()) and bool(
        re.search(r"[rR]eplay", text_of(options.get("integrations")))
    )


def misses_transactions(analysis: Analysis, item: Init, options: Mapping[str, Any]) -> bool:
    """Whether only errors are scrubbed of what is traced too."""
    traced = {"tracesSampleRate", "tracesSampler"} & options.keys()
    others = {"beforeSendTransaction", "beforeSendSpan"} & options.keys()
    if streams(analysis, item, options):  # no transactions are made, so nothing calls beforeSendTransaction
        others -= {"beforeSendTransaction"}
    return bool(traced) and not others and _scrubs(analysis, item, options)


def streams(analysis: Analysis, item: Init, options: Mapping[str, Any]) -> bool:
    """Whether spans are sent one by one, without transactions: by default since 11 (migration/v10-to-v11, Tracing)."""
    version, said = analysis.major(item.package), text_of(options.get("traceLifecycle")).strip("\"'")
    return said == "stream" or (version is not None and version >= 11 and said != "static")


def _scrubs(analysis: Analysis, item: Init, options: Mapping[str, Any]) -> bool:
    """Whether ``beforeSend`` takes something out of events, itself or by the function that it names."""
    node = options.get("beforeSend")
    found = function_of(analysis, node, item.source) if node is not None else None
    return node is not None and changes(found[1] if found is not None else node)


def _hands_on(function: Any) -> bool:
    """Whether a hook returns what another function makes of the event."""
    event = parameter_of(function)
    calls = [node.child_by_field_name("arguments") for node in returned(function) if node.type == "call_expression"]
    return any(event in {text_of(item) for item in given.named_children} for given in calls)


def changes(hook: Any) -> bool:
    """Whether a hook takes something out of events or writes over it, and does not only choose among them, or group them."""
    for node in walk(hook):
        if node.type in {"assignment_expression", "augmented_assignment_expression"}:
            left = node.child_by_field_name("left")
            if left is not None and left.type in {"member_expression", "subscript_expression"}:
                if wire.PERSONAL.search(text_of(left).partition(".")[2]):
                    return True
        if node.type == "unary_expression" and text_of(node).startswith("delete "):
            return True
    return False


def _unmasked(item: Init, options: Mapping[str, Any], spread: bool) -> tuple[list[str], Evidence | None]:
    """The masks of session replay that are switched off, where replays are sampled, or other options may do so."""
    if not spread and not {"replaysSessionSampleRate", "replaysOnErrorSampleRate"} & options.keys():
        return [], None
    for node in walk(item.given):
        if node.type not in {"call_expression", "new_expression"} or not re.search(
            r"[rR]eplay(Integration)?$", _callee(node)
        ):
            continue
        listed = node.child_by_field_name("arguments")
        arguments = listed.named_children if listed is not None else []
        if arguments and arguments[0].type == "object":
            given, _ = entries(arguments[0])
            off = [f"{name}: false" for name in MASKS if text_of(given.get(name)) == "false"]
            if off:
                return off, Evidence(item.source.path, line_of(node), saw=text_of(node).partition("\n")[0][:80])
    return [], None


def _callee(node: Any) -> str:
    return text_of(node.child_by_field_name("function") or node.child_by_field_name("constructor"))
