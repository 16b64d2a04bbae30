"""The file that ``--env-vars-file`` names: a plain variable is written into it, as its others are written.

gcloud takes no other flag for plain variables beside it (cloud.google.com/sdk/gcloud/reference/run/deploy). Secrets are
not in such a file: ``--update-secrets`` stands beside it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import canonical, rendered
from sentry_audit.facts import Deployment
from sentry_audit.fixers import yaml_places as places
from sentry_audit.fixers.texts import line_at, row_end, row_start
from sentry_audit.fixing import Refusal

if TYPE_CHECKING:
    from sentry_audit.fixers.definitions import Given, Placed
    from sentry_audit.fixing import Case


def files_of(deployment: Deployment) -> list[str]:
    """The files that hold plain variables of a deployment."""
    found = (item.path for item in deployment.settings if item.sort == "plain" and not item.build)
    return [path for path in dict.fromkeys(found) if path and path != deployment.path]


def give(case: Case, deployment: Deployment, asked: Given) -> Placed | Refusal:
    """One more variable in the one file of ``deployment``, for its environment alone."""
    path, *more = files_of(deployment)
    text = case.files.text(path)
    if more or text is None or not path.endswith((".yaml", ".yml", ".json", ".env")):
        return Refusal(reason=f"what makes {path}, which {_at(deployment)} takes its variables from, was not followed")
    value = rendered(asked.value, case.environment)
    if "$" in value or "{" in value:
        return Refusal(
            reason=f"{path} holds plain values, and {asked.name} is {asked.value}: give it another way, or write its value there"
        )
    others = [item for item in case.scanned if isinstance(item, Deployment) and path in files_of(item)]
    other = next((item for item in others if canonical(item.environment) != canonical(case.environment)), None)
    if other is not None:
        told = other.environment or "another environment"
        return Refusal(
            reason=f"{path} is not {case.environment}'s alone: {_at(other)} gives it to {told}; a file for each would do"
        )
    if path.endswith(".env"):
        return [(path, _line(text, f"{asked.name}={value}"))]
    return _entry(path, text, asked.name, value)


def _at(deployment: Deployment) -> str:
    return f"{deployment.path}:{deployment.line}"


def _line(text: str, row: str) -> tuple[int, str]:
    """A row behind the last one that gives a Sentry variable, else behind the last one."""
    rows = [match.end() for match in re.finditer(r"(?m)^[ \t]*(?:export[ \t]+)?\w+[ \t]*=.*$", text)]
    ours = [match.end() for match in re.finditer(r"(?m)^[ \t]*(?:export[ \t]+)?SENTRY_\w+[ \t]*=.*$", text)]
    at = (ours or rows or [len(text)])[-1]
    return row_end(text, row_start(text, line_at(text, at))), f"\n{row}"


def _entry(path: str, text: str, name: str, value: str) -> Placed | Refusal:
    """An entry behind the last one of Sentry's, else behind the last one, in the quotes that the entries have."""
    root = next(places.nodes(path, text), None)
    if root is None or not isinstance(root.value, list) or not root.value:
        return Refusal(reason=f"{path} holds no variables to write like")
    ours = [pair for pair in root.value if str(pair[0].value).startswith("SENTRY_")]
    key, last = (ours or root.value)[-1]
    word = f"{places.quoted_like(key, name)}: {places.quoted_like(last, value)}"
    if not root.flow_style:
        return [(path, places.keyed(text, root, key.value, [word]))]
    begin = text[: key.start_mark.index]
    broken = begin.rstrip(" \t").endswith("\n")
    between = ",\n" + begin[begin.rfind("\n") + 1 :] if broken else ", "
    return [(path, (last.end_mark.index, between + word))]
