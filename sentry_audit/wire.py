"""What arrived at the receiver, read: which request it belongs to, its spans, its JSON paths, what it leaks. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sentry_audit.seen import Probe

#: Keys below these are names that the code chose for itself, or that change with what is installed.
_OPEN = frozenset({"vars", "modules", "measurements"})
_NUMBER = re.compile(r"^\d+$")
#: What of an event may hold personal data; the rest, such as its fingerprint, tells events apart.
PERSONAL = re.compile(
    r"request|user|message|value|breadcrumbs|extra|contexts|server_name|headers|cookies|data|query_string|url|email|ip_address",
    re.IGNORECASE,
)


class Sent(Struct, frozen=True):
    """One item of an envelope: its type, its JSON (``{}`` where it is none) and its bytes as text."""

    type: str
    data: Any
    text: str


def mine(sent: Sent, probe: Probe) -> bool:
    """Whether ``sent`` came of ``probe``: by the number in it, or by the trace that the request went on from."""
    return probe.id in sent.text or bool(probe.trace and probe.trace in sent.text)


def is_continued(sent: Sent, probe: Probe) -> bool:
    """Whether the event ``sent`` belongs to the trace of the request."""
    trace = (sent.data.get("contexts") or {}).get("trace") or {}
    return bool(trace.get("trace_id") == probe.trace)


def spans(sent: Sent) -> Iterator[str]:
    """The operations of all spans in a transaction, or in an item of streamed spans."""
    if sent.type == "transaction":
        for span in sent.data.get("spans") or ():
            yield str(span.get("op") or "")
    if sent.type == "span":
        items = sent.data.get("items") if isinstance(sent.data, dict) else None
        for span in items or [sent.data]:
            attributes = span.get("attributes") or {}
            operation = attributes.get("sentry.op") or {}
            yield str(operation.get("value") if isinstance(operation, dict) else operation or span.get("op") or "")


def has_span(sent: Sequence[Sent], probe: Probe, operations: tuple[str, ...]) -> bool:
    """Whether a span whose operation begins with one of ``operations`` came of ``probe``."""
    return any(operation.startswith(operations) for item in sent if mine(item, probe) for operation in spans(item))


def discarded(sent: Sequence[Sent]) -> dict[str, int]:
    """What client reports say was dropped, as ``reason:category``; an SDK forgets what it has reported."""
    found: dict[str, int] = {}
    for item in sent:
        for entry in item.data.get("discarded_events") or () if item.type == "client_report" else ():
            key = f"{entry.get('reason')}:{entry.get('category')}"
            found[key] = found.get(key, 0) + int(entry.get("quantity") or 0)
    return found


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, text) of everything that is no container; keys of containers are in the paths."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, f"{path}[]")
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)


def leaks(sent: Sequence[Sent], canaries: Mapping[str, str]) -> dict[str, list[str]]:
    """The paths at which each canary left, raw or URL-encoded; those that did not are not in it."""
    found: dict[str, dict[str, None]] = {}
    for item in sent:
        texts = list(leaves(item.data)) if isinstance(item.data, dict | list) else [("", item.text)]
        for name, value in canaries.items():
            forms = {value, quote(value, safe=""), quote_plus(value)}
            if not any(form in item.text for form in forms) and value not in json.dumps(item.data):
                continue
            for path, text in texts:
                if any(form in text for form in forms) or value in path:
                    found.setdefault(name, {})[f"{item.type}.{path}"] = None
    return {name: list(found[name]) for name in canaries if name in found}


def paths(sent: Sequence[Sent]) -> tuple[str, ...]:
    """Every JSON path that left, sorted: lists as ``[]``, names that code chooses for itself as ``*``."""
    found = {
        f"{item.type}.{_general(path)}" for item in sent if isinstance(item.data, dict) for path, _ in leaves(item.data)
    }
    return tuple(sorted(found))


def _general(path: str) -> str:
    parts: list[str] = []
    for part in path.split("."):
        parts.append("*" if _NUMBER.match(part) else part)
        if part in _OPEN:
            parts.append("*")
            break
    return ".".join(parts)


def new_paths(sent: Sequence[Sent], known: Sequence[str]) -> list[str]:
    """The paths that left and are not ``known``."""
    allowed = set(known)
    return [path for path in paths(sent) if path not in allowed]
