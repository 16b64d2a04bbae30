"""Environment variables as facts, wherever they are declared: what may be shown, and what is a DSN or a token."""

from __future__ import annotations

import re

from sentry_audit import dsn
from sentry_audit.facts import AuthToken, EnvVar, Fact
from sentry_audit.model import Evidence

_SHOWN = re.compile(
    r"^(SENTRY_(?!.*(DSN|TOKEN|KEY|SECRET)).*|(.*_)?(ENV|ENVIRONMENT|STAGE)|.*_ENABLED|.*RATE|DEBUG|"
    r"DJANGO_SETTINGS_MODULE|DJANGO_CONFIGURATION|CLOUDSDK_(CORE_PROJECT|RUN_REGION))$",
    re.IGNORECASE,
)
#: The address of an API that a bundler compiles into what browsers load is no secret; a path that could hold one is cut.
_PUBLIC_ADDRESS = re.compile(
    r"^(?!.*(KEY|TOKEN|SECRET|PASS))(NEXT_PUBLIC|VITE|REACT_APP|GATSBY|NUXT_PUBLIC|PUBLIC|VUE_APP|NG_APP)_(.*_)?(API|BACKEND|SERVER|GATEWAY|GRAPHQL|BASE)(_.*)?$"
)
_ADDRESS = re.compile(r"^(https?://[\w.-]+(?::\d+)?)?((?:/[a-z0-9_.-]{1,12})*)/?(?=$|[/?#])", re.IGNORECASE)
_REFERENCE = re.compile(r"\$\{?([A-Za-z_]\w*)(?::?[-?][^}$]*)?\}?")
_TOKEN = re.compile(r"\bsntr[a-z]{1,2}_\w")


def shown(name: str, value: str) -> str:
    """``value`` if ``name`` cannot hold a secret and it does not look like one, else ``""``."""
    if _PUBLIC_ADDRESS.match(name):
        match = _ADDRESS.match(value.strip())
        return (match[0].rstrip("/") or "/") if match and match[0] else ""
    return value if _SHOWN.match(name) and not dsn.looks_like_dsn(value) and not _TOKEN.search(value) else ""


def declared(
    path: str,
    name: str,
    value: str,
    line: int | None,
    *,
    origin: str = "dotenv",
    template: bool = False,
    environment: str = "",
) -> list[Fact]:
    """The facts of one assignment: the variable, and its DSN or auth token. No other value is kept."""
    here = Evidence(path, line, None, None, name)
    variable = EnvVar(
        path=path, name=name, is_set=bool(value.strip()), value=shown(name, value), template=template, environment=environment,
        line=line, origin=origin, evidence=(here,), reference=match[1] if (match := _REFERENCE.fullmatch(value.strip())) else "",
    )  # fmt: skip
    secret = _secret(path, name, value, line, template=template, environment=environment)
    return [variable] if secret is None else [variable, secret]


def _secret(path: str, name: str, value: str, line: int | None, *, template: bool, environment: str) -> Fact | None:
    plain = value.strip()
    if not plain:
        return None
    written = not plain.startswith(("$", "<", "{"))
    if _TOKEN.search(plain) or (name == "SENTRY_AUTH_TOKEN" and not template and written):
        return AuthToken(
            name=name,
            problem="a Sentry auth token stands in the file: whoever reads it can change the Sentry organization",
            evidence=(Evidence(path, line, None, None, f"{name}=…"),),
        )
    upper = name.upper()
    if ("SENTRY" in upper and "DSN" in upper) or (dsn.looks_like_dsn(plain) and "sentry" in plain):
        if not written:
            return None
        parsed = dsn.parse(value)
        if template and "://" not in plain:  # a word in its place: a template tells what to put there
            return None
        return dsn.fact(
            parsed,
            name=name,
            hardcoded=not template and not parsed.placeholder,
            environment=environment,
            evidence=(Evidence(path, line, None, None, f"{name}={parsed.shown}"),),
        )
    return None
