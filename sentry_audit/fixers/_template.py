"""The text of a new module that initialises the SDK, in a project's style.

What it passes follows docs.sentry.io/platforms/python and the measured defaults of sentry-sdk 2: the environment decides the
DSN, the labels and the rate; nothing personal is sent (``scrub_template``); probes are not traced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.fixers.scrub_template import name_of, scrub_lines
from sentry_audit.python.privacy import HOOKS

if TYPE_CHECKING:
    from collections.abc import Sequence


class Style(Struct, frozen=True):
    """How the project writes Python: ``read`` is the call that reads a variable."""

    quote: str = '"'
    unit: str = "    "
    typed: bool = True
    read: str = "os.environ.get"
    line_end: str = "\n"


class Values(Struct, frozen=True):
    """The expressions for init's options, the variables that they read, and the imports that they need.

    ``rate`` is a number.
    """

    dsn: str
    environment: str
    release: str
    rate: str
    variables: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    own_imports: tuple[str, ...] = ()


def of_environment(style: Style, label: str) -> Values:
    """Values that are read from variables; ``label`` is the one that holds the environment's name."""
    read, quote = style.read, style.quote
    return Values(
        dsn=f"{read}({quote}SENTRY_DSN{quote})",
        environment=f"{read}({quote}{label}{quote})",
        release=f"{read}({quote}SENTRY_RELEASE{quote})",
        rate=f"float({read}({quote}SENTRY_TRACES_SAMPLE_RATE{quote}) or 0.1)",  # set but empty, as in a template, too
        variables=tuple(dict.fromkeys(("SENTRY_DSN", label, "SENTRY_RELEASE", "SENTRY_TRACES_SAMPLE_RATE"))),
        imports=("import os",),
    )


def module_text(style: Style, values: Values, probes: Sequence[str], scope: str) -> str:
    """The whole module: ``init_sentry()``, and a sampler where there are ``probes``.

    ``scope`` says where the server's context holds the path: asgi or wsgi.
    """
    quote, unit = style.quote, style.unit
    sampled = bool(probes)
    standard = [*values.imports, "import re", *(["from typing import Any"] if style.typed else [])]
    rows = ['"""Sentry: errors and traces of this application."""', "", *standard, ""]
    rows += ["import sentry_sdk", "from sentry_sdk.scrubber import EventScrubber", ""]
    rows += [*values.own_imports, *([""] if values.own_imports else [])]
    if sampled:
        listed = ", ".join(f"{quote}{probe}{quote}" for probe in probes)
        rows += [f"HEALTH_CHECKS = ({listed},)" if len(probes) == 1 else f"HEALTH_CHECKS = ({listed})"]
    name = name_of(())
    rows += [*scrub_lines(name, (), unit=unit, typed=style.typed, quote=quote), "", ""]
    if sampled:
        rows += _sampler(style, values.rate, scope)
    rows += [
        f"def init_sentry(){' -> None' if style.typed else ''}:",
        f'{unit}"""Initialise the SDK; without a DSN it stays off."""',
        f"{unit}sentry_sdk.init(",
        f"{unit}{unit}dsn={values.dsn},",
        f"{unit}{unit}environment={values.environment},",
        f"{unit}{unit}release={values.release},",
        f"{unit}{unit}traces_sampler=_traces_sampler," if sampled else f"{unit}{unit}traces_sample_rate={values.rate},",
        f"{unit}{unit}include_local_variables=False,",
        f"{unit}{unit}event_scrubber=EventScrubber(recursive=True),",
        *(f"{unit}{unit}{option}={name}," for option in HOOKS),
        f"{unit})",
    ]
    return style.line_end.join([*rows, ""])


def _sampler(style: Style, rate: str, scope: str) -> list[str]:
    quote, unit = style.quote, style.unit
    signature = "context: dict[str, Any]) -> float:" if style.typed else "context):"
    key, item = ("asgi_scope", "path") if scope == "asgi" else ("wsgi_environ", "PATH_INFO")
    return [
        f"def _traces_sampler({signature}",
        f'{unit}"""Leave health checks out; else follow the caller\'s decision, or the rate."""',
        f"{unit}if (context.get({quote}{key}{quote}) or {{}}).get({quote}{item}{quote}, {quote}{quote}).endswith(HEALTH_CHECKS):",
        f"{unit}{unit}return 0.0",
        f"{unit}if context.get({quote}parent_sampled{quote}) is not None:",
        f"{unit}{unit}return float(context[{quote}parent_sampled{quote}])",
        f"{unit}return {rate}",
        "",
        "",
    ]
