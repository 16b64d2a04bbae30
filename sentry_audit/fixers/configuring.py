"""A value read the way that the project reads its configuration: a field of its settings class."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from sentry_audit.fixers._settings import like_field
from sentry_audit.fixers.common import source_of

if TYPE_CHECKING:
    from sentry_audit.fixers.pysource import Source
    from sentry_audit.fixing import Case
    from sentry_audit.python.inits import InitCall
    from sentry_audit.python.module import Module

_DSN = re.compile(r"(?i)^(sentry_?)dsn(?:_url)?$")


def field_for_rate(
    case: Case, source: Source, init: InitCall, variable: str, default: str
) -> tuple[str, list[Source]] | None:
    """The expression that reads ``variable`` from the settings that give init its DSN, and the files changed for it.

    Only a pydantic settings class does, whose field ``sentry_dsn`` is filled by its name: the new field stands below it.
    None where the project does not read its DSN so.
    """
    given = init.options.get("dsn")
    if given is None or not isinstance(given[0], ast.Attribute):
        return None
    node = given[0]
    if not _DSN.match(node.attr) or given[1].module is not source.module:
        return None
    found = _settings_class(case, node.attr)
    if found is None:
        return None
    module, field = found
    name = variable if node.attr.isupper() else variable.lower()
    owner = module.class_of(field)
    assert owner is not None
    expression = f"{ast.unparse(node.value)}.{name}"
    present = [item for item in owner.body if isinstance(item, ast.AnnAssign) and ast.unparse(item.target) == name]
    if present:
        return (expression, []) if ast.unparse(present[0].annotation) == "float" else None
    target = source if module.path == source.module.path else source_of(case, module.path)
    if target is None:
        return None
    target.after(field, [f"{name}: float = {like_field(field.value, default)}"])
    return expression, [target]


def _settings_class(case: Case, attribute: str) -> tuple[Module, ast.AnnAssign] | None:
    """The one field ``attribute`` of a pydantic settings class of the component, if its name fills it."""
    found: list[tuple[Module, ast.AnnAssign]] = []
    for path in case.files.search(["BaseSettings"], ".py"):
        module = case.program.module(path) if case.component.holds(path) else None
        for owner in module.classes if module is not None else ():
            assert module is not None
            if not any(ast.unparse(base).rsplit(".", 1)[-1] == "BaseSettings" for base in owner.bases):
                continue
            # With a prefix the variable would be another one: that is for a person to name.
            if re.search(r"env_prefix\s*=\s*[\"'](?![\"'])", ast.unparse(owner)):
                return None
            for item in owner.body:
                if isinstance(item, ast.AnnAssign) and ast.unparse(item.target) == attribute:
                    found.append((module, item))
    if len(found) != 1 or "alias" in ast.unparse(found[0][1]):
        return None
    return found[0]
