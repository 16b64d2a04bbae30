"""Write the pages of docs/ that follow from the code: checks, facts, commands, settings; and the JSON Schemas.

    python scripts/generate_docs.py

To be run after a change of ``checks.yaml``, of a fact, an option or a setting; a test says when it was forgotten.
"""

from __future__ import annotations

import inspect
import json
import re
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import fields

from sentry_audit import checks_schema, cloud_facts, sentry_facts, settings_model
from sentry_audit.app import shipped_checks
from sentry_audit.auditing import fixable
from sentry_audit.facts import KINDS, Fact
from sentry_audit.modelled import flow
from sentry_audit.predicates import OPERATORS

if TYPE_CHECKING:
    from sentry_audit.checks import Check, Fix

DOCS = Path(__file__).resolve().parent.parent / "docs"
_NOTE = "<!-- Written by scripts/generate_docs.py: edit what it reads. -->\n"
_COMMON = {item.name for item in fields(Fact)}


def pages() -> dict[str, str]:
    """The text of each page, by its file name in docs/."""
    return {
        "catalogue.md": catalogue(),
        "facts.md": facts(),
        "commands.md": commands(),
        "settings-reference.md": settings(),
        "schema/settings.json": json.dumps(settings_model.schema(), indent=1) + "\n",
        "schema/checks.json": json.dumps(checks_schema.schema(), indent=1) + "\n",
    }


def settings() -> str:
    """Every key of the settings: what it says, its type, an example."""
    parts = [
        _NOTE,
        "# Settings, key by key",
        "",
        "In words: [settings.md](settings.md). The same for editors, as JSON ",
    ]
    parts[-1] += "Schema: [schema/settings.json](schema/settings.json)."
    document = settings_model.schema()
    parts += ["", document["description"], "", *_keys(document)]
    for name, table in document["$defs"].items():
        parts += ["", f"## {name}", "", table["description"], "", *_keys(table)]
    return "\n".join(parts) + "\n"


def _keys(table: dict[str, Any]) -> list[str]:
    """One row for each key of a table of the schema."""
    rows = ["| key | value | |", "|---|---|---|"]
    for key, item in table["properties"].items():
        needed = " Required." if key in table["required"] else ""
        example = flow({key: item["examples"][0]}).strip("{}") if isinstance(item["examples"][0], str) else ""
        example = example or f"{key}: {flow(item['examples'][0])}"
        shown = f"{item['description']}{needed} `{example}`"
        rows.append(f"| `{key}` | {_value(item)} | {shown} |".replace("||", "|"))
    if isinstance(others := table["additionalProperties"], dict):
        rows.append(f"| the name of an environment | {_value(others)} | what is so for it |")
    return rows


