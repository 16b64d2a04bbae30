"""``package.json``: the SDK among the dependencies, with the file's own blanks, order and way of naming versions."""

from __future__ import annotations

import json
import re
from posixpath import dirname, join
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.fixers.js_imports import module_node
from sentry_audit.fixers.js_web import NotClear, Patch, analysis_of, answered, parsed, refusing
from sentry_audit.fixing import Edit
from sentry_audit.javascript.names import is_test
from sentry_audit.javascript.packages import is_browser_sdk
from sentry_audit.javascript.syntax import text_of

if TYPE_CHECKING:
    from sentry_audit.fixing import Case, Change
    from sentry_audit.javascript.analysis import Analysis

#: The versions that are written where the project has none, which npm has of every framework's SDK: of 11, what is sent
#: unless it is switched off is more.
SDK, PLUGIN = "10.75.2", "5.3.0"
#: The first version of Next.js that this SDK is for (its peerDependencies).
_NEXT = (13, 2)
#: The package manager that each lock file is of, and how it is told to refresh it.
_LOCKS = {
    "pnpm-lock.yaml": "pnpm install", "yarn.lock": "yarn install", "bun.lock": "bun install", "bun.lockb": "bun install",
    "package-lock.json": "npm install", "npm-shrinkwrap.json": "npm install",
}  # fmt: skip
#: The SDKs that are published together, and must be of one version.
_TOGETHER = re.compile(
    r"^@sentry/(core|node|browser|bun|cloudflare|vercel-edge|profiling-node|opentelemetry|browser-utils)$"
)
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class _Entry(Struct, frozen=True):
    """One entry of an object of a manifest: its key, and where it begins and ends in the text."""

    key: str
    start: int
    end: int


class _Section(Struct, frozen=True):
    """One object of a manifest: its entries, the places of its braces."""

    entries: tuple[_Entry, ...]
    start: int
    end: int


@refusing
def declared(case: Case) -> Change:
    """Add the SDK that is made for the framework to the dependencies of the front end."""
    analysis = analysis_of(case)
    frontend = analysis.frontend
    path, text = _manifest(analysis)
    known = frontend.manifest.dependencies
    if mine := next((name for name in known if is_browser_sdk(name)), None):
        after = _moved(text, mine)
        summary = f"will move {mine} to the dependencies of {path}, which the image installs{refreshed(analysis)}"
        return answered(summary, [Edit(path, after)])
    older = re.match(r"(\d+)(?:\.(\d+))?", analysis.version("next")) if frontend.framework == "nextjs" else None
    if older is not None and (int(older[1]), int(older[2] or 99)) < _NEXT:
        raise NotClear(
            f"Next.js {analysis.version('next')} needs an older SDK than is written by itself: see its requirements"
        )
    version = next((known[name][0] for name in known if _TOGETHER.match(name)), "") or ranged(analysis, SDK)
    after = added(text, "dependencies", frontend.sdk, version)
    return answered(f"will add {frontend.sdk} {version} to {path}{refreshed(analysis)}", [Edit(path, after)])


@refusing
def matching(case: Case) -> Change:
    """Put the SDK made for the framework in the place of another one, in the manifest and in every import."""
    analysis = analysis_of(case)
    path, text = _manifest(analysis)
    frontend = analysis.frontend
    old, new = analysis.package, frontend.sdk
    if old != "@sentry/react" or old not in frontend.manifest.dependencies:
        raise NotClear(
            f"what {old} has and {new} has not was not compared", f"npm uninstall {old} && npm install {new}"
        )
    specifier, section, _ = frontend.manifest.dependencies[old]
    if (analysis.major(old) or 8) < 8:
        raise NotClear(
            f"{old} {specifier} is older than what {new} needs here: upgrade it first", f"npm install {new}@{SDK}"
        )
    edits = [Edit(path, added(removed(text, section, old), section, new, specifier))]
    for user in analysis.files.search([old]):
        if not analysis.frontend.within(user) or user.endswith((".md", ".json", ".yaml", ".lock")):
            continue
        if is_test(user):
            raise NotClear(f"the test {user} names {old}: replace both by {new} together", f"grep -rl {old} .")
        edits.append(_renamed(analysis, user, old, new))
    return answered(f"will use {new} in place of {old} in {len(edits)} files{refreshed(analysis)}", edits, "review")


def _renamed(analysis: Analysis, path: str, old: str, new: str) -> Edit:
    patch = Patch(parsed(analysis, path))
    nodes = list(module_node(patch.source.root, old))
    if len(nodes) != patch.source.text.count(old):
        raise NotClear(f"{path} names {old} outside of its imports")
    for node in nodes:
        patch.replace(node, text_of(node)[0] + new + text_of(node)[-1])
    return patch.edit()


def _manifest(analysis: Analysis) -> tuple[str, str]:
    path = analysis.frontend.manifest.path
    text = analysis.files.text(path) or ""
    try:
        json.loads(text)
    except ValueError as error:
        raise NotClear(f"{path} is no plain JSON") from error
    return path, text


