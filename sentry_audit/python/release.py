"""Which release the events of a reached init are labelled with."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.facts import Release
from sentry_audit.releases import is_constant, made_from

if TYPE_CHECKING:
    from sentry_audit.python.analysis import Analysed, Reached
    from sentry_audit.python.values import Scope


def release(analysed: Analysed, item: Reached) -> Release:
    """The release that events carry, as far as the code says: what its variables hold is for the environment to say.

    Source: sentry_sdk/utils.py ``get_default_release``: SENTRY_RELEASE, git, then platform variables.
    """
    name = analysed.name
    code = item.init.options.get("release")
    value = item.option("release", analysed.resolver)
    values = [analysed.resolver.value(node, code[1]) for node in _assigned(*code)] if code is not None else []
    values = values or ([value] if value is not None else [])
    leaves = [leaf for each in values for leaf in each.leaves()]
    leaves = [leaf for leaf in leaves if leaf.kind != "literal" or leaf.literal is not None]
    if not leaves:
        return Release(component=name, variables=("SENTRY_RELEASE",), evidence=(item.init.evidence,))
    evidence = tuple(dict.fromkeys((item.init.evidence, *(place_ for leaf in leaves for place_ in leaf.trail))))
    shown = code[1].module.source(code[0], 60) if code is not None else ""
    if len(leaves) == 1 and leaves[0].kind == "literal" and isinstance(leaves[0].literal, str):
        text = leaves[0].literal
        if code is not None and isinstance(code[0], ast.Call) and is_constant(text):
            reason = f"what {shown} returns was not followed in all its branches"
            return Release(component=name, unknown=reason, evidence=evidence)
        problem = f"release is the constant {text!r}" if is_constant(text) else ""
        made = made_from(shown)
        return Release(
            component=name, is_set=not problem, source=shown, problem=problem, made_from=made, evidence=evidence
        )
    variables = tuple(dict.fromkeys(name for leaf in leaves for name in leaf.names))
    ends = [*leaves, *(leaf.default for leaf in leaves if leaf.default is not None)]
    texts = [leaf.literal for leaf in ends if isinstance(leaf.literal, str) and leaf.literal]
    other = any(leaf.kind not in {"env", "literal", "unfilled"} for leaf in leaves)
    if not texts and not other:
        variables = tuple(dict.fromkeys((*variables, "SENTRY_RELEASE")))  # None: the SDK looks further by itself
    return Release(
        component=name, is_set=other or bool(texts and not is_constant(texts[-1])), source=shown, variables=variables,
        constant=texts[-1] if texts else "", made_from=made_from(f"{shown} {' '.join(variables)}"), evidence=evidence,
    )  # fmt: skip


def _assigned(node: ast.expr, scope: Scope) -> list[ast.expr]:
    """What a name is given in its module, where that is more than once: any of it may be what is sent."""
    if not isinstance(node, ast.Name):
        return []
    found = [
        item.value
        for item in ast.walk(scope.function or scope.module.tree)
        if isinstance(item, ast.Assign | ast.AnnAssign) and item.value is not None
        for target in (item.targets if isinstance(item, ast.Assign) else [item.target])
        if isinstance(target, ast.Name) and target.id == node.id
    ]
    return found if len(found) > 1 else []
