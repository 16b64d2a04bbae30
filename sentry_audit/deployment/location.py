"""In which project and region gcloud works: its flags, the variables that it reads, what it was told before.

Semantics: cloud.google.com/sdk/docs/properties: a flag comes first, then ``CLOUDSDK_SECTION_PROPERTY``, then what
``gcloud config set`` has kept. A variable's value that was not followed stays as it is written (``$PROJECT``), so that
it hides what it would override.
"""

from __future__ import annotations

import re
from posixpath import basename
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.deployment.environments import rendered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_audit.facts import Setting

#: Resource Manager: 6 to 30 lowercase letters, digits and hyphens, perhaps below a domain; or the project's number.
_PROJECT = re.compile(r"(?:[a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]|[1-9]\d{5,18}")
_REGION = re.compile(r"[a-z]+(?:-[a-z]+)+\d+")
#: What stands where a project's name is to be filled in, and Kubernetes' own namespace.
_TO_FILL_IN = re.compile(
    r"\b(?:your|placeholder|replace|change-?me|xxx+)\b"
    r"|(?:^|-)project-(?:id|name)$|^(?:(?:my|the|a|some|example|sample)-)?(?:(?:gcp|google|cloud|google-cloud|gcloud)-)?project$"
    r"|^default$"
)
_PROPERTIES = {"project": "project", "core/project": "project", "run/region": "region"}
_VARIABLES = {"CLOUDSDK_CORE_PROJECT": "project", "CLOUDSDK_RUN_REGION": "region"}
_IMAGE = re.compile(r"^(?:(?:[\w-]+\.)?gcr\.io|[a-z0-9-]+-docker\.pkg\.dev)/([^/]+)/")
#: Google's own, of sample images.
_PUBLIC = frozenset({"cloudrun", "google-samples"})
_ACCOUNT = re.compile(r"^[\w.-]+@([\w-]+)\.iam\.gserviceaccount\.com$")


class Place(Struct, frozen=True):
    """A project and a region as they are written; ``""`` where nothing names one."""

    project: str = ""
    region: str = ""

    def over(self, other: Place) -> Place:
        """This one, and what ``other`` says of the rest."""
        return Place(self.project or other.project, self.region or other.region)


def project_of(*texts: str) -> str:
    """The first of ``texts`` that is a project's id or number; it may hold the variable of an environment's name."""
    return next((text for text in texts if _is(_PROJECT, text) and not _TO_FILL_IN.search(text)), "")


def region_of(*texts: str) -> str:
    """The first of ``texts`` that is a region."""
    return next((text for text in texts if _is(_REGION, text)), "")


def _is(pattern: re.Pattern[str], text: str) -> bool:
    """Whether ``text`` is of that form, whichever the environment; the name of an environment alone is none."""
    if "$" not in text:
        return pattern.fullmatch(text) is not None
    return rendered(text, "") != "" and pattern.fullmatch(rendered(text, "staging")) is not None


def configured(place: Place, words: Sequence[str]) -> Place:
    """What gcloud is told for later by ``words``: ``place`` itself if they are no ``gcloud config`` command."""
    at = next((index for index, word in enumerate(words) if basename(word) == "gcloud"), None)
    plain = [word for word in words[at + 1 :] if not word.startswith("-")] if at is not None else []
    match plain:
        case ["config", "set", name, value, *_] if name in _PROPERTIES:
            return replace(place, **{_PROPERTIES[name]: value})
        case ["config", "unset", name, *_] if name in _PROPERTIES:
            return replace(place, **{_PROPERTIES[name]: ""})
        case ["config", "configurations", "activate", *_]:
            return Place()
    return place


def variables_of(env: Iterable[Setting]) -> Place:
    """What the variables that gcloud reads say; the last of a name counts."""
    return Place(**{_VARIABLES[item.name]: item.value for item in env if item.name in _VARIABLES})


def flag(words: Sequence[str], name: str) -> str:
    """The value of the last flag ``name``."""
    found = ""
    for index, word in enumerate(words):
        if word == name:
            found = words[index + 1] if index + 1 < len(words) else ""
        elif word.startswith(f"{name}="):
            found = word.partition("=")[2]
    return found


def agreed(places: Sequence[Place]) -> Place:
    """What all of ``places`` say alike."""
    projects, regions = {item.project for item in places}, {item.region for item in places}
    return Place(projects.pop() if len(projects) == 1 else "", regions.pop() if len(regions) == 1 else "")


def image_project(image: str) -> str:
    """The project whose registry holds an image: not always the one that runs it."""
    match = _IMAGE.match(image)
    return project_of(match[1]) if match and match[1] not in _PUBLIC else ""


def account_project(email: str) -> str:
    """The project of a service account, from its address."""
    match = _ACCOUNT.match(email)
    return match[1] if match else ""
