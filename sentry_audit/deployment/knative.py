"""Knative YAML (``serving.knative.dev``) as ``gcloud run services replace`` takes it: the whole state of a service.

Semantics: cloud.google.com/run/docs/reference/yaml/v1. Cloud Run jobs (``run.googleapis.com``) have the same containers.
The namespace is the project's id or number, as gcloud checks; a flag comes before the label of the location.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sentry_audit.deployment.found import KINDS
from sentry_audit.deployment.gcloud import Change, setting
from sentry_audit.deployment.location import Place, project_of, region_of
from sentry_audit.scanners.nodes import at, children, compose, items, line_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.deployment.environments import Hint
    from sentry_audit.deployment.found import Found
    from sentry_audit.facts import Setting
    from sentry_audit.python.program import Files

MARKS = ("serving.knative.dev", "run.googleapis.com/v1")
_TEMPLATES = ("{{", "{%")
_LOCATION = "cloud.googleapis.com/location"
_NOWHERE = Place()


def read(
    files: Files,
    found: Found,
    path: str,
    hints: Sequence[Hint] = (),
    flags: Place = _NOWHERE,
    otherwise: Place = _NOWHERE,
) -> bool:
    """The services and jobs that a YAML file declares; Helm and Jinja templates are not read, and said so.

    ``flags`` are those of the command that takes the file, ``otherwise`` is where gcloud works without any. Whether it
    declares any, or may.
    """
    return declared(files.text(path) or "", found, path, hints, flags, otherwise)


def declared(
    text: str,
    found: Found,
    path: str,
    hints: Sequence[Hint] = (),
    flags: Place = _NOWHERE,
    otherwise: Place = _NOWHERE,
) -> bool:
    """Likewise for ``text``, which stands in ``path`` with nothing else but empty lines before it."""
    if any(mark in text for mark in _TEMPLATES):
        line = next(number for number, row in enumerate(text.splitlines(), 1) if "{{" in row or "{%" in row)
        found.template(path, line)
        return True
    nodes, problems = compose(path, text, KINDS)
    found.problems += problems
    declares = bool(problems)
    for node in nodes:
        if not any(mark in text_of(at(node, "apiVersion")) for mark in MARKS):
            continue
        declares = True
        found.unsound(path, node)
        job = text_of(at(node, "kind")) == "Job"
        below = ("spec", "template", "spec", "template", "spec") if job else ("spec", "template", "spec")
        containers = _listed(at(node, *below, "containers"))
        main = next((item for item in containers if "ports" in children(item)), containers[0] if containers else None)
        if main is None:
            continue
        metadata = at(node, "metadata")
        place = _place(metadata, flags, otherwise)
        image = text_of(at(main, "image"))
        change = Change(
            "declares", "job" if job else "service", text_of(at(metadata, "name")),
            tuple(_variable(item) for item in _listed(at(main, "env"))), image, project=place.project,
            region=place.region,
        )  # fmt: skip
        found.change(path, text, change, line_of(node), "knative", hints, declarative=True)
    return declares


def _place(metadata: Any, flags: Place, otherwise: Place) -> Place:
    """Where a definition with this ``metadata`` is deployed."""
    given = text_of(at(metadata, "namespace"))
    label = next((text for kind in ("labels", "annotations") if (text := text_of(at(metadata, kind, _LOCATION)))), "")
    projects = (flags.project, given) if flags.project else ("" if given.isdigit() else given, otherwise.project, given)
    regions = (flags.region, label) if flags.region else (label, otherwise.region)
    return Place(project_of(*projects) or given, region_of(*regions))


def _listed(node: Any) -> list[Any]:
    """The entries of a list; gcloud takes a single entry for a list of one."""
    return items(node) or ([node] if children(node) else [])


def _variable(node: Any) -> Setting:
    name, line = text_of(at(node, "name")), line_of(node)
    reference = at(node, "valueFrom", "secretKeyRef")
    if reference is None:
        return setting(name, text_of(at(node, "value")), "set", "plain", line)
    secret, version = text_of(at(reference, "name")), text_of(at(reference, "key"))
    return setting(name, f"{secret}:{version or 'latest'}", "set", "secret", line)
