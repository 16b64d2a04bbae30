"""Knative YAML (``serving.knative.dev``) as ``gcloud run services replace`` takes it: the whole state of a service.

Semantics: cloud.google.com/run/docs/reference/yaml/v1. Cloud Run jobs (``run.googleapis.com``) have the same containers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sentry_audit.deployment.found import KINDS
from sentry_audit.deployment.gcloud import Change, setting
from sentry_audit.scanners.nodes import at, children, compose, items, line_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.deployment.environments import Hint
    from sentry_audit.deployment.found import Found
    from sentry_audit.facts import Setting
    from sentry_audit.python.program import Files

MARKS = ("serving.knative.dev", "run.googleapis.com/v1")
_TEMPLATES = ("{{", "{%")


def read(files: Files, found: Found, path: str, hints: Sequence[Hint] = ()) -> bool:
    """The services and jobs that a YAML file declares; Helm and Jinja templates are not read, and said so.

    Whether it declares any, or may.
    """
    return declared(files.text(path) or "", found, path, hints)


def declared(text: str, found: Found, path: str, hints: Sequence[Hint] = ()) -> bool:
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
        project = text_of(at(metadata, "namespace"))
        image = text_of(at(main, "image"))
        change = Change(
            "declares", "job" if job else "service", text_of(at(metadata, "name")),
            tuple(_variable(item) for item in _listed(at(main, "env"))), image, project=project,
        )  # fmt: skip
        found.change(path, text, change, line_of(node), "knative", hints, declarative=True)
    return declares


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
