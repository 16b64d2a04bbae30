"""Which deployable Python pieces a repository has, each with its entry point and why we think so."""

from __future__ import annotations

import ast
import re
from posixpath import basename, dirname, join, normpath
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from sentry_audit.facts import Component, Image, Manifest, Process
from sentry_audit.mentions import APPLICATIONS
from sentry_audit.model import Evidence
from sentry_audit.python.factories import factory_call
from sentry_audit.python.paths import SCRIPTS, deployed
from sentry_audit.python.starts import Start, parse, script

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sentry_audit.facts import Fact
    from sentry_audit.python.module import Module
    from sentry_audit.python.program import Program

APP_TOKENS = APPLICATIONS[:-1]
#: What makes a framework's application object.
FRAMEWORKS = {
    "fastapi.FastAPI": "fastapi",
    "flask.Flask": "flask",
    "starlette.applications.Starlette": "starlette",
    "quart.Quart": "quart",
    "sanic.Sanic": "sanic",
    "litestar.Litestar": "litestar",
    "django.core.wsgi.get_wsgi_application": "django",
    "django.core.asgi.get_asgi_application": "django",
}
_ENTRY_NAMES = (
    "main.py",
    "app.py",
    "asgi.py",
    "wsgi.py",
    "server.py",
    "api.py",
    "application.py",
    "__main__.py",
    "run.py",
    "__init__.py",
    "factory.py",
)
_JOB_NAMES = ("main.py", "job.py", "worker.py", "run.py", "__main__.py", "app.py")
#: A program on one of these describes infrastructure: its own tool runs it, at a desk or in CI (Pulumi, AWS CDK, CDKTF).
_INFRASTRUCTURE = frozenset({"pulumi", "aws_cdk", "cdktf"})
_MANIFESTS = ("pyproject.toml", "requirements.txt", "Pipfile", "setup.py", "setup.cfg", "uv.lock", "poetry.lock")


class Service(Struct, frozen=True):
    """A component with what its analysis needs: where it starts, in which image, with which workers."""

    fact: Component
    entries: tuple[str, ...] = ()
    image: Image | None = None
    workers: tuple[tuple[Start, str, Evidence], ...] = ()
    unknown: str = ""


class _Found(Struct):
    start: Start
    entry: str
    project: str
    evidence: Evidence
    image: Image | None = None
    reasons: list[str] = field(default_factory=list)
    words: tuple[str, ...] = ()
    framework: str = ""
    scripted: bool = False


def discover(program: Program, facts: Sequence[Fact], settings: Sequence[Component] = ()) -> list[Service]:
    """The components of the repository; those that ``settings`` name win over what is found."""
    found = _declared(program, facts)
    found += _by_app_object(program, facts, found)
    found += _jobs(program, found)
    services = _merge(program, found)
    if settings:
        services = [_configured(program, item, services) for item in settings]
    return _named(services, facts)


def _project(program: Program, path: str) -> str:
    """The nearest folder above ``path`` that has a manifest; the root when none has."""
    folder = dirname(path)
    while folder:
        if any(join(folder, name) in program.files.paths for name in _MANIFESTS):
            return folder
        folder = dirname(folder)
    return ""


def _declared(program: Program, facts: Sequence[Fact]) -> list[_Found]:
    images = {fact.path: fact for fact in facts if isinstance(fact, Image)}
    scripts = {name: target for fact in facts if isinstance(fact, Manifest) for name, target in fact.scripts}
    found: list[_Found] = []
    for process in facts:
        if not isinstance(process, Process) or not deployed(process.path):
            continue
        image = images.get(process.image) or (images.get(process.path))
        for start, words, evidence in _starts(program, process, image, scripts):
            if process.origin == "compose" and start.role == "job":
                continue
            entry = resolve(program, start, process.context, image)
            if not entry:
                continue
            reason = f"{evidence} starts it: {' '.join(words)[:80]}"
            scripted = evidence.path != process.path
            found.append(
                _Found(start, entry, _project(program, entry), evidence, image, [reason], words, scripted=scripted)
            )
    return found


def _starts(
    program: Program, process: Process, image: Image | None, scripts: Mapping[str, str]
) -> Iterable[tuple[Start, tuple[str, ...], Evidence]]:
    """What a process starts: by itself, or through a shell script or a command that a package installs."""
    from sentry_audit.scanners.docker import scan_script

    start = parse(process.command)
    line = Evidence(process.path, process.line, None, None, " ".join(process.command)[:100])
    if start is not None and not start.script:
        yield start, process.command, line
        return
    name, rest = (start.script, ()) if start is not None else script(process.command)
    path = _in_tree(program, name, process.context, image) if name else ""
    text = program.files.text(path) if path else None
    if text and (start is not None or text.startswith("#!")) and "python" not in text.partition("\n")[0]:
        for words in scan_script(path, text):
            inner = parse(words) or _installed(words, scripts)
            if inner is not None and not inner.script:
                yield inner, words, Evidence(path, _line(text, words), None, None, " ".join(words)[:100])
    elif start is None and (known := _installed((name, *rest), scripts)) is not None:
        yield known, process.command, line


