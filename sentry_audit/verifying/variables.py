"""The variables that a component is booted with: what its deployment would pass, and stand-ins for what is secret."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from msgspec import Struct, field

from sentry_audit.deployment.state import by_service, states
from sentry_audit.dsn import names_dsn
from sentry_audit.facts import DeployedDsn, DsnArgument, EnvironmentLabel, Release

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sentry_audit.deployment.matching import Matching
    from sentry_audit.facts import Component, Fact, Image, Setting

#: What a process on this machine needs; nothing else of the caller's is handed on.
_KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TEMP",
    "TMP",
    "SYSTEMROOT",
    "TZ",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
)
_OWN = frozenset({"PATH", "HOME", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"})
_COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Variables(Struct, frozen=True, kw_only=True):
    """What is passed: ``values`` by name; ``dsns`` are those of them that are a DSN, ``stand_ins`` those that verify made up.

    ``notes`` say in words what verify put in; ``complete`` is false where the repository does not say all that is passed.
    """

    values: dict[str, str] = field(default_factory=dict)
    dsns: dict[str, str] = field(default_factory=dict)
    stand_ins: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    complete: bool = True


def stand_in_dsn() -> str:
    """A DSN that looks like one of sentry.io, with a key that nobody has: guards in the code let it through."""
    return f"https://{secrets.token_hex(16)}@o4505000000000001.ingest.us.sentry.io/4505000000000002"


def resolved(
    component: Component,
    environment: str,
    matching: Matching,
    facts: Sequence[Fact],
    image: Image | None,
    given: Mapping[str, str],
) -> Variables:
    """What the audit resolved for ``component`` in ``environment``; ``given`` are the user's own, which win."""
    baked = image.env if image is not None else ()
    values = {name: value for name, value in baked if "$" not in value and name not in _OWN}
    made: list[str] = []
    mine = matching.of(component.name, environment)
    groups = by_service(states(mine, environment)) if mine else []
    for state in groups[0] if groups else ():
        for name, (item, _) in state.variables.items():
            values[name], is_made = _value(name, item)
            if is_made:
                made.append(name)
    assumed: list[str] = []
    open_ = any(state.unresolved for group in groups for state in group)
    if not mine or any(isinstance(fact, DeployedDsn) and fact.unknown for fact in facts):
        for name, value in _undeployed(environment, facts):
            if name not in values and name not in given:
                values[name] = value
                assumed.append(name)
    one = len(assumed) == 1
    told = f"{', '.join(assumed)} {'is a stand-in' if one else 'are stand-ins'}: what passes {'it' if one else 'them'} was not found"
    values.update(given)
    dsns = {name: value for name, value in values.items() if _is_dsn(name) and value}
    return Variables(
        values=values,
        dsns=dsns,
        stand_ins=tuple(dict.fromkeys([*made, *assumed])),
        notes=(told,) if assumed else (),
        complete=bool(mine) and not open_,
    )


def _is_dsn(name: str) -> bool:
    return "DSN" in name.upper() and names_dsn(name)


def _value(name: str, item: Setting) -> tuple[str, bool]:
    """(what a deployment passes, whether it is made up)."""
    if not item.is_set and item.sort == "plain":
        return "", False
    if _is_dsn(name):
        return stand_in_dsn(), True
    if item.sort == "plain" and item.value and "$" not in item.value:
        return item.value, False
    upper = name.upper()
    if "RELEASE" in upper or "COMMIT" in upper or "SHA" in upper:
        return _COMMIT, True
    schemes = {"DATABASE": "postgresql", "POSTGRES": "postgresql", "REDIS": "redis", "MONGO": "mongodb", "AMQP": "amqp"}
    if upper.endswith(("_URL", "_URI")):
        scheme = next((value for key, value in schemes.items() if key in upper), "http")
        return f"{scheme}://stand-in:stand-in@127.0.0.1:9/0", True
    return "stand-in", True


def _undeployed(environment: str, facts: Sequence[Fact]) -> list[tuple[str, str]]:
    """Where the repository does not say what is passed: what the code reads of Sentry's, as (name, value)."""
    found: list[tuple[str, str]] = []
    argument = next((fact for fact in facts if isinstance(fact, DsnArgument)), None)
    if argument is None or not argument.literal:
        names = (argument.variables if argument is not None else ()) or ("SENTRY_DSN",)
        found += [(name, stand_in_dsn()) for name in names]
    label = next((fact.variables for fact in facts if isinstance(fact, EnvironmentLabel)), ("SENTRY_ENVIRONMENT",))
    found += [(name, environment) for name in label[:1]]
    release = next((fact.variables for fact in facts if isinstance(fact, Release) and fact.variables), ())
    return [*found, (release[0] if release else "SENTRY_RELEASE", _COMMIT)]


def process_environment(values: Mapping[str, str], config: str, port: int) -> dict[str, str]:
    """The whole environment of a process: ``values``, what any process needs, and what its hook is told (``config``)."""
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "PORT": str(port),
        "GIT_DIR": os.devnull,  # an image has no .git: the SDK must not find a release there
        **{name: value for name, value in values.items() if name != "PORT"},
        "SENTRY_AUDIT_VERIFY": config,
        "NO_PROXY": "127.0.0.1,localhost",
    }


def python_environment(values: Mapping[str, str], hook: str, config: str, port: int) -> dict[str, str]:
    """Likewise for Python, with the folder ``hook`` in front of its path."""
    path = os.pathsep.join(item for item in (hook, values.get("PYTHONPATH", "")) if item)
    usual = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return process_environment({**usual, **values, "PYTHONPATH": path}, config, port)
