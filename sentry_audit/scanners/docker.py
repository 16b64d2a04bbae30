"""Dockerfiles: what the image installs, what it sets, and how it starts."""

from __future__ import annotations

import re
from posixpath import basename, dirname, join, normpath

from msgspec import Struct, field
from msgspec.structs import replace

from sentry_audit.facts import AuthToken, Fact, Image, Install, Process
from sentry_audit.model import Evidence
from sentry_audit.scanners.base import Found, Scanner
from sentry_audit.scanners.bundling import runs_bundler
from sentry_audit.scanners.installs import understand
from sentry_audit.scanners.instructions import Instruction, read
from sentry_audit.scanners.shell import commands, expand
from sentry_audit.scanners.variables import declared, shown

_MOUNT = re.compile(r"(?:^|,)(source|src|target|dst|destination|type|from)=([^,\s]+)")
_SCRIPT = re.compile(r"\.(sh|bash)$|entrypoint|^(run|start)$")


def matches(path: str) -> bool:
    """``Dockerfile``, ``Dockerfile.*``, ``*.Dockerfile``, ``Containerfile``."""
    name = path.rsplit("/", 1)[-1].lower()
    if name.endswith((".dockerignore", ".md", ".py", ".tmpl", ".j2", ".jinja")):
        return False
    return name.startswith(("dockerfile", "containerfile")) or name.endswith((".dockerfile", ".containerfile"))


class _Copy(Struct):
    source: str
    destination: str
    stage: str = ""


class _Stage(Struct):
    """A build stage as it goes: where it stands, what it has copied, set, installed and started."""

    name: str
    base: str
    workdir: str = "/"
    copies: list[_Copy] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    exported: list[tuple[str, str, int]] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    installs: list[Install] = field(default_factory=list)
    unresolved: list[str] = field(default_factory=list)
    entrypoint: Instruction | None = None
    command: Instruction | None = None


def scan(path: str, text: str) -> Found:
    """One Image, a Process per command that its last stage starts, and the variables that it bakes in."""
    context = dirname(path)
    instructions = read(text)
    stages = _stages(instructions, context)
    if not stages:
        return (), ()
    last = stages[-1]
    copied = [item for stage in stages for item in stage.copies if not item.stage]
    started = _started(last)
    arguments = tuple(dict.fromkeys(name for stage in stages for name in stage.arguments))
    lines = {item.value.partition("=")[0].strip(): item.line for item in instructions if item.name == "ARG"}
    image = Image(
        path=path,
        context=context,
        base=stages[0].base if len(stages) == 1 else last.base,
        workdir=last.workdir,
        installs=tuple(dict.fromkeys(last.installs)),
        copied=tuple(dict.fromkeys((item.source, item.destination) for item in copied)),
        env=tuple(
            (name, shown(name, value) or (value if value.startswith("$") else "")) for name, value, _ in last.exported
        ),
        args=arguments,
        command=started[0][0] if started else (),
        unresolved=tuple(dict.fromkeys(last.unresolved)),
        bundles_at=next((item.line for item in instructions if runs_bundler(item)), None),
        args_at=tuple(lines[name] for name in arguments),
        evidence=(Evidence(path),),
    )
    found: list[Fact] = [image]
    for words, line in started:
        found.append(
            Process(
                path=path,
                name=basename(context) or "image",
                command=words,
                context=context,
                image=path,
                origin="dockerfile",
                line=line,
                evidence=(Evidence(path, line, None, None, " ".join(words)[:100]),),
            )
        )
    for name, value, line in last.exported:
        found += [fact for fact in declared(path, name, value, line, origin="image") if not isinstance(fact, AuthToken)]
    return (*found, *_tokens(path, text)), ()


def _tokens(path: str, text: str) -> list[Fact]:
    """ARG and ENV of an auth token in the stages that make the image: both stay readable in its history.

    Those of a stage that is only copied from stay on the machine that builds.
    """
    found: list[Fact] = []
    for item in _lasting(read(text)):
        if item.name in {"ARG", "ENV"} and re.search(r"\bSENTRY_AUTH_TOKEN\b", item.value):
            if item.name == "ENV" or re.match(r"SENTRY_AUTH_TOKEN\b", item.value):
                problem = f"{item.name} leaves the token in the image's history: give it with RUN --mount=type=secret"
                saw = Evidence(path, item.line, None, None, f"{item.name} SENTRY_AUTH_TOKEN")
                found.append(AuthToken(name="SENTRY_AUTH_TOKEN", problem=problem, evidence=(saw,)))
    return found


