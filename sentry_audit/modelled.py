"""Files of ours that follow a model: what is wrong with one, and its JSON Schema.

A model is a msgspec Struct whose fields are annotated with ``said``: one place for a key's type, its description, an
example, and the words for a value that cannot be meant. A Struct with ``OTHERS`` also takes keys that the user names,
each with a value of that model.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Meta, Struct, inspect, structs

from sentry_audit.errors import nearest
from sentry_audit.positions import Wrong, told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sentry_audit.positions import Path

#: A text that YAML reads as itself without quotes; a date does for us.
_PLAIN = re.compile(
    r"(?!(?:true|false|null|yes|no|on|off|\.inf|\.nan|0x[0-9a-f]+|[\d_.:]*\d[\d_.:]*(?:e\d+)?)$)"
    r"[A-Za-z0-9_./][\w ./*…-]*(?::[\w./-]+)*(?<! )",
    re.IGNORECASE,
)
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def said(description: str, example: object, wrong: str = "", hint: str = "") -> Meta:
    """What is to be known of a key.

    ``wrong`` is said of a value that cannot be meant; it may name ``{where}`` (the way to the value), ``{parent}``,
    ``{key}``, ``{value}`` and ``{type}``. ``hint`` says what to write, when the example is not enough.
    """
    return Meta(description=description, examples=[example], extra={"wrong": wrong, "hint": hint})


def pattern(text: str) -> Meta:
    """A text has to match it. msgspec's own patterns crash its inspection when lists share them (0.22)."""
    return Meta(extra_json_schema={"pattern": text})


