"""The function that takes out of an event what may be personal, as it is written into a project.

What it takes out, and why key names and ``EventScrubber`` are not enough for it, was measured on the wire with
sentry-sdk 2: docs.sentry.io/platforms/python/data-management/sensitive-data.
"""

from __future__ import annotations

from itertools import chain, count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_NAMES = ("scrub", "scrub_event", "without_private")
_HELPERS = ("scrub_value", "scrub_private_value")
_KEYS = ("PRIVATE_KEYS", "_PRIVATE_KEYS", "SENTRY_PRIVATE_KEYS")
_PATTERNS = ("PRIVATE_TEXT", "_PRIVATE_TEXT", "SENTRY_PRIVATE_TEXT")
_LINES = '''\
#: E-mail addresses, what follows the question mark of an address, telephones.
{pattern} = re.compile(
    r"(?<![\\w.+-])[\\w.+-]+(?:@|%40)[\\w.-]+\\.[A-Za-z]{{2,}}"
    r"|(?<=\\?)[\\w.%\\[\\]-]+=\\S*"
    r"|\\+\\d[\\d ()./-]{{6,}}\\d"
)
{keys} = {{"http.query", "url.query"}}


def {name}(event{any}, _hint{any}){result}:
    """Take what may be personal out of an event."""
    request = event.get("request") or {{}}
    for key in ("data", "cookies", "query_string"):
        request.pop(key, None)
    for key in (
        "request",
        "transaction",
        "message",
        "logentry",
        "exception",
        "breadcrumbs",
        "extra",
        "contexts",
        "spans",
    ):
        if key in event:
            event[key] = {helper}(event[key])
    return event


def {helper}(value{any}){result}:
    """The value without texts that may be personal."""
    if isinstance(value, str):
        return {pattern}.sub("[Filtered]", value)
    if isinstance(value, dict):
        kept = [key for key in value if key not in {keys}]
        return {{key: {helper}(value[key]) for key in kept}}
    if isinstance(value, (list, tuple)):
        return [{helper}(item) for item in value]
    return value'''


def name_of(taken: Collection[str]) -> str:
    """What the function may be called where ``taken`` are names already."""
    return _free(_NAMES, taken)


def _free(names: tuple[str, ...], taken: Collection[str]) -> str:
    more = (f"{names[-1]}_{number}" for number in count(2))
    return next(name for name in chain(names, more) if name not in taken)


def scrub_lines(name: str, taken: Collection[str], *, unit: str, typed: bool, quote: str) -> list[str]:
    """The pattern, the keys, the function ``name`` and its helper; they need ``re``, and ``typing.Any`` where they are typed.

    Each part of the pattern looks at a text once, however long it is: whoever writes the text must not slow it down.
    """
    helper, pattern, keys = (_free(names, taken) for names in (_HELPERS, _PATTERNS, _KEYS))
    any_, result = (": Any", " -> Any") if typed else ("", "")
    text = _LINES.format(name=name, helper=helper, pattern=pattern, keys=keys, any=any_, result=result)
    return [_laid_out(line, unit, quote) for line in text.split("\n")]


def _laid_out(line: str, unit: str, quote: str) -> str:
    inner = line.lstrip(" ")
    own = unit * ((len(line) - len(inner)) // 4) + inner
    return own if '"""' in own else own.replace('"', quote)
