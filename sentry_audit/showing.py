"""What ``check --show-config`` tells: each setting that counts, its value, and where it comes from."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.dsn import redact
from sentry_audit.modelled import fields, flow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sentry_audit.auditing import Request
    from sentry_audit.settings import Settings, Source

DEFAULT = "default"
_WIDTH = 80
#: Variables of the environment that choose what is asked, and how it looks; those whose values may be secret.
_VARIABLES = (
    "GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT", "CLOUDSDK_CONFIG", "GOOGLE_APPLICATION_CREDENTIALS",
    "SENTRY_URL", "SENTRY_ORG", "SENTRY_AUTH_TOKEN", "SENTRY_AUDIT_GCP_ENDPOINT",
    "NO_COLOR", "FORCE_COLOR", "GITHUB_STEP_SUMMARY", "SENTRY_AUDIT_DEBUG",
)  # fmt: skip
_SECRET = frozenset({"SENTRY_AUTH_TOKEN"})


class Row(Struct, frozen=True):
    """One setting: its name, its value, and where that comes from."""

    name: str
    value: str
    origin: str


def shown(request: Request, options: Sequence[Row]) -> str:
    """The page for ``request``; ``options`` are those of the command line. Raises what reading the files raises."""
    from sentry_audit.auditing import open_tree
    from sentry_audit.settings import find

    tree, settings = open_tree(request)
    source = find(request.root)
    parts = [
        ("Settings", _settings(settings, source)),
        ("Options", options),
        ("Environment variables", _variables()),
        ("Files that count", _files(request, settings, source, tree)),
    ]
    texts = [f"{head}\n" + "".join(map(_told, rows)) for head, rows in parts if rows]
    notes = "".join(f"note: {note}\n" for note in settings.notes)
    return redact("\n".join(texts) + (f"\n{notes}" if notes else ""))


def _told(row: Row) -> str:
    text = f"  {row.name}: {row.value}  ({row.origin})"
    return (
        textwrap.fill(text, _WIDTH, subsequent_indent="      ", break_on_hyphens=False, break_long_words=False) + "\n"
    )


def _settings(settings: Settings, source: Source) -> list[Row]:
    from sentry_audit.settings_model import File

    data = source.data if isinstance(source.data, dict) else {}
    rows = []
    for key in fields(File):
        given = data.get(key)
        if isinstance(given, dict):
            rows += [Row(f"{key}.{name}", flow(item), _place(source, (key, name))) for name, item in given.items()]
        elif given and isinstance(given, list) and all(isinstance(item, dict) for item in given):
            rows += [Row(f"{key}[{at}]", flow(item), _place(source, (key, at))) for at, item in enumerate(given)]
        elif given is not None:
            rows.append(Row(key, flow(given), _place(source, (key,))))
        else:
            rows.append(Row(key, _usual(key, getattr(settings, key, ())), DEFAULT))
    return rows


def _usual(key: str, value: Any) -> str:
    """What counts where nothing is said."""
    if value:
        return flow(value)
    return {
        "environments": "staging, production, and those that files of variables are named after",
        "components": "those that are found",
        "google_cloud": "what the deploy definitions say",
        "deployments": "what the deploy definitions say",
    }.get(key, "none")


def _place(source: Source, path: tuple[str | int, ...]) -> str:
    line = source.line_of(path) if source.line_of is not None else None
    return f"{source.name}:{line}" if line else source.name


def _variables() -> list[Row]:
    return [
        Row(name, "set, not shown" if name in _SECRET else os.environ[name], "environment variable")
        for name in _VARIABLES
        if os.environ.get(name)
    ]


def _files(request: Request, settings: Settings, source: Source, tree: Any) -> list[Row]:
    from sentry_audit.accepting import in_comments, load_baseline, refuse_unknown, today
    from sentry_audit.app import checks_file, ids, shipped_checks

    rows = [Row("settings", source.name or "none", "found" if source.name else DEFAULT)]
    rows.append(Row("checks", f"the catalogue, {len(shipped_checks(examples=False))} checks", DEFAULT))
    known = ids(request, settings)
    for index, name in enumerate(settings.checks):
        rows.append(
            Row("checks", f"{name}, {len(checks_file(request.root / name, name))}", _place(source, ("checks", index)))
        )
    if not request.waivers:
        return [*rows, Row("waivers", "none count, nor does a baseline", "command line: --no-waivers")]
    refuse_unknown(settings.waivers, lambda: known)
    beside, complaints = in_comments(tree, today(request), lambda: known)
    if settings.waivers:
        rows.append(Row("waivers", str(len(settings.waivers)), source.name))
    rows += [Row("waivers", "1", str(item.waiver.place)) for item in beside]
    rows += [Row("waivers", "not honoured", text) for text in complaints]
    if request.baseline is not None:
        rows.append(
            Row(
                "baseline",
                f"{request.baseline}, {len(load_baseline(request.baseline))} gaps",
                "command line: --baseline",
            )
        )
    elif settings.baseline:
        count = len(load_baseline(request.root / settings.baseline))
        rows.append(Row("baseline", f"{settings.baseline}, {count} gaps", _place(source, ("baseline",))))
    return rows


def options_of(context: Any, settings: Settings, source: Source) -> list[Row]:
    """The options of a command as the user gave them, or as they are without; ``context`` is typer's."""
    return list(_options(context.command.params, context, settings, source))


def _options(params: Iterable[Any], context: Any, settings: Settings, source: Source) -> Iterator[Row]:
    for item in params:
        if item.name in {"show_config", "help"}:
            continue
        name = item.name.upper() if item.param_type_name == "argument" else item.opts[0]
        value = context.params.get(item.name)
        told = context.get_parameter_source(item.name)
        if told is not None and told.name == "COMMANDLINE":
            yield Row(name, _value(value), "command line")
        elif told is not None and told.name == "ENVIRONMENT":
            yield Row(name, _value(value), f"environment variable {item.envvar}")
        elif item.name == "env":
            data = source.data if isinstance(source.data, dict) else {}
            said = data.get("default_environment") is not None
            yield Row(name, settings.default_environment, _place(source, ("default_environment",)) if said else DEFAULT)
        else:
            usual = item.show_default if isinstance(getattr(item, "show_default", None), str) else ""
            yield Row(name, usual or _value(value), DEFAULT)


def _value(value: Any) -> str:
    if value is None or value in ("", (), []):
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
