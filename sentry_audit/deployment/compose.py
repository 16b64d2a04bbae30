"""Compose files as what builds images: in development, or in the environment that the file's name speaks of.

Semantics: docs.docker.com/reference/compose-file/build (``args``; one without a value comes from the shell).
"""

from __future__ import annotations

from posixpath import dirname
from typing import TYPE_CHECKING, Any

from sentry_audit.deployment.found import KINDS
from sentry_audit.deployment.gcloud import setting
from sentry_audit.facts import Deployment
from sentry_audit.model import Evidence
from sentry_audit.scanners.nodes import at, children, compose, items, line_of, text_of
from sentry_audit.scanners.processes import built, speaks_of, words_of

if TYPE_CHECKING:
    from sentry_audit.deployment.found import Found

#: The word of a command that starts a bundler's server for development.
_SERVES = frozenset({"dev", "serve"})
_Pairs = list[tuple[str, str, int]]


def read(found: Found, path: str, text: str) -> None:
    """The build arguments that a compose file gives its services. What is broken was said where its processes are read."""
    nodes, _ = compose(path, text, KINDS)
    for node in nodes:
        for name, service in children(at(node, "services")).items():
            fields = children(service)
            given = _pairs(at(fields.get("build"), "args"))
            if _SERVES & set(words_of(fields.get("command"))):  # it bundles with what it is started with
                given += _pairs(fields.get("environment"))
            if given:
                context, image = built(path, fields.get("build"))
                found.facts.append(_image(path, name, given, context or dirname(image)))


def _pairs(node: Any) -> _Pairs:
    """(name, value, line) of variables as compose takes them."""
    found: _Pairs = []
    for name, value in children(node).items():
        empty = value.tag.endswith(":null")
        found.append((name, f"${name}" if empty else text_of(value), line_of(value)))
    for item in items(node):
        name, mark, value = text_of(item).partition("=")
        found.append((name, value if mark else f"${name}", line_of(item)))
    return found


def _image(path: str, name: str, given: _Pairs, folder: str) -> Deployment:
    environment = speaks_of(path)
    settings = tuple(setting(key, value, "set", "plain", line, build=True) for key, value, line in given)
    line = settings[0].line
    return Deployment(
        path=path, origin="compose", pipeline=path, service="", resource="image", environment=environment,
        rule=f"the compose file is for {environment}", settings=settings, source=folder, line=line,
        evidence=(Evidence(path, line, None, None, f"builds {name}"),),
    )  # fmt: skip
