"""One more entry in the list or map that ``for_each`` makes secrets of, where that is written out in the module.

https://developer.hashicorp.com/terraform/language/meta-arguments/for_each: a set of texts, whose key and value are the
same, or a map.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.fixers.texts import indent_at

if TYPE_CHECKING:
    from sentry_audit.deployment.terraform_syntax import Block
    from sentry_audit.fixers.definitions import Placed
    from sentry_audit.fixers.terraform_secrets import Module

_ID = re.compile(r'each\.(key|value)|"([\w-]*)\$\{each\.(key|value)\}([\w-]*)"')
_OPENS = r"(?:toset|tolist)?\(?\s*([\[{])"
_ENTRY = re.compile(r'[ \t]*("?)([\w-]+)\1([ \t]*)(=|:)([ \t]*)([^\n]*?)[ \t]*,?[ \t]*(?:(?:#|//)[^\n]*)?\Z')


class _Literal(Struct, frozen=True):
    """A list or a map as it is written: where what is in its brackets begins and ends."""

    path: str
    begin: int
    end: int
    sort: str


def listed(module: Module, several: Block, name: str) -> tuple[str, Placed] | None:
    """What makes ``several`` create the secret ``name`` too: (its key, what is put where); None if that is not known."""
    attributes = several.attributes
    match = _ID.fullmatch(attributes["secret_id"].text if "secret_id" in attributes else "")
    if match is None:
        return None
    before, after = match[2] or "", match[4] or ""
    if not (name.startswith(before) and name.endswith(after) and len(name) > len(before) + len(after)):
        return None
    entry = name[len(before) : len(name) - len(after)]
    found = _literal(module, several, attributes["for_each"].text)
    if found is None:
        return None
    if found.sort == "[":
        return _in_list(module, found, entry)
    return _in_map(module, found, entry, by=match[1] or match[3])


def _literal(module: Module, several: Block, text: str) -> _Literal | None:
    """The list or map that an expression is, or that the local or the variable holds which it names."""
    if match := re.match(_OPENS, text):
        return _closed(module, several.path, module.text(several.path).index(text, module.begin(several)), match)
    named = re.fullmatch(r"(?:toset\(\s*)?(local|var)\.(\w+)\s*\)?", text)
    if named is None or (named[1] == "var" and _is_given(module, named[2])):
        return None
    for item in module.blocks():
        if item.kind == "locals" and named[1] == "local":
            word = named[2]
        elif item.kind == "variable" and named[1] == "var" and item.labels == (named[2],):
            word = "default"
        else:
            continue
        match = re.search(rf"(?m)^[ \t]*{word}[ \t]*=\s*{_OPENS}", item.source.text)
        if match:
            return _closed(module, item.path, module.begin(item), match)
    return None


def _is_given(module: Module, variable: str) -> bool:
    """Whether some file gives a variable its value: then its default counts for nothing there."""
    texts = (module.case.files.text(path) or "" for path in module.case.files.paths.of(".tfvars"))
    return any(re.search(rf"(?m)^[ \t]*{variable}[ \t]*=", text) for text in texts)


def _closed(module: Module, path: str, base: int, match: re.Match[str]) -> _Literal | None:
    """The brackets that ``match`` opens, if what is in them is written out."""
    whole, begin = module.text(path), base + match.end()
    depth = 1
    for token in re.finditer(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*|//[^\n]*|[\[{(\]})]', whole[begin:]):
        depth += 1 if token[0] in "[{(" else -1 if token[0] in "]})" else 0
        if not depth:
            inner = whole[begin : begin + token.start()]
            return None if re.match(r"\s*for\s", inner) else _Literal(path, begin, begin + token.start(), match[1])
    return None


def _in_list(module: Module, found: _Literal, entry: str) -> tuple[str, Placed] | None:
    whole = module.text(found.path)
    inner = whole[found.begin : found.end]
    names = list(re.finditer(r'"([^"\n]+)"', inner))
    if not names or re.search(r"[\[{(]", inner):
        return None
    key = "SENTRY_DSN" if all(item[1].isupper() for item in names) else entry
    last = found.begin + names[-1].end()
    broken = "\n" in whole[found.begin : found.begin + names[0].start()]
    return key, [(found.path, (last, f',\n{indent_at(whole, last)}"{key}"' if broken else f', "{key}"'))]


def _in_map(module: Module, found: _Literal, entry: str, by: str) -> tuple[str, Placed] | None:
    """An entry like the last one, of a map whose entries are all alike and each on a line (or alone in one)."""
    whole = module.text(found.path)
    inner = whole[found.begin : found.end]
    rows = [(row.start(), row[0]) for row in re.finditer(r"[^\r\n]+", inner) if row[0].strip()]
    rows = [(at, row) for at, row in rows if not row.lstrip().startswith(("#", "//"))]
    entries = [(at, match) for at, row in rows if (match := _ENTRY.fullmatch(row))]
    if not entries or len(entries) != len(rows) or any("," in match[6] for _, match in entries):
        return None
    at, last = entries[-1]
    values = {match[6] for _, match in entries}
    if by == "value":
        if not all(re.fullmatch(r'"[^"\n]*"', value) for value in values):
            return None
        dashed = all("-" in match[2] for _, match in entries)
        key, value = ("sentry-dsn" if dashed else "sentry_dsn"), f'"{entry}"'
    elif len(values) == 1:
        key, value = entry, last[6]
    else:
        return None
    word = f'"{key}"' if last[1] or not re.fullmatch(r"[A-Za-z_][\w-]*", key) else key
    width = len(last[1] * 2 + last[2] + last[3])
    gap = " " * max(width - len(word), 1) if last[3] else ""
    made = f"{word}{gap}{last[4]}{last[5]}{value}"
    place = found.begin + at + last.end(6)
    if "\n" not in inner:
        return key, [(found.path, (place, f", {made}"))]
    comma = "," if last[0][last.end(6) :].lstrip().startswith(",") else ""
    return key, [(found.path, (place + len(comma), f"\n{indent_at(whole, place)}{made}{comma}"))]
