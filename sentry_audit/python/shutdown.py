"""Whether events that are queued when a process ends are still sent.

Measured with SIGTERM on the real servers: gunicorn's own workers, hypercorn, Celery and ``python main.py`` run
the SDK's ``atexit`` flush; uvicorn (also as gunicorn's worker class) re-raises the signal and loses the queue.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from sentry_audit.facts import JobExit, Shutdown
from sentry_audit.model import Evidence
from sentry_audit.python.module import FunctionNode
from sentry_audit.python.values import place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit.python.module import Module
    from sentry_audit.python.program import Program

_LOSES = frozenset({"uvicorn", "gunicorn+uvicorn"})
_SURE = frozenset({"gunicorn", "hypercorn", "celery", "flask", "django", "python"})
_FLUSH = re.compile(r"\b(?:sentry_sdk\.)?flush\(|get_client\(\)\.close\(|\.close\(timeout")


def shutdown(program: Program, paths: Iterable[str], server: str) -> list[Shutdown]:
    """One fact: whether ``server`` lets the SDK flush at SIGTERM, or the code in ``paths`` does."""
    if server in _SURE:
        return [Shutdown(server=server, evidence=(Evidence(None, saw=f"{server} runs the SDK's own flush at exit"),))]
    where, elsewhere = _flushed(program, paths)
    if where is not None:
        return [Shutdown(server=server, evidence=(where,))]
    if server not in _LOSES:
        why = f"what {server or 'an unknown server'} does with queued events at SIGTERM was not measured, and nothing flushes"
        return [Shutdown(server=server, unknown=why)]
    return [
        Shutdown(
            server=server,
            flushes=False,
            elsewhere=str(elsewhere or ""),
            problem=f"{server} loses queued events at SIGTERM, and nothing flushes on shutdown",
        )
    ]


def _flushed(program: Program, paths: Iterable[str]) -> tuple[Evidence | None, Evidence | None]:
    """(a flush that runs on shutdown: after a lifespan's yield, in a hook, in a signal handler; else the first other)."""
    elsewhere: Evidence | None = None
    for path in paths:
        text = program.files.text(path) or ""
        if "sentry_sdk" not in text or not _FLUSH.search(text):
            continue
        module = program.module(path)
        for call in module.calls if module is not None else ():
            assert module is not None
            name = module.qualify(call.func)
            client = isinstance(call.func, ast.Attribute) and re.search(
                r"get_client\(\)\.close$", ast.unparse(call.func)
            )
            if name not in {"sentry_sdk.flush", "sentry_sdk.api.flush"} and not client:
                continue
            if _on_shutdown(program, module, call, paths):
                return place(module, call), None
            elsewhere = elsewhere or place(module, call)
    return None, elsewhere


def _on_shutdown(program: Program, module: Module, call: ast.Call, paths: Iterable[str], depth: int = 0) -> bool:
    function = module.function_of(call)
    if function is None or depth > 2:
        return False
    if any(isinstance(node, ast.Yield) and node.lineno < call.lineno for node in ast.walk(function)):
        return True
    decorators = " ".join(ast.unparse(item) for item in function.decorator_list)
    if "shutdown" in decorators or "after_serving" in decorators:
        return True
    for path in paths:
        text = program.files.text(path) or ""
        if function.name not in text:
            continue
        other = program.module(path)
        for use in other.calls if other is not None else ():
            assert other is not None
            words = ast.unparse(use)
            if not re.search(rf"\b{re.escape(function.name)}\b", words):
                continue
            if re.match(
                r"(signal\.signal|.*add_signal_handler|.*add_event_handler|atexit\.register|.*on_shutdown)", words
            ):
                return True
            named = use.func.attr if isinstance(use.func, ast.Attribute) else getattr(use.func, "id", "")
            if named == function.name and _on_shutdown(program, other, use, paths, depth + 1):
                return True
            if any(keyword.arg == "on_shutdown" for keyword in use.keywords):
                return True
    return False


def job_exit(program: Program, paths: Iterable[str], worker: str) -> list[JobExit]:
    """Exits in ``paths`` that pass by the SDK's flush: ``os._exit``, forked children, RQ's work horse.

    ``worker`` is what runs the component; RqIntegration flushes by itself and is enabled automatically.
    """
    found: list[JobExit] = []
    for path in paths:
        text = program.files.text(path) or ""
        if "_exit" not in text and "multiprocessing" not in text and "os.fork" not in text:
            continue
        module = program.module(path)
        if module is None:
            continue
        for call in module.calls:
            name = module.qualify(call.func)
            if name == "os._exit" and not _flush_before(module, call):
                problem = "os._exit() ends the process at once: what the SDK has queued is not sent"
                found.append(JobExit(flushes=False, problem=problem, evidence=(place(module, call),)))
            elif name in {"multiprocessing.Process", "multiprocessing.context.Process"}:
                fact = _child(program, module, call)
                if fact is not None:
                    found.append(fact)
    if not found and worker in {"python", "rq", "celery"}:
        return [JobExit(evidence=(Evidence(None, saw="it ends normally: the SDK flushes at exit"),))]
    return found


def _flush_before(module: Module, call: ast.Call) -> bool:
    function = module.function_of(call)
    body: ast.AST = function if function is not None else module.tree
    return any(
        isinstance(node, ast.Call) and node.lineno <= call.lineno and "flush" in ast.unparse(node.func)
        for node in ast.walk(body)
    )


def _child(program: Program, module: Module, call: ast.Call) -> JobExit | None:
    """A child of multiprocessing ends by ``os._exit``; it loses errors unless its target flushes."""
    target = next((item.value for item in call.keywords if item.arg == "target"), None)
    if not isinstance(target, ast.Name):
        return None
    found = program.define(module, target.id)
    if found is None or not isinstance(found[1][-1], FunctionNode):
        return None
    if "flush" in ast.unparse(found[1][-1]):
        return JobExit(evidence=(place(module, call),))
    problem = f"{target.id} runs in a child of multiprocessing, which ends without the SDK's flush"
    return JobExit(flushes=False, problem=problem, evidence=(place(module, call),))