def _installed(words: tuple[str, ...], scripts: Mapping[str, str]) -> Start | None:
    """What a command of the project's own package runs."""
    name, rest = script(words)
    target = scripts.get(basename(name))
    if target is None:
        return None
    module, _, attribute = target.partition(":")
    server = "celery" if "celery" in rest else "python"
    return Start(server, "worker" if "worker" in rest else "job", module, attribute.partition("[")[0])


def _line(text: str, words: tuple[str, ...]) -> int | None:
    needle = next((word for word in words if len(word) > 3), "")
    return next((number for number, line in enumerate(text.splitlines(), 1) if needle and needle in line), None)


def _in_tree(program: Program, name: str, context: str, image: Image | None) -> str:
    """A file of the image (or of the context) in the repository, by its name."""
    stem = name.removeprefix("./")
    folders = [context, image.context if image else context, dirname(image.path) if image else context, ""]
    candidates = [normpath(join(folder, stem.lstrip("/"))) for folder in folders]
    for source, destination in image.copied if image else ():
        assert image is not None
        target = destination.rstrip("/")
        if basename(source) == basename(name):
            candidates.append(normpath(join(image.context, source)))
        if name.startswith(target + "/"):
            candidates.append(normpath(join(image.context, source, name[len(target) + 1 :])))
    for candidate in candidates:
        if candidate in program.files.paths:
            return candidate
    hits = [path for path in program.files.paths.called(basename(name)) if deployed(path)]
    return hits[0] if len(hits) == 1 else ""


def resolve(program: Program, start: Start, context: str, image: Image | None) -> str:
    """The file that ``start`` runs, or ``""`` when it is not in the tree."""
    folders = [context, *([*_copied(image), image.context, dirname(image.path)] if image else []), ""]
    if start.folder:
        folders = [normpath(join(folder, start.folder.lstrip("/"))) for folder in folders] + folders
    if not start.target:
        return _conventional(program, folders, start)
    if start.target.endswith(".py"):
        return _in_tree(program, start.target, context, image)
    if start.target.endswith(".ini"):
        return _pasted(program, _in_tree(program, start.target, context, image))
    names = [start.target, f"{start.target}.__main__" if start.server == "python" else f"{start.target}.celery"]
    if start.server == "celery" and "." in start.target:
        names.append(start.target.rpartition(".")[0])  # ``-A module.app``, as Celery's own find_app takes it
    for folder in dict.fromkeys(folders):
        for name in names:
            found = program.locate(name, join(folder, "_.py"))
            if not found:
                continue
            inner = (
                program.locate(f"{start.target}.__main__", join(folder, "_.py")) if start.server == "python" else None
            )
            if start.server == "celery" and found.endswith("__init__.py"):
                inner = program.locate(f"{start.target}.celery", join(folder, "_.py"))
            return inner or found
    return ""


def _copied(image: Image) -> list[str]:
    """The folders of the repository that lie in the image's working folder."""
    work = image.workdir.rstrip("/")
    found = [normpath(join(image.context, source)) for source, target in image.copied if target.rstrip("/") == work]
    return ["" if folder == "." else folder for folder in found]


def _pasted(program: Program, path: str) -> str:
    """The module that a PasteDeploy file's application comes from (``use = call:package.module:factory``)."""
    text = (program.files.text(path) if path else None) or ""
    for name in re.findall(r"^\s*use\s*=\s*(?:call|egg):([\w.]+)", text, re.MULTILINE):
        if found := program.locate(name, join(dirname(dirname(path)), "_.py")):
            return found
    return ""


def _conventional(program: Program, folders: list[str], start: Start) -> str:
    names = (
        ("wsgi.py", "app.py", "main.py", "manage.py")
        if start.role == "service"
        else ("worker.py", "tasks.py", "celery.py", "manage.py", "app.py")
    )
    for folder in folders:
        for name in names:
            if join(folder, name) in program.files.paths:
                return join(folder, name)
    return ""


