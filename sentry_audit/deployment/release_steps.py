"""Steps that tell Sentry of a release or upload source maps: actions, sentry-cli, fastlane, in whatever runs them.

Commands: docs.sentry.io/cli, and for what version 3 no longer has the changelog of getsentry/sentry-cli, 3.0.0.
"""

from __future__ import annotations

import json
import re
from posixpath import basename, dirname, join
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from sentry_audit.deployment.cli_versions import clean, installed, version_of
from sentry_audit.deployment.makefiles import is_makefile
from sentry_audit.deployment.scripts import is_script
from sentry_audit.facts import ReleaseStep
from sentry_audit.javascript.packages import relaxed
from sentry_audit.mentions import MENTIONS
from sentry_audit.model import Evidence
from sentry_audit.python.paths import importable
from sentry_audit.scanners import docker
from sentry_audit.scanners.instructions import read as instructions
from sentry_audit.scanners.nodes import children, compose, items, line_of, text_of
from sentry_audit.scanners.shell import commands

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.python.program import Files

_CLI = re.compile(r"(?:^|/)(?:sentry-cli(?:\.exe)?|@sentry/cli|getsentry/sentry-cli)(?:[@:]([\w.^~-]+))?$")
_ACTION = re.compile(r"^getsentry/action-release|^[\w.-]+/[\w.-]*sentry[\w.-]*release[\w.-]*(@|$)")
_NODE = re.compile(r"\bnew\s+SentryCli\s*\(|require\(\s*[\"']@sentry/cli[\"']|from\s+[\"']@sentry/cli[\"']")
_MARKS = ("sentry-cli", "@sentry/cli", "action-release", "sentry-release")
_VALUED = frozenset(
    {"-o", "--org", "-p", "--project", "--auth-token", "--url", "--header", "--log-level", "-r", "--release"}
)
_LANES = re.compile(
    r"^\s*(sentry_(?:create_release|set_commits|finalize_release|create_deploy|upload_sourcemap|upload_file))\b"
)


def read(files: Files) -> list[ReleaseStep]:
    """The steps in the files of a repository, in order."""
    found: list[ReleaseStep] = []
    for path in files.search(MENTIONS):
        if importable(path):
            found += _file(files, path)
    version = installed(files) if any(step.removed and not step.version for step in found) else ""
    known = (replace(step, version=step.version or version) if step.removed else step for step in found)
    return list(dict.fromkeys(known))


def _file(files: Files, path: str) -> Iterator[ReleaseStep]:
    name = basename(path)
    text = files.text(path) or ""
    if name in {"Fastfile", "Jenkinsfile"} or path.endswith((".rb", ".groovy")):
        yield from _lines(files, path, text)
    elif name == "package.json":
        yield from _scripts(files, path, text)
    elif name == "netlify.toml":
        if match := re.search(r"^\s*package\s*=\s*[\"']@sentry/netlify-build-plugin[\"']", text, re.MULTILINE):
            here = Evidence(path, text.count("\n", 0, match.end()) + 1, None, None, "@sentry/netlify-build-plugin")
            yield ReleaseStep(
                path=path, tool="netlify", does=("release", "source-maps"), folder=dirname(path), evidence=(here,)
            )
    elif path.endswith((".yml", ".yaml")) and any(mark in text for mark in _MARKS):
        nodes, _ = compose(path, text, frozenset())
        for node in nodes:
            yield from _node(files, path, text, node, "")
    elif "sentry-cli" not in text and "@sentry/cli" not in text:
        return
    elif docker.matches(path):
        for item in instructions(text):
            if item.name == "RUN":
                yield from _shell(files, path, f"{item.value}\n{item.body}", item.line - 1, text, dirname(path))
    elif is_script(path) or is_makefile(path) or (text.startswith("#!") and "sh" in text.partition("\n")[0]):
        yield from _shell(files, path, re.sub(r"^\t[@-]*", "", text, flags=re.MULTILINE), 0, text, "")
    elif path.endswith((".js", ".ts", ".mjs", ".cjs")) and _NODE.search(text):
        yield from _api(path, text)


def _node(files: Files, path: str, text: str, node: Any, folder: str) -> Iterator[ReleaseStep]:
    """The steps below a node of a pipeline's YAML."""
    fields = children(node)
    folder = text_of(fields.get("working-directory")) or folder
    uses = text_of(fields.get("uses"))
    if _ACTION.search(uses):
        given = {name: text_of(value) for name, value in children(fields.get("with")).items()}
        does = ("release", "source-maps") if given.get("sourcemaps") else ("release",)
        here = Evidence(path, line_of(fields["uses"]), None, None, uses)
        yield ReleaseStep(
            path=path, tool=uses.partition("@")[0].rpartition("/")[2], does=does, command=uses, evidence=(here,),
            folder=clean(given.get("working_directory", "") or folder),
        )  # fmt: skip
        return
    image = text_of(fields.get("image")) or text_of(fields.get("name"))
    if _CLI.search(image) and items(fields.get("args")):
        words = ("sentry-cli", *(text_of(item) for item in items(fields["args"])))
        step = _command(files, path, words, line_of(node), f"{text}\n{image}", folder)
        if step is not None:
            yield step
    if not fields:
        for item in items(node):
            yield from _node(files, path, text, item, folder)
        body = text_of(node)
        if "sentry-cli" in body or "@sentry/cli" in body:
            yield from _shell(files, path, body, line_of(node) + (node.style in {"|", ">"}) - 1, text, folder)
    for value in fields.values():
        yield from _node(files, path, text, value, folder)


