"""Other hosts that build a front end themselves: what their builds are given is said there, not in the repository."""

from __future__ import annotations

from posixpath import basename, dirname
from typing import TYPE_CHECKING

from sentry_audit.facts import Deployment
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from sentry_audit.deployment.found import Found
    from sentry_audit.python.program import Files

_FILES = {"vercel.json": "Vercel", "netlify.toml": "Netlify", "amplify.yml": "AWS Amplify"}

_NAMES = tuple(_FILES)


def read(files: Files, found: Found) -> None:
    """The builds that such a host makes of a folder."""
    for path in sorted(path for path in files.paths if path.endswith(_NAMES) and basename(path) in _FILES):
        host = _FILES[basename(path)]
        found.facts.append(
            Deployment(
                path=path,
                origin=host,
                pipeline=path,
                service="",
                resource="image",
                source=dirname(path) or ".",
                order=len(found.facts),
                unresolved=(f"{host} builds it ({path}): what its builds are given is set there",),
                evidence=(Evidence(path, None, None, None, f"built by {host}"),),
            )
        )
