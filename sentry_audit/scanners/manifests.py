"""What projects declare that they need: requirements files, pyproject, Pipfile, setup.cfg, setup.py."""

from __future__ import annotations

import ast
import re
from posixpath import dirname, join, normpath
from typing import Any

from sentry_audit.facts import Dependency, Fact, Manifest
from sentry_audit.model import Evidence, Problem
from sentry_audit.python import syntax
from sentry_audit.scanners.base import Found, Scanner
from sentry_audit.scanners.locks import LOCKS, scan_lock

_KINDS = frozenset({"dependency", "manifest", "sdk_dependency"})
_NAMES = frozenset({"pyproject.toml", "Pipfile", "setup.cfg", "setup.py"})
_VERSION = r"(?:===?|[<>!~]=|[<>])\s*[0-9][\w.+!*]*"
_PLAIN = re.compile(
    rf"^([A-Za-z0-9][\w.-]*)\s*(?:\[([\w\s,.-]*)\])?\s*((?:{_VERSION}(?:\s*,\s*{_VERSION})*)?)\s*$", re.ASCII
)
_INCLUDE = re.compile(r"^(?:-r|-c|--requirement|--constraint)(?:\s+|=)?(\S+)")


def matches(path: str) -> bool:
    """Whether the file's name is a manifest's or a lock's."""
    name = path.rsplit("/", 1)[-1]
    if name in _NAMES or name in LOCKS:
        return True
    if not name.endswith((".txt", ".in", ".pip")):
        return False
    folder = path.rsplit("/", 2)[-2] if "/" in path else ""
    return "requirement" in name.lower() or folder in {"requirements", "reqs"}


def scan(path: str, text: str) -> Found:
    """The manifest's facts: what it declares, and what it includes."""
    name = path.rsplit("/", 1)[-1]
    try:
        if name in LOCKS:
            return scan_lock(path, text)
        if name == "pyproject.toml":
            return _pyproject(path, text)
        if name == "Pipfile":
            return _pipfile(path, text)
        if name == "setup.cfg":
            return _setup_cfg(path, text)
        if name == "setup.py":
            return _setup_py(path, text)
        return _requirements(path, text)
    except (ValueError, SyntaxError, RecursionError, AttributeError, TypeError, KeyError) as error:
        line = getattr(error, "lineno", None) or _line_in(str(error))
        where = Evidence(path, line, None, None, "")
        reason = f"cannot be read: {error}"
        if isinstance(error, AttributeError | TypeError | KeyError):
            reason = f"cannot be read: a table or list has an unexpected shape ({error})"
        return (), (Problem("repo", _KINDS, reason, f"fix the syntax of {path}", where),)


def _line_in(message: str) -> int | None:
    match = re.search(r"line (\d+)", message)
    return int(match[1]) if match else None


def _dependency(
    path: str, text: str, line: int | None, group: str = "", *, optional: bool = False
) -> Dependency | None:
    if plain := _PLAIN.match(text):  # most lines are: packaging takes 13 ms to load
        extras = tuple(sorted(part.strip() for part in (plain[2] or "").split(",") if part.strip()))
        return Dependency(
            path=path, name=_canonical(plain[1]), specifier=plain[3].replace(" ", ""), extras=extras, group=group,
            optional=optional, line=line, evidence=(Evidence(path, line, None, None, text[:80]),),
        )  # fmt: skip
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        return None
    return Dependency(
        path=path, name=canonicalize_name(parsed.name), specifier=str(parsed.specifier), extras=tuple(sorted(parsed.extras)),
        group=group, optional=optional, marker=str(parsed.marker or ""), line=line,
        evidence=(Evidence(path, line, None, None, text[:80]),),
    )  # fmt: skip


def _requirements(path: str, text: str) -> Found:
    found: list[Fact] = []
    problems: list[Problem] = []
    includes: list[str] = []
    for number, raw in _logical(text):
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        if not line:
            continue
        if include := _INCLUDE.match(line):
            if line.startswith(("-r", "--requirement")):
                includes.append(normpath(join(dirname(path), include[1])))
            continue
        if line.startswith("-"):
            continue
        line = line.split(" --hash")[0].split(" --")[0].strip()
        item = _dependency(path, line, number)
        if item is not None:
            found.append(item)
        elif not re.match(r"^(\.|/|[\w+]+://|git\+|file:|[A-Z]:\\)", line) and "{" not in line:
            where = Evidence(path, number, None, None, line[:60])
            problems.append(Problem("repo", frozenset({"dependency"}), "not a requirement", "see PEP 508", where))
    manifest = Manifest(path=path, format="requirements", includes=tuple(includes), evidence=(Evidence(path),))
    return (manifest, *found), tuple(problems)