def ranged(analysis: Analysis, version: str) -> str:
    """A version as the neighbours name theirs: exact where most are, else with a caret."""
    given = [item[0] for item in analysis.frontend.manifest.dependencies.values()]
    exact = sum(bool(re.match(r"\d+\.\d+\.\d+", item)) for item in given)
    caret = sum(item.startswith("^") for item in given)
    tilde = sum(item.startswith("~") for item in given)
    sentry = next(
        (item[0] for name, item in analysis.frontend.manifest.dependencies.items() if name.startswith("@sentry/")), ""
    )
    if sentry:
        return f"{sentry[0] if sentry[0] in '^~' else ''}{version}"
    return version if exact > caret + tilde else f"~{version}" if tilde > caret else f"^{version}"


def refreshed(analysis: Analysis) -> str:
    """What is said of the lock file, which is not edited."""
    return f"; then run {command} and commit its lock file" if (command := lock_command(analysis)) else ""


def lock_command(analysis: Analysis) -> str:
    """The command that refreshes the lock file of a front end, in the folder where that stands; ``""`` if it has none."""
    folder = analysis.frontend.folder
    while True:
        for name, command in _LOCKS.items():
            if join(folder, name) in analysis.files.paths:
                return f"(cd {folder} && {command})" if folder else command
        if not folder:
            return ""
        folder = dirname(folder)


# --- the text -----------------------------------------------------------------------------------------


def added(text: str, section: str, name: str, version: str) -> str:
    """``text`` with one dependency more, in its place by the alphabet if the others are in theirs. Raises NotClear."""
    found = _section(text, section)
    end = "\r\n" if "\r\n" in text else "\n"
    entry = f"{json.dumps(name)}: {json.dumps(version)}"
    if found is None:
        whole = _section(text, "")
        assert whole is not None
        last = whole.entries[-1] if whole.entries else None
        if last is None or "\n" not in text[: last.start]:
            glue = ", " if last else ""
            at = last.end if last else whole.start + 1
            return f'{text[:at]}{glue}"{section}": {{{entry}}}{text[at:]}'
        lead = _lead(text, last.start)
        block = f'{end}{lead}"{section}": {{{end}{lead * 2}{entry}{end}{lead}}}'
        return f"{text[: last.end]},{block}{text[last.end :]}"
    if not found.entries:
        lined = "\n" in text[: found.start]
        lead = _lead(text, found.start)
        inside = f"{end}{lead * 2}{entry}{end}{lead}" if lined else entry
        return f"{text[: found.start + 1]}{inside}{text[found.end :]}"
    keys = [item.key for item in found.entries]
    ordered = keys == sorted(keys)
    following = next((item for item in found.entries if ordered and item.key > name), None)
    gap = _gap(text, found)
    if following is not None:
        return f"{text[: following.start]}{entry},{gap}{text[following.start :]}"
    last = found.entries[-1]
    return f"{text[: last.end]},{gap}{entry}{text[last.end :]}"


def removed(text: str, section: str, name: str) -> str:
    """``text`` without a dependency. Raises NotClear if it is not there."""
    found = _section(text, section)
    entries = found.entries if found is not None else ()
    index = next((index for index, item in enumerate(entries) if item.key == name), None)
    if index is None:
        raise NotClear(f"{name} was not found among {section}")
    item = entries[index]
    if index + 1 < len(entries):
        return text[: item.start] + text[entries[index + 1].start :]
    if index:
        return text[: entries[index - 1].end] + text[item.end :]
    return text[: item.start] + text[item.end :]


def _moved(text: str, name: str) -> str:
    section = _section(text, "devDependencies")
    entry = next((item for item in section.entries if item.key == name), None) if section is not None else None
    if entry is None:
        raise NotClear(f"{name} was not found among devDependencies")
    version = json.loads("{" + text[entry.start : entry.end] + "}")[name]
    return added(removed(text, "devDependencies", name), "dependencies", name, version)


def _gap(text: str, found: _Section) -> str:
    """What stands between two entries."""
    if len(found.entries) > 1:
        return text[found.entries[0].end : found.entries[1].start].lstrip(",")
    before = text[found.start + 1 : found.entries[0].start]
    return before or " "


def _lead(text: str, at: int) -> str:
    row = text[text.rfind("\n", 0, at) + 1 : at]
    return row[: len(row) - len(row.lstrip())]


def _section(text: str, name: str) -> _Section | None:
    """The object ``name`` of the outermost one, or that one itself."""
    tokens = list(_TOKEN.finditer(text))
    depth = 0
    wanted = 1 if not name else 2
    open_: int | None = None
    entries: list[_Entry] = []
    key: re.Match[str] | None = None
    for index, token in enumerate(tokens):
        kind = token[0]
        if kind in "{[":
            depth += 1
            named = not name or (
                index > 1 and depth == 2 and tokens[index - 1][0] == ":" and tokens[index - 2][0] == f'"{name}"'
            )
            if open_ is None and kind == "{" and depth == wanted and named:
                open_, key = token.start(), None
                continue
        if kind in "}]":
            depth -= 1
        if open_ is None:
            continue
        if depth < wanted or (depth == wanted and kind == ","):
            if key is not None:
                entries.append(_Entry(str(json.loads(key[0])), key.start(), tokens[index - 1].end()))
                key = None
            if depth < wanted:
                return _Section(tuple(entries), open_, token.start())
        elif key is None and depth == wanted and kind.startswith('"'):
            key = token
    return None


ECOSYSTEM = "npm"
FIXERS = {"frontend-sdk-declared": declared, "frontend-sdk-matches-framework": matching}
