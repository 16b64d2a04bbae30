"""Which environment a definition speaks of, and what told so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit.facts import Setting

_WORDS = {
    "production": "production", "prod": "production", "prd": "production", "live": "production",
    "staging": "staging", "stage": "staging", "stg": "staging", "stag": "staging", "preprod": "staging", "uat": "uat",
    "qa": "qa", "development": "development", "develop": "development", "dev": "development",
    "sandbox": "sandbox", "preview": "preview", "demo": "demo", "test": "test", "testing": "test",
}  # fmt: skip
_SPLIT = re.compile(r"[^a-z0-9]+|(?<=[a-z])(?=[0-9])")

#: A host below the domain .dev (``europe-docker.pkg.dev/…``): a registry, no environment.
_HOST = re.compile(r"(?<![\w.-])[\w-]+(?:\.[\w-]+)*\.dev(?=[/:])|\bpkg\.dev\b")

#: Variables that choose how a library runs: staging runs in their "production" too.
_MODES = frozenset({"NODE_ENV", "RAILS_ENV", "RACK_ENV", "MIX_ENV", "FLASK_ENV", "BABEL_ENV", "PYTHON_ENV"})
_NAMING = re.compile(r"(?:^|_)(?:ENV|ENVIRONMENT|STAGE|PROJECT|SERVICE)(?:_|$)", re.IGNORECASE)

#: A variable that holds the name of the environment, or a script's first argument; ``$GITHUB_ENV`` is a file's path.
_NAME = (
    r"((?!(?:github|bash|virtual)_env\b)(?:(?:inputs|env|vars|matrix|github\.event\.inputs)\.)?"
    r"_?(?:\w+_)?(?:env|environment|stage)(?:_name)?|1)"
)
_PARAMETER = re.compile(rf"\$\{{{_NAME}(?::?-[^{{}}]*)?\}}|\${_NAME}(?!\w)", re.IGNORECASE)

#: What tells the environment when the service's own variables do.
TOLD_SERVICE = "the service's variable"

#: (a text, what the text is): "shop-staging", "the project".
Hint = tuple[str, str]


def canonical(name: str) -> str:
    """``prod`` → ``production``; a name that is none of the usual ones stays as it is."""
    return _WORDS.get(name.lower(), name.lower())


def named_in(text: str) -> set[str]:
    """The environments whose names are words of ``text``."""
    return {_WORDS[word] for word in _SPLIT.split(_HOST.sub(" ", text.lower())) if word in _WORDS}


def told(hints: Iterable[Hint]) -> tuple[str, str]:
    """(the environment, the rule) of the first hint that names exactly one; two empty texts when none does."""
    for text, what in hints:
        found = named_in(text)
        if found == {"test"} and text.lower() not in {"test", "testing"}:  # a job, a folder of tests
            continue
        if len(found) == 1:
            return found.pop(), f"{what} says so: {text}"
    return "", ""


def speaks_of(environment: str, wanted: str) -> bool:
    """Whether a definition of ``environment`` (``""``: of no particular one) applies in ``wanted``."""
    return not environment or canonical(environment) == canonical(wanted)


def is_parameter(name: str) -> bool:
    """Whether a variable of that name holds the name of an environment."""
    return _PARAMETER.fullmatch(f"${name}") is not None


def names_environment(variable: str) -> bool:
    """Whether the value of a variable of that name may tell the environment: ``DEPLOY_ENV``, ``GCP_PROJECT_ID``."""
    return variable not in _MODES and bool(_NAMING.search(variable))


def labels(settings: Iterable[Setting]) -> list[Hint]:
    """The variables in which a service is told its environment; Sentry's own are judged, not believed."""
    return [
        (item.value, f"{TOLD_SERVICE} {item.name}")
        for item in settings
        if is_parameter(item.name) and item.name not in _MODES and not item.name.startswith("SENTRY_")
    ]


def parameter_in(text: str) -> str:
    """The first variable in ``text`` that holds the name of an environment, or ``""``."""
    match = _PARAMETER.search(text)
    return match[1] or match[2] if match else ""


def rendered(text: str, environment: str) -> str:
    """``text`` with ``environment`` in place of the variables that hold its name."""
    return _PARAMETER.sub(environment, text) if "$" in text else text
