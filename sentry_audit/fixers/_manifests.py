"""One requirement put into a manifest, as its neighbours are written: their order, bounds, quotes and line ends.

Each function gives the whole new text, or None where the file is not of a form that is edited mechanically.
"""

from __future__ import annotations

import ast
import re
import tomllib
from typing import TYPE_CHECKING, Any

from sentry_audit.fixers._source import Source, line_end, splice

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = re.compile(r"\s*([A-Za-z0-9][\w.-]*)")
_SDK = re.compile(
    r"(?i:sentry[-_.]sdk)(?:\s*\[[^\]]*\])?(?P<spec>\s*[<>=!~]+\s*[^;#\"'\\\s,]+(?:\s*,\s*[<>=!~]+\s*[^;#\"'\\\s,]+)*)?"
)


def bounds(neighbours: Sequence[str], floor: str, newest: str, major: int) -> str:
    """The version specifier in the style of most neighbours: pinned, compatible, or from ``floor`` to below ``major``."""
    written = [item for item in neighbours if item]
    pinned = sum(item.startswith("==") for item in written)
    compatible = sum(item.startswith("~=") for item in written)
    if written and pinned * 2 > len(written):
        return f"=={newest}"
    if written and compatible * 2 > len(written):
        return f"~={floor}"
    return f">={floor},<{major}"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_sorted(names: Sequence[str]) -> bool:
    plain = [_plain(name) for name in names]
    return len(plain) > 1 and plain == sorted(plain)


def _position(names: Sequence[str]) -> int:
    """Where sentry-sdk goes among ``names``: by the alphabet if they are in that order, else at the end."""
    if not _is_sorted(names):
        return len(names)
    return sum(_plain(name) < "sentry-sdk" for name in names)


def in_requirements(text: str, requirement: str) -> str | None:
    """A line of its own: by the alphabet where the file, or its first block, is in that order, else at the end."""
    end = line_end(text)
    rows = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text)
    listed = [index for index, row in enumerate(rows) if _is_requirement(rows, index)]
    names = [_NAME.match(rows[index])[1] for index in listed]  # type: ignore[index]
    place = _position(names)
    if sum(" >=" in rows[index] or " ==" in rows[index] for index in listed) * 2 > len(listed) > 0:
        requirement = re.sub(r"(?<=[\w\]])(?=[<>=~])", " ", requirement, count=1).replace(",", ", ")
    elif any(re.search(r"[\d*], *[<!]", rows[index]) and ", " in rows[index].split("#")[0] for index in listed):
        requirement = requirement.replace(",", ", ")
    if place < len(listed):
        index = listed[place]
        return "".join([*rows[:index], requirement + end, *rows[index:]])
    index = listed[-1] + 1 if listed else len(rows)
    while index < len(rows) and rows[index - 1].rstrip().endswith("\\"):
        index += 1
    if index == len(rows) and rows and not rows[-1].endswith(("\n", "\r")):
        return "".join([*rows, end, requirement])  # a file without a final line end stays one
    return "".join([*rows[:index], requirement + end, *rows[index:]])


def _is_requirement(rows: Sequence[str], index: int) -> bool:
    row = rows[index]
    continued = index > 0 and rows[index - 1].rstrip().endswith("\\")
    return bool(_NAME.match(row)) and not continued and "://" not in row.split("#")[0].split("@")[0]


def in_pyproject(text: str, requirement: str, extra: str, floor: str) -> str | None:
    """``project.dependencies`` (PEP 621), else Poetry's table; with tomlkit, which keeps everything else."""
    end = line_end(text)
    if end != "\n" and re.search(r"(?<!\r)\n", text):
        return None  # a mix of line ends could not be kept
    plain = text.replace(end, "\n")
    try:
        data = tomllib.loads(plain)
    except tomllib.TOMLDecodeError:
        return None
    project, poetry = data.get("project", {}), data.get("tool", {}).get("poetry", {})
    if isinstance(project.get("dependencies"), list):
        after = _in_array(plain, requirement)
        wanted: list[Any] = [*project["dependencies"], requirement]
        seen = tomllib.loads(after)["project"]["dependencies"]
        good = sorted(seen) == sorted(wanted)
    elif isinstance(poetry.get("dependencies"), dict):
        specifier = _poetry_version([*map(_version, poetry["dependencies"].values())], floor, requirement)
        after = _in_table(plain, ("tool", "poetry", "dependencies"), specifier, extra)
        seen = tomllib.loads(after)["tool"]["poetry"]["dependencies"]
        good = {name: value for name, value in seen.items() if name != "sentry-sdk"} == poetry["dependencies"]
    else:
        return None
    return after.replace("\n", end) if good else None