def _lasting(instructions: list[Instruction]) -> list[Instruction]:
    """The instructions of the last stage and of those that it derives from."""
    stages: list[tuple[str, str, list[Instruction]]] = []
    for item in instructions:
        if item.name == "FROM":
            words = item.value.split()
            name = words[2].lower() if len(words) > 2 and words[1].lower() == "as" else ""
            stages.append((name, words[0].lower() if words else "", []))
        elif stages:
            stages[-1][2].append(item)
    found: list[Instruction] = []
    wanted = len(stages) - 1
    while wanted >= 0:
        _, base, mine = stages[wanted]
        found = [*mine, *found]
        wanted = next((index for index in range(wanted - 1, -1, -1) if stages[index][0] == base != ""), -1)
    return found


def _stages(instructions: list[Instruction], context: str) -> list[_Stage]:
    stages: list[_Stage] = []
    shared: dict[str, str] = {}
    for item in instructions:
        if item.name == "FROM":
            stages.append(_from(item, stages, shared))
        elif not stages:
            if item.name == "ARG":
                name, _, value = item.value.partition("=")
                shared[name.strip()] = value.strip().strip("\"'")
        else:
            _step(stages[-1], item, stages, context)
    return stages


def _from(item: Instruction, stages: list[_Stage], shared: dict[str, str]) -> _Stage:
    words = expand(item.value, shared).split()
    base = words[0] if words else ""
    name = words[2] if len(words) > 2 and words[1].lower() == "as" else ""
    parent = _named(stages, base)
    if parent is None:
        return _Stage(name, base, variables={})
    return replace(
        parent, name=name, copies=list(parent.copies), variables=dict(parent.variables), exported=list(parent.exported),
        arguments=list(parent.arguments), installs=list(parent.installs), unresolved=list(parent.unresolved),
    )  # fmt: skip


def _named(stages: list[_Stage], name: str) -> _Stage | None:
    if name.isdigit() and int(name) < len(stages):
        return stages[int(name)]
    return next((stage for stage in reversed(stages) if stage.name and stage.name.lower() == name.lower()), None)


def _step(stage: _Stage, item: Instruction, stages: list[_Stage], context: str) -> None:
    match item.name:
        case "WORKDIR":
            stage.workdir = normpath(join(stage.workdir, expand(item.value.strip("\"'"), stage.variables)))
        case "ARG":
            name, _, value = item.value.partition("=")
            stage.arguments.append(name.strip())
            if value:
                stage.variables[name.strip()] = value.strip().strip("\"'")
        case "ENV":
            for name, value in _pairs(item.value):
                stage.variables[name] = expand(value, stage.variables)
                stage.exported.append((name, stage.variables[name], item.line))
        case "COPY" | "ADD":
            _copy(stage, item, stages)
        case "RUN":
            _run(stage, item, context)
        case "ENTRYPOINT":
            stage.entrypoint, stage.command = item, None
        case "CMD":
            stage.command = item
        case _:
            pass


def _pairs(value: str) -> list[tuple[str, str]]:
    """``NAME=value …`` or the old ``NAME value``."""
    import shlex

    name, _, rest = value.partition(" ")
    if "=" not in name:
        return [(name, rest.strip().strip("\"'"))] if name else []
    try:
        words = shlex.split(value)
    except ValueError:
        words = value.split()
    return [(word.partition("=")[0], word.partition("=")[2]) for word in words if "=" in word]


def _copy(stage: _Stage, item: Instruction, stages: list[_Stage]) -> None:
    words = list(item.words or expand(item.value, stage.variables).split())
    if len(words) < 2 or item.body:
        return
    *sources, target = words
    folder = target.endswith("/") or len(sources) > 1 or target in {".", "./"}
    destination = normpath(join(stage.workdir, target)) + ("/" if folder else "")
    origin = item.flag("from")
    other = _named(stages, origin) if origin else None
    stage.copies += [_Copy(source, destination, origin) for source in sources]
    if other is not None:
        stage.installs += [step for step in other.installs if step not in stage.installs]
        stage.unresolved += other.unresolved