def _logical(text: str) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    pending, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        start = start or number
        if raw.rstrip().endswith("\\"):
            pending += raw.rstrip()[:-1] + " "
            continue
        lines.append((start, pending + raw))
        pending, start = "", 0
    return lines + ([(start, pending)] if pending else [])


class _Lines:
    """Finds the line of a requirement in a file that was parsed without positions."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()

    def of(self, needle: str) -> int | None:
        pattern = re.compile(rf"(^|[\"'\s,\[]){re.escape(needle)}([\"'\s=<>~!\[;,]|$)", re.IGNORECASE)
        return next(
            (
                number
                for number, line in enumerate(self.lines, 1)
                if needle.lower() in line.lower() and pattern.search(line)
            ),
            None,
        )


def _pyproject(path: str, text: str) -> Found:
    import tomllib

    data = tomllib.loads(text)
    lines = _Lines(text)
    found: list[Fact] = []
    project = data.get("project", {})
    if not isinstance(project, dict):
        raise TypeError(f"project must be a table, not {type(project).__name__}")
    if project:
        found += _list(path, project.get("dependencies"), lines)
        for extra, items in (project.get("optional-dependencies") or {}).items():
            found += _list(path, items, lines, extra, optional=True)
    for group, items in (data.get("dependency-groups") or {}).items():
        found += _list(path, _grouped(data["dependency-groups"], group), lines, group)
        del items
    tool = data.get("tool", {})
    found += _poetry(path, tool.get("poetry", {}), lines)
    found += _list(path, tool.get("uv", {}).get("dev-dependencies"), lines, "dev")
    for group, items in (tool.get("pdm", {}).get("dev-dependencies") or {}).items():
        found += _list(path, items, lines, group)
    package = project.get("name", "")
    package = package or tool.get("poetry", {}).get("name", "")
    if not found and not package and "poetry" not in tool:
        return (), ()
    scripts = {**(tool.get("poetry", {}).get("scripts") or {}), **(project.get("scripts") or {})}
    manifest = Manifest(
        path=path,
        format="pyproject",
        package=str(package),
        includes=_dynamic(path, tool),
        scripts=tuple((name, value) for name, value in scripts.items() if isinstance(value, str)),
        evidence=(Evidence(path),),
    )
    return (manifest, *found), ()


def _dynamic(path: str, tool: dict[str, Any]) -> tuple[str, ...]:
    """The requirement files that setuptools or hatch reads the dependencies from."""
    entry = tool.get("setuptools", {}).get("dynamic", {}).get("dependencies", {})
    names = entry.get("file", []) if isinstance(entry, dict) else []
    names = [names] if isinstance(names, str) else list(names)
    names += tool.get("hatch", {}).get("metadata", {}).get("hooks", {}).get("requirements_txt", {}).get("files", [])
    return tuple(normpath(join(dirname(path), str(name))) for name in names)


def _grouped(groups: dict[str, Any], name: str, seen: frozenset[str] = frozenset()) -> list[Any]:
    items: list[Any] = []
    for item in groups.get(name, []) if name not in seen else []:
        if isinstance(item, dict) and "include-group" in item:
            items += _grouped(groups, str(item["include-group"]), seen | {name})
        else:
            items.append(item)
    return items


def _list(path: str, items: object, lines: _Lines, group: str = "", *, optional: bool = False) -> list[Fact]:
    found: list[Fact] = []
    for item in items if isinstance(items, list) else []:
        if isinstance(item, str):
            name = re.split(r"[\s\[<>=~!;@]", item.strip(), maxsplit=1)[0]
            parsed = _dependency(path, item, lines.of(name), group, optional=optional)
            found += [parsed] if parsed is not None else []
    return found


def _poetry(path: str, data: dict[str, Any], lines: _Lines) -> list[Fact]:
    found: list[Fact] = []
    tables = [("", data.get("dependencies")), ("dev", data.get("dev-dependencies"))]
    tables += [
        (name, group.get("dependencies"))
        for name, group in (data.get("group") or {}).items()
        if isinstance(group, dict)
    ]
    in_extras = {str(name).lower() for items in (data.get("extras") or {}).values() for name in items}
    for group, table in tables:
        for name, spec in (table or {}).items():
            if name == "python":
                continue
            entry = spec[0] if isinstance(spec, list) and spec else spec
            version = entry.get("version", "") if isinstance(entry, dict) else entry
            extras = entry.get("extras", []) if isinstance(entry, dict) else []
            optional = isinstance(entry, dict) and bool(entry.get("optional"))
            line = lines.of(name)
            found.append(
                Dependency(
                    path=path,
                    name=_canonical(name),
                    specifier=caret(str(version or "")),
                    extras=tuple(map(str, extras)),
                    group=group or (_extra_of(data, name) if optional else ""),
                    optional=optional and name.lower() in in_extras,
                    line=line,
                    evidence=(Evidence(path, line, None, None, f"{name} = {version!r}"),),
                )
            )
    return found


def _extra_of(data: dict[str, Any], name: str) -> str:
    return next((extra for extra, items in (data.get("extras") or {}).items() if name in items), "optional")


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def caret(version: str) -> str:
    """Poetry's ``^1.2`` and ``~1.2`` as PEP 440; see python-poetry.org/docs/dependency-specification/."""
    version = version.strip()
    if version in {"", "*"}:
        return ""
    if "," in version:
        return ",".join(caret(part) for part in version.split(","))
    if version[0] in "^~" and not version.startswith("~="):
        numbers = [int(part) for part in re.findall(r"\d+", version)][:3]
        if not numbers:
            return ""
        lower = ".".join(map(str, numbers))
        if version[0] == "~":
            upper = [numbers[0], numbers[1] + 1] if len(numbers) > 1 else [numbers[0] + 1]
        else:
            first = next((index for index, part in enumerate(numbers) if part), len(numbers) - 1)
            upper = [*numbers[:first], numbers[first] + 1]
        return f">={lower},<{'.'.join(map(str, upper))}"
    return version if version[0] in "<>=!~" else f"=={version}"


