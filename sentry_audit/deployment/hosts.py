"""Other hosts that build a front end themselves: what their builds are given is said there, not in the repository."""

from __future__ import annotations

import re
from posixpath import basename, dirname
from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import told
from sentry_audit.deployment.found import KINDS
from sentry_audit.deployment.gcloud import setting
from sentry_audit.deployment.names import FIREBASE, HOST_FILES
from sentry_audit.facts import Deployment
from sentry_audit.model import Evidence
from sentry_audit.scanners.nodes import at, children, compose, items, line_of, text_of

if TYPE_CHECKING:
    from sentry_audit.deployment.found import Found
    from sentry_audit.facts import Setting
    from sentry_audit.model import Problem
    from sentry_audit.python.program import Files

#: Its file, and one for an environment, which is laid over it: firebase.google.com/docs/app-hosting/configure.
_APP_HOSTING = re.compile(r"^apphosting(?:\.([\w-]+))?\.yaml$")

_NAMES = (*HOST_FILES, ".yaml")


def read(files: Files, found: Found) -> None:
    """The builds that such a host makes of a folder."""
    for path in sorted(path for path in files.paths if path.endswith(_NAMES)):
        name = basename(path)
        if name in HOST_FILES:
            found.facts.append(_built(path, HOST_FILES[name], len(found.facts)))
        elif match := _APP_HOSTING.match(name):
            settings, problems = _app_hosting(path, files.text(path) or "")
            found.problems += problems
            environment, _ = told([(match[1] or "", "the file's name")])
            found.facts.append(_built(path, FIREBASE, len(found.facts), environment, settings))


def _built(
    path: str, host: str, order: int, environment: str = "", settings: tuple[Setting, ...] | None = None
) -> Deployment:
    """What ``host`` builds of the folder of its file; ``settings`` where the file says what the build is given."""
    also = "what its builds are given is set there" if settings is None else "what its console adds is not known"
    return Deployment(
        path=path, origin=host, pipeline=path, service="", resource="image" if settings is None else "bundle",
        environment=environment, source=dirname(path) or ".", order=order, settings=settings or (),
        unresolved=(f"{host} builds it ({path}): {also}",), evidence=(Evidence(path, None, None, None, f"built by {host}"),),
    )  # fmt: skip


def _app_hosting(path: str, text: str) -> tuple[tuple[Setting, ...], list[Problem]]:
    """The variables that the build has: those whose ``availability`` names it, or is not limited."""
    nodes, problems = compose(path, text, KINDS)
    found: list[Setting] = []
    for node in nodes:
        for item in items(at(node, "env")):
            fields = children(item)
            times = [text_of(part) for part in items(fields.get("availability"))]
            name = text_of(fields.get("variable"))
            if not name or (times and "BUILD" not in times):
                continue
            secret = text_of(fields.get("secret"))
            sort = "secret" if secret else "plain"
            value = secret or text_of(fields.get("value"))
            found.append(setting(name, value, "update", sort, line_of(fields["variable"]), build=True))
    return tuple(found), problems