def _run(stage: _Stage, item: Instruction, context: str) -> None:
    here = stage.workdir
    copies = list(stage.copies)
    for _, value in (flag for flag in item.flags if flag[0] == "mount"):
        parts = dict(_MOUNT.findall(value))
        source, target = (
            parts.get("source") or parts.get("src"),
            parts.get("target") or parts.get("dst") or parts.get("destination"),
        )
        if parts.get("type") == "bind" and target and "from" not in parts:
            copies.append(_Copy(source or ".", normpath(join(stage.workdir, target))))
    words = item.words
    found = [words] if words is not None else commands(item.body or item.value, stage.variables)
    for command in found:
        if command[0] in {"cd", "pushd"} and len(command) > 1:
            here = normpath(join(here, command[1]))
            continue
        step, unresolved = understand(command, item.line, stage.variables)
        if unresolved:
            stage.unresolved.append(unresolved)
        if step is None:
            continue
        files = []
        for name in step.files:
            if name.startswith("package:"):
                files.append(name)
            elif (place := _origin(normpath(join(here, name)), copies, context)) is not None:
                files.append(place)
        if step.tool != "pip" and not step.files:
            project = join(here, "Pipfile" if step.tool == "pipenv" else "pyproject.toml")
            if (place := _origin(project, copies, context)) is not None:
                files.append(place)
        if files or step.packages or not step.files:
            stage.installs.append(replace(step, files=tuple(files)))


def _origin(path: str, copies: list[_Copy], context: str) -> str | None:
    """The repository's file or folder that lies at ``path`` in the image; None if another stage made it."""
    best: tuple[int, str] | None = None
    for item in copies:
        target = item.destination.rstrip("/") or "/"
        source = item.source.lstrip("/")
        whole = source in {"", ".", "./"}
        inside = (
            path[len(target) :].lstrip("/") if path == target or path.startswith(target.rstrip("/") + "/") else None
        )
        found: str | None = None
        rank = len(target)
        if any(mark in source for mark in "*?["):
            pattern = re.escape(basename(source)).replace(r"\*", ".*").replace(r"\?", ".")
            if inside and "/" not in inside and re.fullmatch(pattern, inside):
                found, rank = join(dirname(source), inside), 10_000
        elif (not whole and inside == basename(normpath(source))) or (
            not whole and path == target and not item.destination.endswith("/")
        ):
            found, rank = source, 10_000
        elif inside is not None and (whole or "." not in basename(source)):
            found = inside or "."
            found = found if whole else join(source, inside)
        if found is not None and (best is None or rank >= best[0]):
            best = (rank, "" if item.stage else normpath(join(context, found)) if found != "." else context or ".")
    if best is None:
        # Nothing that was copied explains it: a file of that name in the context is the likely one.
        return normpath(join(context, path.lstrip("/").split("/", 1)[-1])) if path != "/" else context or "."
    return best[1] or None


def _started(stage: _Stage) -> list[tuple[tuple[str, ...], int]]:
    """The commands that a container of the last stage starts, each with its line."""
    entry, command = stage.entrypoint, stage.command
    if entry is None and command is None:
        return []
    found: list[tuple[tuple[str, ...], int]] = []
    if entry is not None:
        words = entry.words
        if not words or command is None:
            return _commands(stage, entry)
        given = _commands(stage, command)
        if _SCRIPT.search(basename(words[0])) or (len(words) > 1 and _SCRIPT.search(basename(words[-1]))):
            return [*given, (words, entry.line)]
        tail = command.words or tuple(command.value.split())
        found.append(((*words, *tail), command.line))
        return found
    assert command is not None
    return _commands(stage, command)


def _commands(stage: _Stage, item: Instruction) -> list[tuple[tuple[str, ...], int]]:
    words = item.words
    if words == ():
        return []
    if words is not None and not (
        len(words) > 2 and basename(words[0]) in {"sh", "bash", "ash"} and words[1].startswith("-")
    ):
        return [(tuple(expand(word, stage.variables) for word in words), item.line)]
    text = words[-1] if words is not None else item.value
    found = commands(text, stage.variables)
    background = "&" in re.sub(r"&&|>&|&>", "", text)
    return [(command, item.line) for command in (found if background else found[-1:])]


def rebase(image: Image, context: str) -> Image:
    """The same image, built in another folder: every file it names is looked for there instead."""
    old = image.context

    def moved(name: str) -> str:
        if name.startswith("package:"):
            return name
        inside = (
            name if not old else name[len(old) + 1 :] if name.startswith(old + "/") else "" if name == old else name
        )
        return normpath(join(context, inside)) if inside not in {"", "."} else context or "."

    installs = tuple(replace(step, files=tuple(moved(name) for name in step.files)) for step in image.installs)
    return replace(image, context=context, installs=installs)


def scan_script(path: str, text: str) -> list[tuple[str, ...]]:
    """The simple commands of a shell script, for what it starts."""
    del path
    return commands(text)


SCANNER = Scanner("docker", matches, scan)