def _value(item: dict[str, Any]) -> str:
    """The type of a value, in words."""
    if "$ref" in item:
        name = item["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in item:
        return " or ".join(dict.fromkeys(_value(choice) for choice in item["anyOf"] if choice.get("type") != "null"))
    if "enum" in item:
        return ", ".join(f"`{word}`" for word in item["enum"])
    if item["type"] == "array":
        return f"list of {_value(item['items'])}"
    if item["type"] == "object":
        return f"mapping to {_value(item['additionalProperties'])}"
    return {"string": "text", "integer": "number"}[item["type"]]


def catalogue() -> str:
    """Every check: why, what is looked at, what closes it, what it needs."""
    checks = sorted(shipped_checks(examples=False), key=lambda item: item.area)
    offered = fixable()
    parts = [_NOTE, "# The catalogue", "", f"{len(checks)} checks. `sentry-audit explain ID` shows one offline.", ""]
    for area, members in groupby(checks, key=lambda item: item.area):
        parts += [f"## {area}", ""]
        for check in members:
            parts += [*_check(check, can_fix=check.id in offered), ""]
    return "\n".join(parts).rstrip() + "\n"


def _check(check: Check, *, can_fix: bool) -> list[str]:
    where = "in every environment" if check.environments == "all" else "where Sentry is required"
    link = f" · link `{check.link.value}`" if check.link else ""
    only = f" · {check.ecosystem} components" if check.ecosystem else ""
    found = [
        f"### {check.id}",
        "",
        f"**{check.title}.** {check.severity.value} · {where}{link}{only} · looks at `{check.subject}`",
        "",
    ]
    found += [_lines(check.why), ""]
    if check.fix is not None:
        found += [*_fix(check.fix), ""]
        found += [f"`sentry-audit fix --only {check.id}` may do it.", ""] if can_fix else []
    if check.permissions:
        found += ["Needs " + ", ".join(f"`{item}`" for item in check.permissions) + ".", ""]
    if check.refs:
        found += ["Read more: " + ", ".join(f"<{ref}>" for ref in check.refs), ""]
    return found[:-1]


def _fix(fix: Fix) -> list[str]:
    """What closes a gap; placeholders are the fact's own fields."""
    found = []
    for name, item in (("", fix), *fix.others):
        found.append(f"- {f'{name}: ' if name else ''}{_lines(item.summary)} ({item.safety})")
        if item.diff:
            found += ["", "  ```diff", *(f"  {line}" for line in item.diff.strip("\n").splitlines()), "  ```"]
    return found


def facts() -> str:
    """Every kind of fact that a check may speak of, with its fields, and the operators."""
    parts = [_NOTE, "# Facts and operators", "", "What checks may speak of ([checks.md](checks.md) shows how).", ""]
    parts += ["## Operators", "", "| operator | holds when the field |", "|---|---|"]
    parts += [f"| `{name}` | {operator.meaning} |" for name, operator in OPERATORS.items()]
    parts += ["", "A value alone means `is`, a list means `in`.", "", "## Fields of every fact", "", *_fields(Fact), ""]
    parts += [_docstring(Fact), ""]
    modules = {
        "The repository": "sentry_audit.facts",
        "Google Cloud": cloud_facts.__name__,
        "Sentry": sentry_facts.__name__,
    }
    for head, module in modules.items():
        parts += [f"## {head}", ""]
        for name, kind in sorted(KINDS.items()):
            if kind.__module__ == module:
                parts += [f"### {name}", "", _docstring(kind), "", *_fields(kind), ""]
    return "\n".join(parts).rstrip() + "\n"


def _docstring(kind: type[Fact]) -> str:
    return inspect.cleandoc(kind.__doc__ or "").replace("``", "`")


def _fields(kind: type[Fact]) -> list[str]:
    mine = [item for item in fields(kind) if kind is Fact or item.name not in _COMMON]
    if not mine:
        return []
    rows = [f"| `{item.name}` | {_type(item.type)} |" for item in mine]
    return ["| field | type |", "|---|---|", *rows]


def _type(annotation: Any) -> str:
    text = (
        annotation.__name__ if isinstance(annotation, type) and not hasattr(annotation, "__args__") else str(annotation)
    )
    return re.sub(r"\b[\w.]+\.(\w+)", r"\1", text).replace("|", "or")


def commands() -> str:
    """Every command with its options, as ``--help`` tells them."""
    import typer

    from sentry_audit.cli import build

    root = typer.main.get_command(build())
    parts = [_NOTE, "# Commands", "", "What `--help` says. Exit codes: [exit-codes.md](exit-codes.md).", ""]
    for name, command in getattr(root, "commands", {}).items():
        parts += _command(f"sentry-audit {name}", command)
    return "\n".join(parts).rstrip() + "\n"


def _command(name: str, command: Any) -> list[str]:
    children = getattr(command, "commands", None)
    if children:
        return [line for child, item in children.items() for line in _command(f"{name} {child}", item)]
    more = (command.epilog or "").replace("\b\n", "").split("\n\n")
    examples = ["```sh", *(row.strip() for row in more[0].splitlines()[1:]), "```", "", *more[1:2], ""]
    return [f"## {name}", "", inspect.cleandoc(command.help or ""), "", *_rows(command.params), "", *examples]


def _rows(params: list[Any]) -> list[str]:
    rows = []
    for item in params:
        if getattr(item, "hidden", False):
            continue
        argument = item.param_type_name == "argument"
        names = (item.metavar or item.name.upper()) if argument else ", ".join(item.opts)
        shown = f" {item.metavar or ''}".rstrip() if not argument else ""
        default = item.show_default if isinstance(getattr(item, "show_default", None), str) else ""
        text = (item.help or "").replace("|", "\\|") + (f" Default: {default}." if default else "")
        rows.append(f"| `{names}{shown}` | {text} |")
    return ["| | |", "|---|---|", *rows] if rows else []


def _lines(text: str) -> str:
    return " ".join(text.split())


def main() -> None:
    """Write the pages."""
    (DOCS / "schema").mkdir(exist_ok=True)
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
