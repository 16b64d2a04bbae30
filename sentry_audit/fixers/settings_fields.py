"""Sentry's fields of settings classes: added where they lack, and given to init."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from sentry_audit.facts import SdkInit
from sentry_audit.fixers._code import analysed, plural, source_of, with_argument
from sentry_audit.fixers._settings import FIELDS, Held, field_name, gap, new_fields, object_name
from sentry_audit.fixers._source import splice
from sentry_audit.fixers._style import nullable
from sentry_audit.fixing import Change, Edit, Refusal
from sentry_audit.python.config import ENABLED_FIELD

if TYPE_CHECKING:
    from sentry_audit.fixers._source import Splice
    from sentry_audit.fixing import Case
    from sentry_audit.python.module import Module
    from sentry_audit.python.values import Scope


def add_dsn(case: Case) -> Change | Refusal:
    """A field for the DSN."""
    return _add(case, "dsn")


def add_environment(case: Case) -> Change | Refusal:
    """A field for the environment's name."""
    return _add(case, "environment")


def add_enabled(case: Case) -> Change | Refusal:
    """A field for the switch that init asks for; on, so that the DSN decides."""
    condition = " ".join(fact.condition for fact in case.facts if isinstance(fact, SdkInit))
    match = ENABLED_FIELD.search(condition)
    name = re.search(rf"\w*{re.escape(match[0])}\w*", condition) if match else None
    return _add(case, "enabled", name[0] if name else "")


def _add(case: Case, option: str, name: str = "") -> Change | Refusal:
    found = gap(case)
    if isinstance(found, Refusal):
        return found
    _, cls = found
    field = name or field_name(cls, option)
    if not analysed(case).reached and not object_name(cls):
        return Refusal(
            reason=f"nothing initialises Sentry yet, and {cls.ref.node.name} has no object that an init could read"
        )
    splices = new_fields(case, cls, (option,), name)
    if splices is None:
        where = f"{cls.module.path}:{cls.ref.node.lineno}"
        return Refusal(
            reason=f"how {cls.ref.node.name} ({where}) is filled is not certain: give it {field}",
            commands=(f"{field}: {nullable(source_of(cls.module))} = None",),
        )
    by_file: dict[str, tuple[Module, list[Splice]]] = {cls.module.path: (cls.module, splices)}
    given = _given(case, cls, option, field)
    if given is not None:
        by_file.setdefault(given[0].path, (given[0], []))[1].append(given[1])
    return Change(
        summary=f"will add {field} to {cls.ref.node.name} in {cls.module.path}{' and give it to init' if given else ''}",
        safety="review" if given else "safe",
        edits=tuple(Edit(path, splice(module.text, made)) for path, (module, made) in by_file.items()),
    )


def _given(case: Case, cls: Held, option: str, field: str) -> tuple[Module, Splice] | None:
    """The argument by which an init that reads the settings object is given the field as well."""
    for item in analysed(case).reached:
        base = _base_in(case, item.init.options, cls)
        if base and option in {"dsn", "environment"} and option not in item.init.options and not item.init.open:
            source = source_of(item.init.module)
            return item.init.module, with_argument(source, item.init.call, f"{option}={base}.{field}")
    return None


def use(case: Case) -> Change | Refusal:
    """The field given to init, which reads others of the same object."""
    found = gap(case)
    if isinstance(found, Refusal):
        return found
    fact, cls = found
    options = {field: option for option, (name, _, _) in FIELDS.items() for field in (name, name.upper())}
    options |= {f"sentry_{name}": name for name in ("sample_rate", "profiles_sample_rate", "debug", "server_name")}
    code = analysed(case)
    for item in code.reached:
        base = _base_in(case, item.init.options, cls)
        known = [name for name in fact.unused if options.get(name, "enabled") != "enabled"]
        free = [name for name in known if options[name] not in item.init.options]
        if not base or not free or item.init.open:
            continue
        source = source_of(item.init.module)
        added = with_argument(source, item.init.call, f"{options[free[0]]}={base}.{free[0]}")
        return Change(
            summary=f"will give {free[0]} to init in {item.init.module.path}",
            edits=(Edit(item.init.module.path, splice(source.text, [added])),),
        )
    return Refusal(
        reason=f"what {plural(fact.unused)} of {cls.ref.node.name} should do is not certain: pass it to init, or remove it"
    )


def _base_in(case: Case, options: dict[str, tuple[ast.expr, Scope]], cls: Held) -> str:
    """The expression by which init's options read the settings object."""
    resolver = analysed(case).resolver
    for given, scope in options.values():
        expression = _unwrapped(given)
        if isinstance(expression, ast.Attribute):
            value = resolver.value(expression.value, scope)
            nodes = [leaf.cls.node for leaf in value.leaves() if leaf.cls is not None]
            names = {item.node.name for item in cls.family.classes}
            if cls.ref.node in nodes or any(node.name in names for node in nodes):
                return ast.unparse(expression.value)
    return ""


def _unwrapped(expression: ast.expr) -> ast.expr:
    """``settings.SENTRY_DSN`` of ``str(settings.SENTRY_DSN)``, which pydantic's types of addresses need."""
    if isinstance(expression, ast.Call) and len(expression.args) == 1 and ast.unparse(expression.func) == "str":
        return expression.args[0]
    return expression


FIXERS = {
    "config-dsn-field": add_dsn,
    "config-environment-field": add_environment,
    "config-enabled-field": add_enabled,
    "config-fields-used": use,
}
