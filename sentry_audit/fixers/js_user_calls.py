"""What the fixers of ``setUser`` share: how the call is written in a file, which field is the id, which files run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.javascript.names import COMPONENTS
from sentry_audit.javascript.packages import is_browser_sdk
from sentry_audit.javascript.syntax import text_of, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.fixers.js_imports import Imports
    from sentry_audit.fixers.js_web import Patch
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.syntax import Source

#: Fields that hold an id, the usual first.
KEYS = ("id", "uid", "_id", "userId", "user_id", "sub")
#: (the package, the type, the field that is the user's id, as code of a value of the type).
_KNOWN = {("firebase/auth", "User"): "uid", ("@supabase/supabase-js", "User"): "id"}


def setter(imports: Imports, analysis: Analysis) -> str:
    """How a file calls the SDK's ``setUser``; by another name where it has a ``setUser`` of its own."""
    source = imports.patch.source
    known = source.imports
    for local, item in known.items():
        if is_browser_sdk(item.module) and item.name in {"*", "default"}:
            return f"{local}.setUser"
        if is_browser_sdk(item.module) and item.name == "setUser":
            return local
    own = re.search(r"(?<![\w.$])setUser\b", source.text)
    if own and any(is_browser_sdk(item.module) for item in known.values()):
        return imports.aliased(analysis.package, "setUser", "setSentryUser")
    return imports.of(analysis.package, "setUser")


def running(analysis: Analysis, tokens: Sequence[str]) -> Iterator[Source]:
    """The parsed files with one of ``tokens`` that browsers load, the ones nearest to what is loaded first in front."""
    found = []
    for path in analysis.files.among(analysis.loading.code, tokens):
        if path.endswith(COMPONENTS) or not analysis.frontend.within(path):
            continue
        way = analysis.loading.way(path)
        source = analysis.source(path) if way is not None else None
        if way is not None and source is not None:
            found.append((len(way), path, source))
    yield from (source for _, _, source in sorted(found, key=lambda item: item[:2]))


def id_of(analysis: Analysis, source: Source, name: str, annotation: str) -> str:
    """The field of ``name`` that is the user's id: by its type, else by what code reads of it; ``""`` if neither tells."""
    types = [part for part in re.findall(r"[A-Z]\w*", annotation) if part not in {"Partial", "Readonly"}]
    if types:
        local = types[0]
        known = source.imports.get(local)
        if known is not None and (known.module, known.name) in _KNOWN:
            return _KNOWN[known.module, known.name]
        path = analysis.loading.locate(known.module, source.path) if known is not None else None
        owner = analysis.source(path) if path is not None else None
        kind = known.name if known is not None and known.name != "default" else local
        if fields := _fields(owner or source, kind):
            return next((key for key in KEYS if key in fields), "")
    texts = (analysis.files.text(path) or "" for path in analysis.files.among(analysis.loading.code, (name,)))
    read = {match for text in texts for match in re.findall(rf"(?<![\w$]){re.escape(name)}[?!]?\.([\w$]+)", text)}
    return next((key for key in KEYS if key in read), "")


def _fields(source: Source, kind: str) -> set[str]:
    """The fields of an interface or of a type that is an object; empty for any other."""
    for node in walk(source.root):
        if node.type in {"interface_declaration", "type_alias_declaration"}:
            if text_of(node.child_by_field_name("name")) == kind:
                body = node.child_by_field_name("body") or node.child_by_field_name("value")
                parts = body.named_children if (body is not None and "type" in body.type) or body is not None else []
                return {
                    text_of(part.child_by_field_name("name")) for part in parts if part.type == "property_signature"
                }
    return set()


def statement(patch: Patch, call: str, subject: str, key: str) -> str:
    """``Sentry.setUser(user ? { id: user.id } : null);`` in the style of a file."""
    value = "{ id }" if subject == "id" else f"{{ id: {subject}.{key} }}"
    return f"{call}({subject} ? {value} : null){patch.style.semicolon}"


def component_name(function: Any) -> str:
    """The name of a function that renders: a component; ``""`` if it is none."""
    named = function.child_by_field_name("name")
    parent = function.parent
    if named is None and parent is not None and parent.type == "variable_declarator":
        named = parent.child_by_field_name("name")
    name = text_of(named)
    return name if name[:1].isupper() else ""
