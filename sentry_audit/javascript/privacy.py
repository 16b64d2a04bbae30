"""What leaves a browser besides the error itself: by option, and by what the SDK sends when nothing is said.

Sources: docs.sentry.io/platforms/javascript/configuration/options and migration/v10-to-v11 (``dataCollection``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import Privacy
from sentry_audit.javascript.syntax import entries, line_of, text_of, walk
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init

#: What of an event may hold personal data; the rest, such as its fingerprint, tells events apart.
_PERSONAL = re.compile(
    r"request|user|message|value|breadcrumbs|extra|contexts|server_name|headers|cookies|data|query_string|url|email|ip_address",
    re.IGNORECASE,
)
#: Options of replay that show what users typed and saw, when they are false.
_MASKS = ("maskAllText", "maskAllInputs", "blockAllMedia")


def privacy(analysis: Analysis, item: Init, options: Mapping[str, Any], spread: bool) -> Privacy:
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
        where = item.at(options["beforeSend"], "beforeSend")
    scrubbed = "" if unscrubbed else _scrubbed(options)
    places = (item.at(pii, "sendDefaultPii") if sends else None, where if unscrubbed else None)
    return Privacy(
        send_default_pii=sends,
        pii="sendDefaultPii is true: cookies, headers and addresses of users are sent" if sends else "",
        scrubber_active=not problem,
        problem=problem,
        scrubbable=bool(unscrubbed or scrubbed),
        scrubbing=not unscrubbed,
        unscrubbed=unscrubbed,
        scrubbed=scrubbed,
        evidence=tuple(place for place in places if place is not None) or (item.evidence,),
    )


def _scrubbed(options: Mapping[str, Any]) -> str:
    """What keeps personal data out of what is sent; ``""`` if nothing says so."""
    masks = ["replays mask what users see and type"] if _replays(options) else []
    hooks = ["beforeSend scrubs errors"] if "beforeSend" in options and _changes(options["beforeSend"]) else []
    told = ", ".join(masks + hooks)
    return told[:1].upper() + told[1:]


def _replays(options: Mapping[str, Any]) -> bool:
    return bool({"replaysSessionSampleRate", "replaysOnErrorSampleRate"} & options.keys()) and bool(
        re.search(r"[rR]eplay", text_of(options.get("integrations")))
    )


def _misses_transactions(options: Mapping[str, Any]) -> bool:
    traced = {"tracesSampleRate", "tracesSampler"} & options.keys()
    others = {"beforeSendTransaction", "beforeSendSpan"} & options.keys()
    return "beforeSend" in options and bool(traced) and not others and _changes(options["beforeSend"])


def _changes(hook: Any) -> bool:
    """Whether a hook takes something out of events or writes over it, and does not only choose among them, or group them."""
    for node in walk(hook):
        if node.type in {"assignment_expression", "augmented_assignment_expression"}:
            left = node.child_by_field_name("left")
            if left is not None and left.type in {"member_expression", "subscript_expression"}:
                if _PERSONAL.search(text_of(left).partition(".")[2]):
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