def _version(entry: object) -> str:
    return str(entry.get("version", "")) if isinstance(entry, dict) else str(entry)


def _poetry_version(neighbours: Sequence[str], floor: str, requirement: str) -> str:
    carets = sum(item.startswith("^") for item in neighbours[:])
    specifier = re.sub(r"^sentry-sdk(\[[^\]]*\])?", "", requirement)
    return f"^{floor}" if carets and not specifier.startswith("==") else specifier.removeprefix("==")


def _in_array(text: str, requirement: str) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    listed: Any = document["project"]["dependencies"]
    place = _position([re.split(r"[\s\[<>=!~;@]", str(item).strip(), maxsplit=1)[0] for item in listed])
    single = bool(listed) and all(item.as_string().startswith("'") for item in listed)
    item = tomlkit.string(requirement, literal=single)
    if not listed or "\n" not in listed.as_string():
        listed.insert(place, item)
        return tomlkit.dumps(document)
    # tomlkit moves comments when it inserts into several lines: there, one line is put in by its position
    array = listed.as_string()
    rows = array.split("\n")
    rest = rows[1:-1]
    starts = [index for index, row in enumerate(rest) if row.lstrip().startswith(('"', "'"))]
    if len(starts) != len(listed):
        listed.insert(place, item)
        return tomlkit.dumps(document)
    indent = rest[starts[0]][: len(rest[starts[0]]) - len(rest[starts[0]].lstrip())]
    row = f"{indent}{item.as_string()},"
    if place < len(starts):
        rest.insert(starts[place], row)
    else:
        last = starts[-1]
        value = listed[-1].as_string()
        tail = rest[last].lstrip()[len(value) :]
        if not tail.lstrip().startswith(","):
            rest[last] = f"{indent}{value},{tail}"
            row = row[:-1]
        rest.insert(last + 1, row)
    return text.replace(array, "\n".join([rows[0], *rest, rows[-1]]), 1)


def _in_table(text: str, keys: Sequence[str], specifier: str, extra: str) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    table: Any = document
    for name in keys:
        table = table[name]
    value: Any = specifier
    if extra:
        value = tomlkit.inline_table()
        value.update({"version": specifier, "extras": [extra]})
    names = [name for name in table if name != "python"]
    place = _position(names)
    if place == len(names) or not names:
        table["sentry-sdk"] = value
        return tomlkit.dumps(document)
    # tables have no insert: the line goes before its successor's
    successor = names[place]
    header = re.compile(rf"^\[{re.escape('.'.join(keys))}\][^\n]*\n", re.MULTILINE).search(text)
    row = re.compile(rf"^[ \t]*[\"']?{re.escape(successor)}[\"']?\s*=", re.MULTILINE)
    match = row.search(text, header.end()) if header else None
    if match is None:
        table["sentry-sdk"] = value
        return tomlkit.dumps(document)
    written = tomlkit.item(value).as_string()
    return splice(text, [(match.start(), match.start(), f"sentry-sdk = {written}\n")])


def in_pipfile(text: str, specifier: str, extra: str) -> str | None:
    """A line of ``[packages]``."""
    end = line_end(text)
    plain = text.replace(end, "\n")
    try:
        packages = tomllib.loads(plain).get("packages")
    except tomllib.TOMLDecodeError:
        return None
    if not isinstance(packages, dict):
        return None
    after = _in_table(plain, ("packages",), specifier, extra)
    seen = tomllib.loads(after)["packages"]
    good = {name: value for name, value in seen.items() if name != "sentry-sdk"} == packages
    return after.replace("\n", end) if good else None


def in_setup_cfg(text: str, requirement: str) -> str | None:
    """A line of ``install_requires``, where that is a list of lines."""
    rows = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text)
    head = next((index for index, row in enumerate(rows) if re.match(r"install_requires\s*=\s*$", row)), None)
    if head is None:
        return None
    listed: list[int] = []
    for index in range(head + 1, len(rows)):
        if rows[index].strip() and not rows[index][0].isspace():
            break
        if rows[index].strip() and not rows[index].lstrip().startswith("#"):
            listed.append(index)
    if not listed:
        return None
    indent = rows[listed[0]][: len(rows[listed[0]]) - len(rows[listed[0]].lstrip())]
    names = [match[1] if (match := _NAME.match(rows[index])) else "" for index in listed]
    place = _position(names)
    index = listed[place] if place < len(listed) else listed[-1] + 1
    end = line_end(text)
    lead = "" if index < len(rows) or text.endswith(("\n", "\r")) else end
    return "".join([*rows[:index], lead + indent + requirement + end, *rows[index:]])


