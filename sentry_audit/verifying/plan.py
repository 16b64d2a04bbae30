"""How a component is booted here: its own start command, on a port of this machine, one process."""

from __future__ import annotations

import shlex
from posixpath import basename
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.python.starts import parse, script

if TYPE_CHECKING:
    from sentry_audit.facts import Component

_SHELLS = frozenset({"sh", "bash", "ash", "zsh"})
#: Options that say where it listens, how often it runs, or that it watches its files: here verify says so.
_DROPPED = {
    "uvicorn": {"--host": 1, "--port": 1, "--uds": 1, "--fd": 1, "--workers": 1, "--loop": 1, "--app-dir": 1, "--reload": 0,
                "--reload-dir": 1, "--ssl-keyfile": 1, "--ssl-certfile": 1, "--env-file": 1},
    "gunicorn": {"-b": 1, "--bind": 1, "-w": 1, "--workers": 1, "--chdir": 1, "--reload": 0, "-D": 0, "--daemon": 0, "-p": 1,
                 "--pid": 1, "-u": 1, "--user": 1, "-g": 1, "--group": 1, "--certfile": 1, "--keyfile": 1, "--access-logfile": 1,
                 "--error-logfile": 1, "--log-file": 1, "--worker-tmp-dir": 1},
    "hypercorn": {"-b": 1, "--bind": 1, "-w": 1, "--workers": 1, "--reload": 0, "-k": 1, "--worker-class": 1},
    "fastapi": {"--host": 1, "--port": 1, "--workers": 1, "--reload": 0},
    "flask": {"--host": 1, "-h": 1, "--port": 1, "-p": 1, "--debug": 0, "--reload": 0},
    "celery": {"-b": 1, "--broker": 1, "--result-backend": 1, "-c": 1, "--concurrency": 1, "-B": 0, "--beat": 0, "-Q": 1,
               "--queues": 1, "--autoscale": 1, "-D": 0, "--detach": 0, "--pidfile": 1, "-f": 1, "--logfile": 1},
}  # fmt: skip
_ASGI = frozenset({"fastapi", "starlette", "quart", "litestar", "sanic"})
#: What the application object is nearly always called, where its name was not found.
_NAMES = {"fastapi": "app", "starlette": "app", "flask": "app", "django": "application"}
_WSGI = frozenset({"flask", "django", ""})


class Boot(Struct, frozen=True, kw_only=True):
    """What is executed: ``argv`` in ``folder`` (below the root, ``""`` for it).

    ``unknown`` says why that is not known; ``needs`` are the modules that the interpreter has to have; ``server`` is what
    runs in the end; ``notes`` are what differs from the deployment.
    """

    argv: tuple[str, ...] = ()
    folder: str = ""
    server: str = ""
    needs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unknown: str = ""


def plan(
    component: Component,
    python: str,
    port: int,
    command: str = "",
    application: tuple[str, bool] = ("", False),
    *,
    named: bool = False,
) -> Boot:
    """How ``component`` is booted with the interpreter ``python`` on ``port``; ``command`` is the user's own.

    ``application`` is (the name of the application in its entry point, whether that is a factory), for one without a start
    command. ``named``: the user asked for this very component.
    """
    if command:
        words = tuple(word.replace("{port}", str(port)) for word in shlex.split(command))
        if words and basename(words[0]).startswith("python"):
            words = (python, *words[1:])
        return Boot(argv=words, folder=component.folder, server=component.server, notes=("the command is yours",))
    words = _words(component.start)
    start = parse(words) if words else None
    if component.role == "job" and (start is None or start.server == "python"):
        return _job(component, words, python, named=named)
    if component.role != "service" and (start is None or start.server != "celery"):
        kind = f"{component.role} of {component.server}" if component.server not in {"", "python"} else component.role
        return Boot(unknown=f"verify boots services, jobs and Celery workers, no {kind}: nothing of it is executed")
    if start is None or (not start.target and start.server != "celery"):
        return _by_object(component, python, port, application)
    name, arguments = script(words)
    program = basename(name)
    if program.startswith("python") and arguments[:1] == ("-m",):
        program, arguments = arguments[1], arguments[2:]
    folder = _folder(component, start.target)
    if program in _DROPPED:
        kept = _without(arguments, _DROPPED[program])
        return Boot(
            argv=(python, "-m", program, *_served(program, kept, port)),
            folder=folder,
            server=start.server,
            needs=(program,),
        )
    if start.server == "django":
        served = (python, start.target or "manage.py", "runserver", f"127.0.0.1:{port}", "--noreload")
        return Boot(argv=served, folder=folder, server="django", needs=("django",))
    if program.startswith("python") or program.endswith(".py"):
        argv = (python, *(arguments if program.startswith("python") else (name, *arguments)))
        return Boot(argv=argv, folder=folder, server=start.server)
    return _by_object(component, python, port, application)


