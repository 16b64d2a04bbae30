"""What a start command starts: which server, which kind of process, which module or file."""

from __future__ import annotations

from posixpath import basename

from msgspec import Struct

#: Programs that only wrap the command that follows them.
_WRAPPERS = frozenset(
    {"exec", "dumb-init", "tini", "/tini", "/sbin/tini", "su-exec", "gosu", "opentelemetry-instrument", "ddtrace-run",
     "sentry-run", "nice", "time", "env", "command", "/usr/bin/env", "uvx", "xvfb-run"}
)  # fmt: skip
_RUNNERS = frozenset(
    {("poetry", "run"), ("uv", "run"), ("pipenv", "run"), ("pdm", "run"), ("hatch", "run"), ("rye", "run"),
     ("newrelic-admin", "run-program"), ("doppler", "run"), ("python", "-u"), ("python3", "-u")}
)  # fmt: skip
_SHELLS = frozenset({"sh", "bash", "/bin/sh", "/bin/bash", "ash", "zsh", "/usr/bin/bash", "/bin/ash"})
#: Options that take a value, so that the value is not mistaken for the target.
_VALUED = frozenset(
    {"--host", "--port", "-b", "--bind", "-w", "--workers", "-k", "--worker-class", "--threads", "-t", "--timeout", "-c",
     "--config", "--log-level", "--log-config", "--app-dir", "--chdir", "-n", "--name", "-p", "-e", "--env", "--loop", "--http",
     "--ws", "--ssl-keyfile", "--ssl-certfile", "--root-path", "--forwarded-allow-ips", "--access-logfile", "--error-logfile",
     "--max-requests", "--max-requests-jitter", "--keep-alive", "--graceful-timeout", "--worker-tmp-dir", "--interface",
     "--limit-concurrency", "--timeout-keep-alive", "--backlog", "--env-file", "--reload-dir", "--limit-max-requests", "-u",
     "--user", "--group", "-g", "--pid", "--statsd-host", "--preload-app", "--log-file", "--timeout-graceful-shutdown",
     "--factory-args", "--unix-socket-perms", "--fd", "--uds", "-m", "--umask", "--access-logformat", "--worker-connections"}
)  # fmt: skip


class Start(Struct, frozen=True):
    """``server``: what serves or runs; ``role``: service, worker or job; ``target``: dotted module or file.

    ``folder`` is a folder the command changes to; ``attribute`` the object after the colon;
    ``script`` is a shell script that has to be read to know more.
    """

    server: str
    role: str
    target: str = ""
    attribute: str = ""
    folder: str = ""
    script: str = ""


def parse(command: tuple[str, ...]) -> Start | None:
    """What ``command`` starts, or None when it starts nothing that we audit."""
    words = _unwrap(list(command))
    if not words:
        return None
    program, rest = basename(words[0]), words[1:]
    if words[0] in _SHELLS:
        if rest and rest[0] in {"-c", "-ec", "-lc", "-xec", "-euxc"} and len(rest) > 1:
            import shlex

            try:
                return parse(tuple(shlex.split(rest[1].split("&&")[-1])))
            except ValueError:
                return None
        scripts = [word for word in rest if not word.startswith("-")]
        return Start("", "service", script=scripts[0]) if scripts else None
    if program.endswith(".sh"):
        return Start("", "service", script=words[0])
    if program.startswith(("python", "pypy")):
        return _python(rest)
    if program == "manage.py":
        return _manage(words[0], rest)
    if program.endswith(".py"):
        return Start("python", "job", words[0])
    return _program(program, rest)


def _unwrap(words: list[str]) -> list[str]:
    while words:
        head = words[0]
        if "=" in head and not head.startswith("-") and head.split("=")[0].replace("_", "").isalnum():
            words = words[1:]
        elif head in _WRAPPERS or basename(head) in _WRAPPERS or head == "--":
            words = words[1:]
            while words and words[0].startswith("-"):
                words = words[1:]
        elif len(words) > 1 and (basename(head), words[1]) in _RUNNERS:
            keep = [head] if basename(head).startswith("python") else []
            words = keep + words[2:]
            while not keep and words and words[0].startswith("-"):
                words = words[1:]
        else:
            return words
    return words