def flow(value: object) -> str:
    """``value`` in one line, as YAML's flow style has it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def mistakes(model: type[Struct], data: Any, path: Path = (), example: str = "") -> Iterator[Wrong]:
    """Everything in ``data`` that ``model`` does not take, from top to bottom.

    ``path`` is where ``data`` stands in its file, ``example`` what would be right there.
    """
    shape = fields(model)
    others: type[Struct] | None = getattr(model, "OTHERS", None)
    refused: dict[str, tuple[str, str]] = getattr(model, "REFUSED", {})
    where = f"{told(path)}: " if path else ""
    keys = f"the keys are: {', '.join(shape)}"
    if not isinstance(data, dict):
        if example and path and isinstance(path[-1], str):
            yield Wrong(path, f"{told(path)} must be a mapping, not {type(data).__name__}", example)
        else:
            yield Wrong(path, f"{where}expected a mapping, found {type(data).__name__}", keys)
        return
    strange = [key for key in data if key not in shape]
    for key, field in shape.items():
        if field.required and key not in data and not nearest(key, strange, ""):
            yield Wrong(path, f"{where}{key!r} is missing", example or keys)
    for key, value in data.items():
        if key in shape:
            yield from _in_field(shape[key], value, (*path, key))
        elif key in refused:
            message, hint = refused[key]
            yield Wrong((*path, key), message.format(where=told((*path, key))), hint)
        elif others is not None and isinstance(value, dict):
            yield from mistakes(others, value, (*path, str(key)))
        else:
            yield Wrong((*path, str(key)), f"{where}unknown key {key!r}", nearest(key, shape, example or keys))


@cache
def fields(model: type[Struct]) -> dict[str, structs.FieldInfo]:
    """The keys that ``model`` takes, in its order."""
    return {field.encode_name: field for field in structs.fields(model)}


def _in_field(field: structs.FieldInfo, value: Any, path: Path) -> Iterator[Wrong]:
    choices = tuple(_choices(inspect.type_info(field.type)))
    words, example = said_of(field)
    hint = words.get("hint") or f"for example: {field.encode_name}: {flow(example)}"
    if value is None and any(isinstance(item, inspect.NoneType) for item in choices):
        return
    table = next((item.cls for item in choices if isinstance(item, inspect.StructType)), None)
    entry = next((item for item in _items(choices) if isinstance(item, inspect.StructType)), None)
    if table is not None:
        yield from mistakes(table, value, path, hint)
    elif entry is not None and isinstance(value, list):
        for index, item in enumerate(value):
            yield from mistakes(entry.cls, item, (*path, index), hint)
    elif not _fits(field, value):
        message = words.get("wrong") or "{where} must be a text, not {type}"
        if isinstance(value, str) and not value.strip():
            message = "{where} is empty"
        names = {"where": told(path), "parent": told(path[:-1]), "key": path[-1]}
        yield Wrong(path, message.format(**names, value=repr(str(value)), type=type(value).__name__), hint)


def said_of(field: structs.FieldInfo) -> tuple[dict[str, str], object]:
    """The words for what is wrong with the value of a key, and the example of a right one."""
    for item in _parts(inspect.type_info(field.type)):
        if isinstance(item, inspect.Metadata) and item.extra is not None:
            return item.extra, (item.extra_json_schema or {})["examples"][0]
    return {}, ""


def _parts(kind: inspect.Type) -> Iterator[inspect.Type]:
    """A type, what it is annotated with, and each choice of a union."""
    yield kind
    if isinstance(kind, inspect.Metadata):
        yield from _parts(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for item in kind.types:
            yield from _parts(item)


def _choices(kind: inspect.Type) -> Iterator[inspect.Type]:
    return (item for item in _parts(kind) if not isinstance(item, inspect.Metadata | inspect.UnionType))


def _items(choices: Iterable[inspect.Type]) -> Iterator[inspect.Type]:
    return (inner for item in choices if isinstance(item, inspect.ListType) for inner in _choices(item.item_type))


def _fits(field: structs.FieldInfo, value: Any) -> bool:
    try:
        msgspec.convert(value, field.type)
    except msgspec.ValidationError:
        return False
    return _matches(inspect.type_info(field.type), value)


def _matches(kind: inspect.Type, value: Any, pattern: str = "") -> bool:
    """Whether the texts of ``value`` follow their patterns."""
    match kind:
        case inspect.LiteralType():
            return value in kind.values
        case inspect.Metadata():
            return _matches(kind.type, value, (kind.extra_json_schema or {}).get("pattern", pattern))
        case inspect.UnionType():
            return any(_matches(item, value, pattern) for item in kind.types)
        case inspect.StrType():
            return isinstance(value, str) and re.search(pattern, value) is not None
        case inspect.ListType():
            return isinstance(value, list) and all(_matches(kind.item_type, item) for item in value)
        case inspect.DictType():
            return isinstance(value, dict) and all(_matches(kind.value_type, item) for item in value.values())
    return not isinstance(value, str | list | dict)


def schema(model: type[Struct], title: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of the files that follow ``model``."""
    named = {kind.__name__: kind for kind in _models(model)}
    _, tables = msgspec.json.schema_components(named.values(), ref_template="#/$defs/{name}")
    for name, table in tables.items():
        table.pop("title", None)
        table["description"] = " ".join(table["description"].split()).replace("``", "`")
        others: type[Struct] | None = getattr(named[name], "OTHERS", None)
        table["additionalProperties"] = {"$ref": f"#/$defs/{others.__name__}"} if others else False
        for key, field in fields(named[name]).items():
            table["properties"][key] = _property(table["properties"][key], field)
    top = tables.pop(model.__name__)
    return {"$schema": _DIALECT, "title": title, **top, "$defs": tables}


def _property(made: dict[str, Any], field: structs.FieldInfo) -> dict[str, Any]:
    """What msgspec made of a field, with what is said of it beside the choices: editors show it only there."""
    told_of = {}
    for item in _parts(inspect.type_info(field.type)):
        if isinstance(item, inspect.Metadata) and item.extra is not None:
            known = item.extra_json_schema or {}
            told_of = {key: known[key] for key in ("description", "examples")}
    bare = {key: value for key, value in made.items() if key not in {"default", *told_of}}
    if "anyOf" in bare:
        bare["anyOf"] = [
            {key: value for key, value in choice.items() if key not in told_of} for choice in bare["anyOf"]
        ]
    return {**told_of, **bare}


def _models(model: type[Struct]) -> Iterator[type[Struct]]:
    yield model
    if others := getattr(model, "OTHERS", None):
        yield from _models(others)
    for field in fields(model).values():
        choices = tuple(_choices(inspect.type_info(field.type)))
        for item in (*choices, *_items(choices)):
            if isinstance(item, inspect.StructType):
                yield from _models(item.cls)