def in_setup_py(text: str, requirement: str) -> str | None:
    """An element of the ``install_requires`` list, where that is written out."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    source = Source(text, tree)
    found = [
        keyword.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "install_requires"
    ]
    names = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    listed = names.get(found[0].id) if found and isinstance(found[0], ast.Name) else found[0] if found else None
    if not isinstance(listed, ast.List) or not all(_is_text(item) for item in listed.elts) or not listed.elts:
        return None
    place = _position([m[1] if (m := _NAME.match(str(ast.literal_eval(item)))) else "" for item in listed.elts])
    quote = source.written(listed.elts[0])[0]
    element = f"{quote}{requirement}{quote}"
    if place < len(listed.elts):
        start = source.span(listed.elts[place])[0]
        row = source.text.rfind("\n", 0, start) + 1
        blank = source.text[row:start]
        between = source.end + blank if not blank.strip() else " "
        return splice(text, [(start, start, f"{element},{between}")])
    start, stop = source.span(listed.elts[-1])
    row = source.text.rfind("\n", 0, start) + 1
    blank = source.text[row:start]
    between = source.end + blank if not blank.strip() else " "
    return splice(text, [(stop, stop, f",{between}{element}")])


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def bounded(path: str, text: str, line: int, major: int) -> str | None:
    """``<major`` added to the requirement of sentry-sdk that stands on ``line``."""
    rows = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text)
    if line > len(rows):
        return None
    row = rows[line - 1]
    name = path.rpartition("/")[2]
    if name.endswith((".txt", ".in", ".pip", ".cfg")):
        changed = _bounded_text(row, major)
    elif name in {"pyproject.toml", "Pipfile"}:
        as_key = re.match(r"\s*[\"']?(?i:sentry[-_.]sdk)[\"']?\s*=", row)
        changed = _bounded_value(row, as_key.end(), major) if as_key else _bounded_quoted(row, major)
    elif name == "setup.py":
        changed = _bounded_quoted(row, major)
    else:
        return None
    if changed is None:
        return None
    after = "".join([*rows[: line - 1], changed, *rows[line:]])
    if name in {"pyproject.toml", "Pipfile"}:
        try:
            tomllib.loads(after.replace("\r\n", "\n"))
        except tomllib.TOMLDecodeError:
            return None
    return after


def _with_bound(specifier: str, major: int) -> str:
    space = " " if re.search(r",\s+[<>=!~]", specifier) else ""
    blank = " " if re.search(r"[<>=!~]\s", specifier) else ""
    return f"{specifier},{space}<{blank}{major}" if specifier.strip() else f"<{major}"


def _bounded_text(row: str, major: int) -> str | None:
    match = _SDK.match(row, len(row) - len(row.lstrip()))
    if match is None or "--hash" in row:
        return None
    stop = match.end()
    return row[:stop] + _with_bound(match["spec"] or "", major)[len(match["spec"] or "") :] + row[stop:]


def _bounded_quoted(row: str, major: int) -> str | None:
    for match in re.finditer(r"(?<=[\"'])\s*(?=(?i:sentry[-_.]sdk)[\"'\s\[<>=!~;])", row):
        inner = _SDK.match(row, match.end())
        if inner is not None:
            spec = inner["spec"] or ""
            return row[: inner.end()] + _with_bound(spec, major)[len(spec) :] + row[inner.end() :]
    return None


def _bounded_value(row: str, start: int, major: int) -> str | None:
    rest = row[start:]
    match = re.match(r"\s*([\"'])(?P<spec>[^\"']*)\1", rest) or re.match(
        r"\s*\{[^}]*?\bversion\s*=\s*([\"'])(?P<spec>[^\"']*)\1", rest
    )
    if match is None:
        return None
    spec = match["spec"]
    new = f"<{major}" if spec.strip() in {"", "*"} else _with_bound(spec, major)
    return row[: start + match.start("spec")] + new + row[start + match.end("spec") :]