def _by_app_object(program: Program, facts: Sequence[Fact], known: list[_Found]) -> list[_Found]:
    """Application objects in code, for projects that no process declaration starts."""
    started = {item.project for item in known if item.start.role == "service"}
    candidates: dict[str, list[_Found]] = {}
    for path in program.files.search(APP_TOKENS, ".py"):
        if not deployed(path) or any(part in SCRIPTS for part in path.split("/")[:-1]):
            continue
        project = _project(program, path)
        if project in started:
            continue
        module = program.module(path)
        found = _app_object(module) if module is not None else None
        if found is None or module is None:
            continue
        framework, line, text = found
        evidence = Evidence(path, line, None, None, text)
        server = _run_by(module) or ("uvicorn" if framework in {"fastapi", "starlette", "litestar"} else "")
        candidates.setdefault(project, []).append(
            _Found(
                Start(server, "service", path),
                path,
                project,
                evidence,
                None,
                [f"{evidence} makes a {framework} application"],
                (),
                framework,
            )
        )
    del facts
    return [_called(program, min(items, key=_entry_rank)) for items in candidates.values()]


def _called(program: Program, item: _Found) -> _Found:
    """The same application, started where its factory is called (``app = create_app()``): a server names that file."""
    module = program.module(item.entry)
    found = factory_call(program, module, FRAMEWORKS, _ENTRY_NAMES) if module is not None else None
    if found is None or _project(program, found[0]) != item.project:
        return item
    path, line, text = found
    evidence = Evidence(path, line, None, None, text)
    item.reasons.append(f"{evidence} calls the factory")
    start = replace(item.start, target=path)
    return _Found(start, path, item.project, evidence, None, item.reasons, (), item.framework)


def _entry_rank(item: _Found) -> tuple[int, int, str]:
    name = basename(item.entry)
    kind = _ENTRY_NAMES.index(name) if name in _ENTRY_NAMES else len(_ENTRY_NAMES)
    if item.framework == "django":
        kind = -2 if name == "wsgi.py" else -1 if name == "asgi.py" else kind
    return (kind, item.entry.count("/"), item.entry)


def _app_object(module: Module) -> tuple[str, int, str] | None:
    for call in module.calls:
        framework = FRAMEWORKS.get(module.qualify(call.func))
        if framework and not any(isinstance(parent, ast.ClassDef) for parent in module.ancestors(call)):
            return framework, call.lineno, module.source(call, 50)
    for name, item in module.aliases.items():
        if item.module == "functions_framework" or name == "functions_framework":
            return "functions-framework", item.line, "functions_framework"
    return None


def _run_by(module: Module) -> str:
    return "uvicorn" if any(module.qualify(call.func) == "uvicorn.run" for call in module.calls) else ""


def _jobs(program: Program, known: list[_Found]) -> list[_Found]:
    """Folders with their own manifest or Dockerfile and a script with a main guard: jobs."""
    taken = {item.project for item in known}
    found = []
    for path in sorted(path for path in program.files.paths.called(*_JOB_NAMES) if "/" in path):
        folder, name = dirname(path), basename(path)
        if folder in taken or not deployed(path):
            continue
        own = [join(folder, item) for item in ("Dockerfile", *_MANIFESTS) if join(folder, item) in program.files.paths]
        if not own or any(part in SCRIPTS for part in folder.split("/")):
            continue
        text = program.files.text(path) or ""
        if "__main__" not in text and name != "__main__.py":
            continue
        if _describes_infrastructure(program.module(path)):
            continue
        taken.add(folder)
        evidence = Evidence(path, None, None, None, 'if __name__ == "__main__"')
        found.append(
            _Found(Start("python", "job", path), path, folder, evidence, None, [f"{own[0]} stands beside {name}"])
        )
    return found


def _describes_infrastructure(module: Module | None) -> bool:
    imported = {item.module.partition(".")[0] for item in module.aliases.values()} if module is not None else set()
    return not _INFRASTRUCTURE.isdisjoint(imported)


def _merge(program: Program, found: list[_Found]) -> list[Service]:
    services: dict[tuple[str, str], list[_Found]] = {}
    workers: dict[str, list[_Found]] = {}
    for item in found:
        if item.start.role == "worker":
            workers.setdefault(item.project, []).append(item)
        else:
            services.setdefault((item.project, item.entry), []).append(item)
    _drop_helpers(program, services)
    _drop_doubles(program, services)
    result = []
    for (project, entry), items in sorted(services.items()):
        first = next((item for item in items if item.image is not None), items[0])
        owned = workers.pop(project, []) if first.start.role == "service" else []
        result.append(_service(program, first, entry, [reason for item in items for reason in item.reasons], owned))
    for _, items in sorted(workers.items()):
        result.append(_service(program, items[0], items[0].entry, items[0].reasons, items))
    return result