def _shell(files: Files, path: str, body: str, start: int, text: str, folder: str) -> Iterator[ReleaseStep]:
    """The sentry-cli commands of shell text that begins after line ``start``."""
    rows = body.splitlines()
    at = 0
    for words in commands(body):
        if words[0] == "cd" and len(words) > 1 and "$" not in words[1]:
            folder = join(folder, words[1])
            continue
        line = next((number for number in range(at, len(rows)) if _on(rows[number], words)), None)
        step = _command(files, path, words, None if line is None else start + line + 1, text, folder)
        if step is not None:
            at = at if line is None else line
            yield step


def _on(row: str, words: Sequence[str]) -> bool:
    verb = next(
        (word for word in words if word in {"new", "files", "upload", "finalize", "set-commits", "inject", "deploys"}),
        "",
    )
    return ("sentry" in row or "CLI" in row) and verb in row and not row.lstrip().startswith("#")


def _command(
    files: Files, path: str, words: Sequence[str], line: int | None, text: str, folder: str, script: str = ""
) -> ReleaseStep | None:
    """The step that a sentry-cli command is; None for other commands."""
    at = next((index for index, word in enumerate(words) if _CLI.search(word)), None)
    if at is None:
        if words and basename(words[0]) == "sentry-upload-sourcemaps":
            here = Evidence(path, line, None, None, words[0])
            return ReleaseStep(
                path=path,
                tool="sentry-cli",
                does=("source-maps",),
                folder=clean(folder),
                script=script,
                evidence=(here,),
            )
        return None
    plain = _plain(words[at + 1 :])
    does, removed = _does(plain)
    if not does and not removed:
        return None
    shown = " ".join(["sentry-cli", *plain])[:80]
    here = Evidence(path, line, None, None, shown)
    pinned = _CLI.search(words[at])
    version = re.search(r"\d+", (pinned[1] if pinned and pinned[1] else "") or "")
    return ReleaseStep(
        path=path, tool="sentry-cli", does=does, command=" ".join(["sentry-cli", *plain[:2]]), removed=removed, script=script,
        version=version[0] if version else version_of(files, path, text, clean(folder)), folder=clean(folder), evidence=(here,),
    )  # fmt: skip


def _plain(words: Sequence[str]) -> list[str]:
    """The words of a command without options."""
    found: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = word in _VALUED
        else:
            found.append(word)
    return found


def _does(words: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """(what a command does, what takes its place in sentry-cli 3)."""
    first, second = (*words, "", "")[:2]
    upload = "sentry-cli sourcemaps upload --release VERSION PATH"
    match first, second:
        case "releases", "files":
            return ("source-maps",) if {"upload-sourcemaps", "upload"} & set(words) else (), upload
        case "files", _:
            return ("source-maps",) if "upload" in words else (), upload
        case "upload-sourcemaps", _:
            return ("source-maps",), upload
        case "sourcemaps", "explain":
            return (), "the Unminify Code button of an issue"
        case "send-metric", _:
            return (), "nothing: Sentry no longer takes what it sends"
        case "releases", ("new" | "set-commits" | "finalize" | "deploys"):
            return ("release",), ""
        case "deploys", "new":
            return ("release",), ""
        case "sourcemaps", "upload":
            return ("source-maps",), ""
    return (), ""


def _scripts(files: Files, path: str, text: str) -> Iterator[ReleaseStep]:
    try:
        data = relaxed(text)
    except (json.JSONDecodeError, RecursionError):
        return
    scripts = data.get("scripts") if isinstance(data, dict) else None
    for name, body in scripts.items() if isinstance(scripts, dict) else ():
        if "sentry" in str(body):
            line = text.count("\n", 0, max(text.find(f'"{name}"'), 0)) + 1
            for words in commands(str(body)):
                step = _command(files, path, words, line, str(body), dirname(path), name)
                if step is not None:
                    yield step


def _lines(files: Files, path: str, text: str) -> Iterator[ReleaseStep]:
    """Fastlane's actions and the shell commands of a Jenkinsfile, line by line."""
    for number, row in enumerate(text.splitlines(), 1):
        if match := _LANES.match(row):
            here = Evidence(path, number, None, None, match[1])
            does = ("source-maps",) if "upload" in match[1] else ("release",)
            removed = "sentry_upload_sourcemap" if match[1] == "sentry_upload_file" else ""
            yield ReleaseStep(
                path=path, tool="fastlane", does=does, command=match[1], removed=removed, evidence=(here,)
            )
        elif "sentry-cli" in row and not row.lstrip().startswith(("//", "#", "*")):
            body = re.sub(r"^\s*(sh|bat)\s*\(?\s*(script:)?|[\"')]+\s*$|^\s*[\"']+", "", row)
            yield from (step for step in _shell(files, path, body.strip("\"' "), number - 1, text, ""))


def _api(path: str, text: str) -> Iterator[ReleaseStep]:
    """A script that uses the JavaScript interface of sentry-cli."""
    does = [name for name, mark in (("release", "releases."), ("source-maps", "uploadSourceMaps")) if mark in text]
    match = _NODE.search(text)
    if does and match:
        here = Evidence(path, text.count("\n", 0, match.start()) + 1, None, None, match[0])
        yield ReleaseStep(path=path, tool="@sentry/cli", does=tuple(does), command="SentryCli", evidence=(here,))


def elsewhere(files: Files, path: str) -> tuple[Evidence, ...]:
    """The workflows of other repositories that a workflow calls: what they do is not to be seen here."""
    text = files.text(path) or ""
    if ".github/workflows/" not in text:
        return ()
    nodes, _ = compose(path, text, frozenset())
    found = []
    for node in nodes[:1]:
        for job in children(children(node).get("jobs")).values():
            uses = children(job).get("uses")
            if text_of(uses) and not text_of(uses).startswith("./"):
                found.append(Evidence(path, line_of(uses), None, None, text_of(uses)))
    return tuple(found)
