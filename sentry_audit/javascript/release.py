"""The release that a browser's init is given: variables, constants, the version of a package; or left to the bundler's plugin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import Release
from sentry_audit.javascript.bundlers import resolved
from sentry_audit.javascript.syntax import text_of, walk
from sentry_audit.releases import is_constant, made_from

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sentry_audit.facts import Fact
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init
    from sentry_audit.javascript.values import Origin

_NOTHING = frozenset({"undefined", "null", "''", '""'})


def releases(analysis: Analysis, item: Init, options: Mapping[str, Any], spread: bool) -> Iterator[Fact]:
    """The release of one init, as far as the code says: what its variables hold is for the environment to say.

    Without a ``release``, browsers read no variable: only what a bundler's plugin puts in is left.
    """
    node = options.get("release")
    if node is None and spread:
        yield Release(
            unknown="whether init sets a release was not followed: options are spread in", evidence=(item.evidence,)
        )
        return
    if node is None or text_of(node) in _NOTHING:
        yield Release(evidence=(item.evidence,))
        return
    yield _given(analysis, item, node)


def _given(analysis: Analysis, item: Init, node: Any) -> Release:
    value = resolved(node, item.source)
    parts = [value]
    template = value.type == "template_string" and any(
        child.type == "template_substitution" for child in value.children
    )
    if template:
        parts = [part.named_children[0] for part in walk(value) if part.type == "template_substitution"]
    origins = [analysis.values.origin(part, item.source) for part in parts]
    variables = tuple(dict.fromkeys(name for origin in origins for name, _ in origin.variables))
    here = item.at(node, "release")
    evidence = tuple(dict.fromkeys((item.evidence, here, *(place for origin in origins for place in origin.trail))))
    text = text_of(node)
    source = made_from(f"{text} {' '.join(variables)} {_told(origins)}")
    if variables:
        last = origins[-1].literals[-1] if origins[-1].literals else ""
        constant = re.sub(r"\$\{[^}]*\}", last or "undefined", text.strip("`")) if template else last
        followed = not any(origin.unknown or origin.page for origin in origins)
        return Release(
            is_set=not followed or bool(constant and not is_constant(last)), source=text[:60], variables=variables,
            constant=constant, made_from=source, evidence=evidence,
        )  # fmt: skip
    literals = [literal for origin in origins for literal in origin.literals]
    if literals and not template and not any(origin.unknown or origin.page for origin in origins):
        same = is_constant(literals[0])
        problem = f"release is the constant {literals[0]!r}" if same else ""
        return Release(is_set=not same, source=f"the literal {literals[0]!r}", problem=problem, evidence=evidence)
    return Release(is_set=True, source=text[:60], made_from=source, evidence=evidence)


def _told(origins: list[Origin]) -> str:
    return " ".join(text for origin in origins for text in origin.unknown)