def _python(rest: list[str]) -> Start | None:
    while rest and rest[0].startswith("-") and rest[0] not in {"-m", "-c"}:
        rest = rest[2:] if rest[0] in {"-W", "-X"} else rest[1:]
    if not rest or rest[0] == "-c":
        return None
    if rest[0] == "-m" and len(rest) > 1:
        known = _program(rest[1], rest[2:])
        return known or Start("python", "job", rest[1])
    script, arguments = rest[0], rest[1:]
    if basename(script) == "manage.py":
        return _manage(script, arguments)
    return Start("python", "job", script) if script.endswith(".py") else None


def _manage(script: str, arguments: list[str]) -> Start | None:
    command = arguments[0] if arguments else ""
    if command in {"runserver", "runserver_plus", "daphne", "rungunicorn"}:
        return Start("django", "service", script)
    workers = {
        "rqworker": "rq",
        "qcluster": "django-q",
        "celery": "celery",
        "process_tasks": "python",
        "huey": "huey",
        "run_huey": "huey",
        "rundramatiq": "dramatiq",
        "db_worker": "python",
    }
    if command in workers:
        return Start(workers[command], "worker", script)
    if command == "rq" and {"worker", "scheduler"} & set(arguments):
        return Start("rq", "worker", script)
    return None


def script(command: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """(the program, its arguments) of a command that ``parse`` does not know, without what only wraps it."""
    words = _unwrap(list(command))
    return (words[0], tuple(words[1:])) if words else ("", ())


def _program(program: str, rest: list[str]) -> Start | None:
    target = _target(rest)
    folder = _option(rest, "--app-dir", "--chdir")
    module, _, attribute = target.partition(":")
    match program:
        case "uvicorn" | "hypercorn" | "daphne" | "granian":
            return Start(program, "service", module, attribute, folder) if target else None
        case "gunicorn":
            worker = _option(rest, "-k", "--worker-class")
            server = "gunicorn+uvicorn" if "uvicorn" in worker.lower() else "gunicorn"
            if paste := _option(rest, "--paste", "--paster"):
                return Start(server, "service", paste)
            return Start(server, "service", module, attribute.split("(")[0], folder)
        case "uwsgi":
            return Start("uwsgi", "service", _option(rest, "--module", "-w", "--wsgi-file").partition(":")[0])
        case "fastapi" | "flask":
            return _framework(program, rest)
        case "celery":
            name = _option(rest, "-A", "--app")
            role = "worker" if {"worker", "beat"} & set(rest) else ""
            return Start("celery", "worker", name.partition(":")[0]) if role else None
        case "arq" | "dramatiq" | "taskiq" | "huey_consumer" | "huey_consumer.py" | "saq" | "faststream":
            words = [word for word in rest if not word.startswith("-") and word not in {"worker", "run"}]
            module = words[0].partition(":")[0] if words else ""
            return Start(
                program.removesuffix(".py"), "worker", module.rsplit(".", 1)[0] if program in {"arq", "saq"} else module
            )
        case "rq":
            return Start("rq", "worker", _option(rest, "-c", "--config")) if "worker" in rest else None
        case "functions-framework" | "functions_framework":
            return Start(
                "functions-framework", "service", _option(rest, "--source") or "main.py", _option(rest, "--target")
            )
        case "chalice" | "streamlit":
            words = [word for word in rest if word.endswith(".py")]
            return Start(program, "service", words[0]) if words else None
    return None


def _framework(program: str, rest: list[str]) -> Start | None:
    words = [word for word in rest if not word.startswith("-")]
    if program == "flask":
        if "run" not in words:
            return None
        name = _option(rest, "--app", "-A")
        return Start("flask", "service", name.partition(":")[0])
    if words[:1] not in (["run"], ["dev"]):
        return None
    return Start("uvicorn", "service", next((word for word in words[1:] if word.endswith(".py")), "main.py"))


def _option(words: list[str], *names: str) -> str:
    for index, word in enumerate(words):
        if word in names and index + 1 < len(words):
            return words[index + 1]
        for name in names:
            if word.startswith(f"{name}="):
                return word.split("=", 1)[1]
    return ""


def _target(words: list[str]) -> str:
    """The first word that is neither an option nor an option's value; one with a colon wins."""
    plain = []
    skip = False
    for word in words:
        if skip:
            skip = False
            continue
        if word.startswith("-"):
            skip = "=" not in word and word in _VALUED
            continue
        plain.append(word)
    return next((word for word in plain if ":" in word and "/" not in word), plain[0] if plain else "")
