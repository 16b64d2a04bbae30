"""Texts, lists and mappings that a Python script builds, as far as they stand in it; the rest is ``${name}``."""

from __future__ import annotations

import ast
import re
import shlex

_DEPTH = 12
_GCLOUD = re.compile(r"_?gcloud(?:_?(?:cmd|command|bin|binary|path|exe|executable))?", re.IGNORECASE)
#: Name → the values it is given; ``.name`` is an attribute of that name (``self.env``, ``args.env``).
Scope = dict[str, list[ast.expr]]
_CLOSED = (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.JoinedStr, ast.BinOp)


def split(text: str) -> list[str]:
    """The words of a command line."""
    try:
        return shlex.split(text.replace("\\\n", " "))
    except ValueError:
        return text.split()


def values(name: str, scopes: list[Scope]) -> list[ast.expr]:
    """What a name is given, in the innermost scope that knows it."""
    return next((scope[name] for scope in reversed(scopes) if name in scope), [])


def resolve(node: ast.expr, scopes: list[Scope], depth: int = 0) -> ast.expr | None:
    """The expression that a name, an entry of a mapping, or a field of an object stands for; None if it is not known."""
    if depth > _DEPTH:
        return None
    match node:
        case ast.Name(id=name):
            found = values(name, scopes)
            return resolve(found[0], scopes, depth + 1) if len(found) == 1 else None
        case ast.Subscript(value=owner, slice=key):
            return _entry(owner, key, scopes, depth)
        case ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[key, *_]):
            return _entry(owner, key, scopes, depth)
        case ast.Call(func=ast.Name(id=name)):
            return node if name == "dict" or values(f"class {name}", scopes) else None
        case ast.Call(func=ast.Attribute(attr="join")):
            return node
        case ast.Attribute(value=owner, attr=name):
            made = resolve(owner, scopes, depth + 1) if isinstance(owner, ast.Name | ast.Subscript) else None
            if isinstance(made, ast.Call) and isinstance(made.func, ast.Name):
                return _field(made, name, scopes, depth)
            found = values(f".{name}", scopes)
            return resolve(found[0], scopes, depth + 1) if len(found) == 1 else None
    return node if isinstance(node, _CLOSED) else None


def _entry(owner: ast.expr, key: ast.expr, scopes: list[Scope], depth: int) -> ast.expr | None:
    wanted = text(key, scopes, depth + 1)
    for name, value in pairs(owner, scopes, depth + 1) or ():
        if text(name, scopes, depth + 1) == wanted:
            return resolve(value, scopes, depth + 1)
    return None


