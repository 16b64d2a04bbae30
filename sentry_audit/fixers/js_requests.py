"""What the server of Next.js sends of requests: a function of the project's own takes out what may be personal.

Measured on the wire with @sentry/nextjs 9, 10 and 11: ``captureRequestError`` sends the headers of the request, its cookies
among them, and its whole path; spans have the query string. Since 11 spans are sent one by one (migration/v10-to-v11).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.fixers.js_imports import Imports
from sentry_audit.fixers.js_transactions import statement_of
from sentry_audit.fixers.js_web import NotClear, add_entry, options_node
from sentry_audit.javascript.hooks import function_of, parameter_of, returned
from sentry_audit.javascript.privacy import streams
from sentry_audit.javascript.syntax import options_of, text_of

if TYPE_CHECKING:
    from sentry_audit.fixers.js_web import Patch
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init

_NAMES = ("PRIVATE_NAME", "PRIVATE_TEXT", "scrubValue", "scrubEvent")
_TEXT = r"""
const PRIVATE_NAME =
  /auth|cookie|token|secret|passw|api[-_]?key|session|csrf|forwarded|\bip\b|(^|[._])query(_string)?$/i;
const PRIVATE_TEXT =
  /(?<![\w.+-])[\w.+-]+(?:@|%40)[\w.-]+\.[A-Za-z]{2,}|(?<=\?)[\w.%[\]-]+=\S*|\+\d[\d ()./-]{6,}\d/g;

/** The value without texts that may be personal. */
function scrubValue(value#unknown#, name = "")#result# {
  if (typeof value === "number") return value;
  if (PRIVATE_NAME.test(name)) return "[Filtered]";
  if (typeof value === "string") {
    return value.replace(PRIVATE_TEXT, "[Filtered]");
  }
  if (Array.isArray(value)) return value.map((item) => scrubValue(item));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, scrubValue(item, key)]),
  );
}

/** Takes what may be personal out of an event. */
function scrubEvent#generic#(event#event#)#returned# {
  delete event.request?.data;
  for (const key of [
    "request",
    "transaction",
    "message",
    "logentry",
    "exception",
    "breadcrumbs",
    "extra",
    "contexts",
    "spans",
  ]#const#) {
    if (event[key] !== undefined) {
      Object.assign(event, { [key]: scrubValue(event[key]) });
    }
  }
  return event;
}
"""
_PLAIN = dict.fromkeys(("unknown", "result", "generic", "event", "returned", "const"), "")
_SPAN = """\
beforeSendSpan(span) {
  const { name, attributes } = span;
  Object.assign(span, scrubValue({ name, attributes }));
  return span;
}"""


def scrub_requests(analysis: Analysis, patch: Patch, item: Init) -> None:
    """Give the init of a server hooks that scrub; a hook that only chooses among events scrubs what it keeps.

    Raises NotClear where that cannot be done for certain.
    """
    options, spread = options_of(item.call) or ({}, True)
    spans = "beforeSendSpan" if streams(analysis, item, options) else "beforeSendTransaction"
    if spread or "beforeSendSpan" in options:
        said = "options come from elsewhere" if spread else "beforeSendSpan is there already"
        raise NotClear(f"{item.evidence}: {said}: what is to be taken out of requests is yours to say", *_paste(spans))
    taken = [name for name in _NAMES if re.search(rf"\b{name}\b", item.source.text)]
    if taken and len(taken) < len(_NAMES):
        raise NotClear(f"{item.source.path} calls something {taken[0]} already", *_paste(spans))
    wanted = []
    for name, entry in zip(("beforeSend", spans), _entries(spans), strict=True):
        if name in options:
            _keep_scrubbed(analysis, patch, item, name, spans)
        else:
            wanted.append(entry)
    if not taken:
        _define(patch, item)
    node = options_node(item)
    children = [child for child in node.named_children if child.type != "comment"]
    lined = bool(children) and node.start_point[0] != children[-1].start_point[0]
    gap = f"{patch.style.end}{patch.indent_of(children[-1])}" if lined else " "
    rows = [gap.join(patch.style.written(entry).split(patch.style.end)) for entry in wanted]
    if rows:
        add_entry(patch, node, f",{gap}".join(rows))


def _keep_scrubbed(analysis: Analysis, patch: Patch, item: Init, name: str, spans: str) -> None:
    """``return event`` becomes ``return scrubEvent(event)`` in a hook of the same file."""
    node = (options_of(item.call) or ({}, True))[0][name]
    found = function_of(analysis, node, item.source)
    unclear = NotClear(
        f"{name} at {item.at(node, name)} is there already: what it is to take out of requests is yours to say",
        *_paste(spans),
    )
    if found is None or found[0] is not item.source:
        raise unclear
    event = parameter_of(found[1])
    for value in returned(found[1]):
        if text_of(value) == event:
            patch.replace(value, f"scrubEvent({event})")
        elif text_of(value) not in {"null", "undefined"}:
            raise unclear


def _define(patch: Patch, item: Init) -> None:
    types = _PLAIN
    if item.source.path.endswith((".ts", ".tsx", ".mts")):
        imports = Imports(patch)
        event = imports.type_of(item.package, "Event")
        imports.flush()
        types = {
            "unknown": ": unknown", "result": ": unknown", "generic": f"<E extends {event}>", "event": ": E",
            "returned": ": E", "const": " as const",
        }  # fmt: skip
    text = re.sub(r"#(\w+)#", lambda match: types[match[1]], _TEXT.strip())
    outer = statement_of(options_node(item))
    patch.insert(outer.start_byte, f"{patch.style.written(text)}{patch.style.end * 2}{patch.indent_of(outer)}")


def _entries(spans: str) -> list[str]:
    return ["beforeSend: scrubEvent", _SPAN if spans == "beforeSendSpan" else f"{spans}: scrubEvent"]


def _paste(spans: str) -> tuple[str, ...]:
    return (
        "beforeSend(event) {", "  delete event.request; // headers, cookies, the query string",
        "  delete event.contexts?.nextjs?.request_path;", "  return event;", "},",
        f"{spans}: // the same, for what is traced",
    )  # fmt: skip
