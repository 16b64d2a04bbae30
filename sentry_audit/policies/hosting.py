"""Policies in the configurations of hosts of static files, and in the pages themselves."""

from __future__ import annotations

import json
import re
import tomllib
from html import unescape
from posixpath import basename
from typing import TYPE_CHECKING, Any

from sentry_audit.javascript.packages import relaxed
from sentry_audit.model import Evidence
from sentry_audit.policies.policy import HEADER, Policy, limited_to

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = frozenset({"vercel.json", "firebase.json", "staticwebapp.config.json", "serve.json", "static.json", "now.json"})
#: Pages that load the front end; others of its folder are documents of their own.
PAGES = frozenset({"index.html", "app.html", "_document.html", "index.ejs", "template.html"})
#: Configurations of Caddy and of Apache: one header a line.
LINES = frozenset({"Caddyfile", ".htaccess", "httpd.conf", "apache.conf"})
_META = re.compile(r"<meta\b(?:[^>\"']|\"[^\"]*\"|'[^']*')*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([\w-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def read(path: str, text: str) -> Iterator[Policy]:
    """The policies that a file sets, by its name."""
    name = basename(path)
    if name in JSON:
        yield from _tables(path, text, json_of(text))
    elif name == "netlify.toml":
        try:
            yield from _tables(path, text, tomllib.loads(text))
        except tomllib.TOMLDecodeError:
            here = Evidence(path, None, None, None, "syntax error")
            yield Policy((), here, unread=f"{path} could not be parsed")
    elif name == "_headers":
        yield from _plain(path, text)
    elif name in PAGES:
        yield from _meta(path, text)
    elif is_image(name):
        yield from _commands(path, text)
    elif name in LINES:
        yield from _servers(path, text)


def is_image(name: str) -> bool:
    """Whether a file of that name is a Dockerfile, whose commands may write a configuration."""
    return name.startswith("Dockerfile") or name.endswith(".Dockerfile")


def json_of(text: str) -> Any:
    """JSON, with comments or without; None if it is none."""
    try:
        return relaxed(text)
    except (json.JSONDecodeError, RecursionError):
        return None


def _tables(path: str, text: str, data: Any) -> Iterator[Policy]:
    """Rules with headers, however they are called: ``{source, headers: [{key, value}]}``, ``{for, values: {…}}``."""
    if data is None:
        yield Policy((), Evidence(path, None, None, None, "syntax error"), unread=f"{path} could not be parsed")
        return
    for route, value in _rules(data, ""):
        limited = limited_to(route)
        if limited is not None:
            yield Policy((value,), Evidence(path, _line(text, value), None, None, "Content-Security-Policy"), limited)


def _rules(data: Any, route: str) -> Iterator[tuple[str, str]]:
    if isinstance(data, list):
        for item in data:
            yield from _rules(item, route)
    elif isinstance(data, dict):
        here = next(
            (data[key] for key in ("source", "for", "route", "src", "regex") if isinstance(data.get(key), str)), route
        )
        name = data.get("key")
        if isinstance(name, str) and name.lower() == HEADER and isinstance(data.get("value"), str):
            yield here, data["value"]
        for key, value in data.items():
            if str(key).lower() == HEADER and isinstance(value, str):
                yield here, value
            elif isinstance(value, dict | list):
                yield from _rules(value, key if str(key).startswith("/") else here)


def _line(text: str, value: str) -> int | None:
    """The line of a policy: that of its text, else of the first header of that name."""
    at = text.find(json.dumps(value)[1:40])
    if at < 0:
        found = re.search(r"content-security-policy(?!-report)", text, re.IGNORECASE)
        at = found.start() if found else -1
    return text.count("\n", 0, at) + 1 if at >= 0 else None


def _plain(path: str, text: str) -> Iterator[Policy]:
    """``_headers``: a route on a line of its own, then indented headers."""
    route: str | None = ""
    for number, row in enumerate(text.splitlines(), 1):
        if row.strip() and not row[0].isspace() and not row.startswith("#"):
            route = limited_to(re.sub(r"^https?://[^/]+", "", row.strip()))
        elif match := re.match(r"\s+content-security-policy\s*:\s*(.*)", row, re.IGNORECASE):
            if route is not None:
                yield Policy((match[1],), Evidence(path, number, None, None, "Content-Security-Policy"), route)


def _servers(path: str, text: str) -> Iterator[Policy]:
    for number, row in enumerate(text.splitlines(), 1):
        match = re.match(r"[^#]*?\bcontent-security-policy[\"']?\s+([\"'`])(.*?)\1", row, re.IGNORECASE)
        if match:
            yield Policy((match[2],), Evidence(path, number, None, None, "Content-Security-Policy"))


def _commands(path: str, text: str) -> Iterator[Policy]:
    """``add_header`` in what a Dockerfile writes: here documents, and texts of the shell in which quotes are escaped."""
    for number, row in enumerate(text.splitlines(), 1):
        if re.match(r"[^#]*?\bcontent-security-policy\b(?!-report)", row, re.IGNORECASE) is None:
            continue
        here = Evidence(path, number, None, None, "Content-Security-Policy")
        plain = row.replace("'\"'\"'", "'").replace("'\\''", "'").replace('\\"', '"')
        match = re.search(r"add_header\s+content-security-policy\s+\"([^\"]*)\"", plain, re.IGNORECASE)
        if match:
            yield Policy((match[1],), here)
        else:
            yield Policy((), here, unread=f"what a command of {here} writes was not followed")


def _meta(path: str, text: str) -> Iterator[Policy]:
    visible = _COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    for match in _META.finditer(visible):
        attributes = {
            item[1].lower(): item[2] if item[2] is not None else item[3] for item in _ATTRIBUTE.finditer(match[0])
        }
        if attributes.get("http-equiv", "").lower() == HEADER and "content" in attributes:
            here = Evidence(
                path, visible.count("\n", 0, match.start()) + 1, None, None, "<meta Content-Security-Policy>"
            )
            # a comma does not part policies here, as it does in headers; in neither is one part of a source
            yield Policy((unescape(attributes["content"]).replace(",", " "),), here)