def _field(call: ast.Call, name: str, scopes: list[Scope], depth: int) -> ast.expr | None:
    """The field of an object that the script makes: ``Config(env="staging")``, the fields of the class in order."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if isinstance(call.func, ast.Name):
        for key, value in zip(values(f"class {call.func.id}", scopes), call.args, strict=False):
            given.setdefault(key.id if isinstance(key, ast.Name) else None, value)
        if name not in given:
            found = values(f"{call.func.id}.{name}", scopes)
            return resolve(found[0], scopes, depth + 1) if len(found) == 1 else None
    return resolve(given[name], scopes, depth + 1) if name in given else None


def pairs(node: ast.expr, scopes: list[Scope], depth: int = 0) -> list[tuple[ast.expr, ast.expr]] | None:
    """The entries of a mapping: a literal with ``**`` of others, ``dict(…)``, ``a | b``; None if it is none."""
    if depth > _DEPTH:
        return None
    if isinstance(node, ast.Name) and len(found := values(node.id, scopes)) > 1:
        tables = [table for value in found if (table := pairs(value, scopes, depth + 1)) is not None]
        return [entry for table in tables for entry in table] or None
    resolved = resolve(node, scopes, depth) if not isinstance(node, ast.Dict) else node
    match resolved:
        case ast.Dict(keys=keys, values=entries):
            found_pairs: list[tuple[ast.expr, ast.expr]] = []
            for key, value in zip(keys, entries, strict=True):
                found_pairs += [(key, value)] if key is not None else pairs(value, scopes, depth + 1) or []
            return found_pairs
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return [*(pairs(left, scopes, depth + 1) or []), *(pairs(right, scopes, depth + 1) or [])] or None
        case ast.Call(func=ast.Name(id="dict"), args=args, keywords=keywords):
            table = [entry for item in args for entry in pairs(item, scopes, depth + 1) or []]
            for keyword in keywords:
                if keyword.arg is None:
                    table += pairs(keyword.value, scopes, depth + 1) or []
                else:
                    table.append((ast.Constant(keyword.arg), keyword.value))
            return table
    return None


def words(node: ast.expr, scopes: list[Scope], depth: int = 0) -> list[str]:
    """A list expression as words; what is not known is a word ``$name``."""
    if depth > _DEPTH:
        return []
    match node:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [word for item in items for word in _item(item, scopes, depth)]
        case ast.Name(id=name):
            return [word for value in values(name, scopes) for word in words(value, scopes, depth + 1)]
        case ast.Subscript() | ast.Attribute():
            found = resolve(node, scopes, depth + 1)
            return words(found, scopes, depth + 1) if found is not None else []
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [*words(left, scopes, depth + 1), *words(right, scopes, depth + 1)]
        case ast.Call(func=ast.Attribute(value=owner, attr="split"), args=arguments):
            line = arguments[0] if isinstance(owner, ast.Name) and owner.id == "shlex" and arguments else owner
            return split(text(line, scopes, depth + 1))
        case ast.ListComp() | ast.GeneratorExp():
            return joined(node, scopes, depth + 1)
    return []


def _item(node: ast.expr, scopes: list[Scope], depth: int) -> list[str]:
    return words(node.value, scopes, depth + 1) if isinstance(node, ast.Starred) else [text(node, scopes, depth)]


def text(node: ast.expr, scopes: list[Scope], depth: int = 0) -> str:
    """A string expression, its unknown parts as ``$name``."""
    if depth > _DEPTH:
        return ""
    match node:
        case ast.Constant(value=str() as value):
            return value
        case ast.Constant(value=value):
            return str(value)
        case ast.JoinedStr(values=parts):
            return "".join(text(part, scopes, depth + 1) for part in parts)
        case ast.FormattedValue(value=value):
            return text(value, scopes, depth + 1)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return text(left, scopes, depth + 1) + text(right, scopes, depth + 1)
        case ast.Name(id=name):
            if _GCLOUD.fullmatch(name):
                return "gcloud"  # where it is installed does not matter
            found = values(name, scopes)
            return text(found[0], scopes, depth + 1) if len(found) == 1 and _is_text(found[0]) else f"${{{name}}}"
        case ast.Call(func=ast.Attribute(value=separator, attr="join"), args=[argument]):
            return text(separator, scopes, depth + 1).join(joined(argument, scopes, depth + 1))
        case ast.Call(func=ast.Name(id="str"), args=[argument]):
            return text(argument, scopes, depth + 1)
        case ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str() as name)):
            entry = resolve(node, scopes, depth + 1)
            return text(entry, scopes, depth + 1) if entry is not None and _is_text(entry) else f"${{{name}}}"
        case ast.Subscript() | ast.Call(func=ast.Attribute(attr="get")):
            entry = resolve(node, scopes, depth + 1)
            return (
                text(entry, scopes, depth + 1) if entry is not None and entry is not node and _is_text(entry) else "$_"
            )
    return "$_"


def _is_text(node: ast.expr) -> bool:
    return not isinstance(node, ast.List | ast.Dict | ast.Set | ast.Tuple)


def joined(node: ast.expr, scopes: list[Scope], depth: int) -> list[str]:
    """What ``",".join(…)`` joins: a list, or ``f"{k}={v}" for k, v in VARIABLES.items()``."""
    if not isinstance(node, ast.GeneratorExp | ast.ListComp):
        return words(node, scopes, depth)
    generator = node.generators[0]
    found = [
        text(node.elt, [*scopes, inner], depth + 1)
        for inner in each(generator.target, generator.iter, scopes, depth) or ()
    ]
    return found or ["$_"]


def each(target: ast.expr, source: ast.expr, scopes: list[Scope], depth: int = 0) -> list[Scope] | None:
    """What the names of a loop are in each round, if what it runs over stands in the script."""
    call = source if isinstance(source, ast.Call) and isinstance(source.func, ast.Attribute) else None
    view = call.func.attr if call is not None and isinstance(call.func, ast.Attribute) else ""
    owner = (
        call.func.value
        if call is not None and view in {"items", "keys", "values"} and isinstance(call.func, ast.Attribute)
        else source
    )
    table = pairs(owner, scopes, depth + 1)
    if table is not None:
        if isinstance(target, ast.Tuple) and len(target.elts) == 2 and view == "items":
            names = [item.id if isinstance(item, ast.Name) else "" for item in target.elts]
            return [dict(zip(names, ([key], [value]), strict=True)) for key, value in table]
        if isinstance(target, ast.Name) and view != "items":
            return [{target.id: [value if view == "values" else key]} for key, value in table]
        return None
    items: list[ast.expr] = []
    for value in values(source.id, scopes) if isinstance(source, ast.Name) else [resolve(source, scopes, depth + 1)]:
        listed = resolve(value, scopes, depth + 1) if value is not None else None
        if not isinstance(listed, ast.List | ast.Tuple | ast.Set):
            return None
        items += listed.elts
    if isinstance(target, ast.Name):
        return [{target.id: [item]} for item in items] or None
    if isinstance(target, ast.Tuple) and all(
        isinstance(item, ast.Tuple) and len(item.elts) == len(target.elts) for item in items
    ):
        names = [item.id if isinstance(item, ast.Name) else "" for item in target.elts]
        return [
            {name: [part] for name, part in zip(names, item.elts, strict=True)}
            for item in items
            if isinstance(item, ast.Tuple)
        ]
    return None