def _drop_helpers(program: Program, services: dict[tuple[str, str], list[_Found]]) -> None:
    """A script that a project's image runs besides its server (migrations, pre-start) is no component."""
    served = {
        project for (project, _), items in services.items() if any(item.start.role == "service" for item in items)
    }
    for key, items in list(services.items()):
        role = items[0].start.role
        if role == "job" and _serves(program, key[1]):
            for item in items:
                item.start = replace(item.start, role="service", server=_server_in(program, key[1]))
        elif (
            role == "job"
            and key[0] in served
            and any(item.image is None or item.words == () or item.scripted for item in items)
        ):
            del services[key]


def _drop_doubles(program: Program, services: dict[tuple[str, str], list[_Found]]) -> None:
    """One service that is started in two ways: a script that names or imports the application, ``runserver`` beside it."""
    for key in list(services):
        project, entry = key
        if key not in services:
            continue
        text = program.files.text(entry) or ""
        named = [program.locate(name, entry) for name in re.findall(r"\brun\(\s*[\"']([\w.]+):\w+[\"']", text)]
        if basename(entry) == "__main__.py":
            named += [path for path in program.imported(entry) if dirname(path) == dirname(entry)]
        for target in named:
            if target and target != entry and (project, target) in services:
                services[key].extend(services.pop((project, target)))
        development = all({"runserver", "runserver_plus"} & set(item.words) for item in services[key])
        others = [other for other in services if other != key and other[0] == project]
        if development and any(services[other][0].start.role == "service" for other in others):
            del services[key]


def _serves(program: Program, path: str) -> bool:
    text = program.files.text(path) or ""
    return any(
        token in text
        for token in (
            "uvicorn.run(",
            ".run(host",
            "serve_forever",
            "app.run(",
            "web.run_app(",
            "hypercorn",
            "waitress",
            "grpc.server(",
            "grpc.aio.server(",
            "start_polling",
            "run_polling",
            *APP_TOKENS[:6],
        )
    )


def _server_in(program: Program, path: str) -> str:
    text = program.files.text(path) or ""
    return "uvicorn" if "uvicorn.run(" in text else "python"


def _service(program: Program, item: _Found, entry: str, reasons: list[str], workers: list[_Found]) -> Service:
    module = program.module(entry)
    framework = item.framework
    if not framework and module is not None:
        app = _app_object(module)
        framework = app[0] if app else ("django" if basename(entry) == "manage.py" else "")
    fact = Component(
        name=basename(item.project),
        path=item.project or ".",
        role=item.start.role,
        framework=framework,
        entry_point=f"{entry}:{item.start.attribute}" if item.start.attribute else entry,
        server=item.start.server,
        start=item.words,
        reasons=tuple(dict.fromkeys(reasons)),
        evidence=(item.evidence,),
    )
    started = tuple((worker.start, worker.entry, worker.evidence) for worker in workers)
    return Service(
        fact, (entry,), item.image, started, "" if module is not None else f"{entry} cannot be read as Python"
    )


def _configured(program: Program, wanted: Component, services: list[Service]) -> Service:
    base = next((item for item in services if item.fact.path == wanted.path or item.fact.name == wanted.name), None)
    fact = base.fact if base is not None else wanted
    entry = wanted.entry_point.partition(":")[0] if wanted.entry_point else None
    entries = (entry,) if entry else (base.entries if base else ())
    fact = replace(
        fact,
        name=wanted.name,
        path=wanted.path,
        role=wanted.role or fact.role,
        server=wanted.server or fact.server,
        entry_point=wanted.entry_point or fact.entry_point,
        reasons=("named in sentry-audit.yaml", *(base.fact.reasons if base else ())),
    )
    missing = [path for path in entries if path not in program.files.paths]
    return Service(
        fact,
        entries,
        base.image if base else None,
        base.workers if base else (),
        f"{missing[0]} is not in the repository" if missing else "",
    )


def _named(services: list[Service], facts: Sequence[Fact]) -> list[Service]:
    packages = {dirname(fact.path): fact.package for fact in facts if isinstance(fact, Manifest) and fact.package}
    counts: dict[str, int] = {}
    names: list[str] = []
    for service in services:
        names.append(service.fact.name or packages.get(service.fact.folder, "") or "app")
        counts[names[-1]] = counts.get(names[-1], 0) + 1
    taken: set[str] = set()
    result = []
    for service, name in zip(services, names, strict=True):
        unique = name
        if counts[name] > 1:
            stem = (
                service.entries[0].removesuffix(".py").removesuffix("/__init__")
                if service.entries
                else service.fact.path
            )
            unique = stem.replace("/", "-")
        while unique in taken:
            unique += "-2"
        taken.add(unique)
        result.append(replace(service, fact=replace(service.fact, name=unique, component=unique)))
    return result