def _pipfile(path: str, text: str) -> Found:
    import tomllib

    data = tomllib.loads(text)
    lines = _Lines(text)
    found: list[Fact] = []
    for section, group in (("packages", ""), ("dev-packages", "dev")):
        for name, spec in (data.get(section) or {}).items():
            version = spec.get("version", "") if isinstance(spec, dict) else str(spec)
            line = lines.of(name)
            found.append(
                Dependency(
                    path=path,
                    name=_canonical(name),
                    specifier="" if version == "*" else str(version),
                    group=group,
                    line=line,
                    evidence=(Evidence(path, line, None, None, f"{name} = {version!r}"),),
                )
            )
    return (Manifest(path=path, format="pipfile", evidence=(Evidence(path),)), *found), ()


def _setup_cfg(path: str, text: str) -> Found:
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(str(error).replace("\n", " ")) from error
    lines = _Lines(text)
    required = parser.get("options", "install_requires", fallback="")
    found = _list(path, required.splitlines(), lines)
    if parser.has_section("options.extras_require"):
        for extra, items in parser.items("options.extras_require"):
            found += _list(path, items.splitlines(), lines, extra, optional=True)
    if not found and not parser.has_option("metadata", "name"):
        return (), ()
    package = parser.get("metadata", "name", fallback="")
    scripts = _scripts(parser.get("options.entry_points", "console_scripts", fallback="").splitlines())
    manifest = Manifest(path=path, format="setup.cfg", package=package, scripts=scripts, evidence=(Evidence(path),))
    return (manifest, *found), ()


def _scripts(lines: list[str]) -> tuple[tuple[str, str], ...]:
    """``name = module:function`` lines as pairs."""
    pairs = (line.partition("=") for line in lines if "=" in line)
    return tuple((name.strip(), value.strip()) for name, _, value in pairs)


def _setup_py(path: str, text: str) -> Found:
    if "setuptools" not in text and "distutils" not in text:
        return (), ()  # a module of that name
    tree = syntax.parse(text)
    names = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    lines = _Lines(text)
    found: list[Fact] = []
    problems: list[Problem] = []
    scripts: tuple[tuple[str, str], ...] = ()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if ast.unparse(call.func).rsplit(".", 1)[-1] != "setup":
            continue
        for keyword in call.keywords:
            value = names.get(keyword.value.id, keyword.value) if isinstance(keyword.value, ast.Name) else keyword.value
            if keyword.arg == "install_requires":
                items = _literals(value)
                if items is None:
                    where = Evidence(path, keyword.value.lineno, None, None, ast.unparse(keyword.value)[:60])
                    problems.append(
                        Problem(
                            "repo",
                            frozenset({"dependency"}),
                            "install_requires is computed",
                            "declare it in pyproject.toml",
                            where,
                        )
                    )
                found += _list(path, items or [], lines)
            if keyword.arg == "entry_points":
                scripts += _entry_points(value)
            if keyword.arg == "extras_require" and isinstance(value, ast.Dict):
                for key, entry in zip(value.keys, value.values, strict=True):
                    if isinstance(key, ast.Constant):
                        found += _list(path, _literals(entry) or [], lines, str(key.value), optional=True)
    return (Manifest(path=path, format="setup.py", scripts=scripts, evidence=(Evidence(path),)), *found), tuple(
        problems
    )


def _entry_points(node: ast.expr) -> tuple[tuple[str, str], ...]:
    for key, value in zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ():
        if isinstance(key, ast.Constant) and key.value == "console_scripts":
            return _scripts(_literals(value) or [])
    return ()


def _literals(node: ast.expr) -> list[str] | None:
    if isinstance(node, ast.List | ast.Tuple):
        return [item.value for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return None


SCANNER = Scanner("manifests", matches, scan)