def _job(component: Component, words: tuple[str, ...], python: str, *, named: bool) -> Boot:
    """A job is run to its end, with all that it does: only one that was named."""
    if not named:
        text = f"a job is run to its end, with all that it does: name it to have it executed (--component {component.name})"
        return Boot(unknown=text)
    name, arguments = script(words) if words else ("python", (component.entry_point or "",))
    given = list(arguments if basename(name).startswith("python") else (name, *arguments))
    while given and given[0].startswith("-") and given[0] != "-m":
        del given[: 2 if given[0] in {"-X", "-W"} else 1]
    if not given or not (given[0] == "-m" or given[0].endswith(".py")):
        return Boot(unknown="how it is started is not known (say it: --command 'python job.py')")
    folder = _folder(component, given[1] if given[0] == "-m" else given[0]) if words else ""
    return Boot(argv=(python, "-m", "sentry_audit_job", *given), folder=folder, server="job")


def _words(start: tuple[str, ...]) -> tuple[str, ...]:
    """The command without the shell around it; what it does before (``&&``) is left out."""
    if start and basename(start[0]) in _SHELLS and len(start) > 2 and start[1].lstrip("-").endswith("c"):
        try:
            return tuple(shlex.split(start[2].split("&&")[-1]))
        except ValueError:
            return ()
    return start


def _without(words: tuple[str, ...], dropped: dict[str, int]) -> tuple[str, ...]:
    kept: list[str] = []
    skip = 0
    for word in words:
        if skip:
            skip -= 1
            continue
        head = word.split("=", 1)[0]
        if head in dropped:
            skip = dropped[head] if "=" not in word else 0
            continue
        kept.append(word)
    return tuple(kept)


def _served(program: str, words: tuple[str, ...], port: int) -> tuple[str, ...]:
    here = f"127.0.0.1:{port}"
    match program:
        case "uvicorn":
            return (*words, "--host", "127.0.0.1", "--port", str(port), "--loop", "asyncio")
        case "gunicorn" | "hypercorn":
            return (*words, "-b", here, "-w", "1")
        case "celery":
            at = next((index for index, word in enumerate(words) if word in {"worker", "beat"}), len(words))
            front = (*words[:at], "-b", "memory://", "--result-backend", "disabled://")
            return (*front, *words[at:], "--concurrency", "1", "--without-gossip", "--without-mingle")
    return (*words, "--host", "127.0.0.1", "--port", str(port))


def _folder(component: Component, target: str) -> str:
    """The folder that ``target`` is imported from: the entry's path less the module's own."""
    path = (component.entry_point or "").partition(":")[0]
    if target.endswith(".py"):
        tail = target.lstrip("./")
        return path[: -len(tail)].rstrip("/") if path.endswith(tail) else component.folder
    stem = target.replace(".", "/")
    for tail in (f"{stem}.py", f"{stem}/__init__.py", f"{stem}/__main__.py", f"{stem}/celery.py"):
        if path == tail or path.endswith(f"/{tail}"):
            return path[: -len(tail)].rstrip("/")
    return component.folder


def _by_object(component: Component, python: str, port: int, application: tuple[str, bool]) -> Boot:
    """A component of which only the application object or its factory is known: a server of its kind."""
    path, _, attribute = (component.entry_point or "").partition(":")
    name, is_factory = application
    is_factory = is_factory and attribute in {"", name}
    attribute = attribute or name or _NAMES.get(component.framework, "")
    if not path.endswith(".py") or not attribute:
        reason = "how it is started is not known (say it: --command 'uvicorn app:app --port {port}')"
        return Boot(unknown=reason)
    folder = component.folder
    inside = path[len(folder) :].lstrip("/") if folder else path
    if inside.startswith("src/"):
        folder, inside = f"{folder}/src".lstrip("/"), inside[4:]
    module = inside.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    note = f"no start command was found: {attribute} of {path} is served"
    if component.framework in _ASGI:
        factory = ("--factory",) if is_factory else ()
        argv = (python, "-m", "uvicorn", *factory, f"{module}:{attribute}", *_served("uvicorn", (), port))
        return Boot(argv=argv, folder=folder, server="uvicorn", needs=("uvicorn",), notes=(note,))
    if component.framework in _WSGI:
        argv = (python, "-m", "sentry_audit_serve", f"{module}:{attribute}", str(port))
        return Boot(argv=argv, folder=folder, server="wsgiref", notes=(note,))
    return Boot(unknown=f"verify knows no server for {component.framework}")


def without_server(boot: Boot, component: Component, port: int) -> Boot:
    """``boot`` with Python's own server, where the deployed one is not installed here; only for WSGI."""
    start = parse(_words(component.start)) if component.start else None
    if boot.server != "gunicorn" or start is None or not start.target:
        return boot
    argv = (boot.argv[0], "-m", "sentry_audit_serve", f"{start.target}:{start.attribute or 'application'}", str(port))
    return Boot(argv=argv, folder=boot.folder, server="wsgiref", notes=(*boot.notes, "gunicorn is not installed here"))
