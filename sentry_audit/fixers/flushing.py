"""Events that are queued when a process ends are sent: on shutdown, before ``os._exit``, at the end of a child.

The SDK's own flush runs at exit, which uvicorn's re-raised SIGTERM, ``os._exit`` and forked children pass by.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING

from sentry_audit.fixers.common import changed, python_files, sdk_missing, source_of
from sentry_audit.fixers.pycalls import add_arguments, argument
from sentry_audit.fixers.pyimports import add_import, sdk
from sentry_audit.fixers.webapp import find_app
from sentry_audit.fixing import Refusal
from sentry_audit.python.module import FunctionNode

if TYPE_CHECKING:
    from sentry_audit.fixers.pysource import Source
    from sentry_audit.fixers.webapp import App
    from sentry_audit.fixing import Case, Change, Fixer
    from sentry_audit.python.module import Module

#: Cloud Run kills ten seconds after SIGTERM.
_FLUSH = "flush(timeout=5)"
_PASTE = ("sentry_sdk.flush(timeout=5)  # after the yield of the lifespan",)


def on_shutdown(case: Case) -> Change | Refusal:
    """Flush where the application shuts down: in its lifespan or shutdown handler, or in a lifespan made for it."""
    refused = sdk_missing(case)
    if refused is not None:
        return refused
    app = find_app(case)
    if app is None:
        return Refusal(reason="the application that is served is not made in one plain call", commands=_PASTE)
    if app.framework not in {"fastapi", "starlette"}:
        return Refusal(reason=f"where {app.framework} shuts down was not followed", commands=_PASTE)
    given = argument(app.call, "lifespan")
    if given is not None:
        return _in_lifespan(case, app, given.value)
    hooks = _hooks(case)
    if hooks["shutdown"]:
        module, function = hooks["shutdown"][0]
        return _at_end(case, module, function)
    if hooks["startup"]:
        return _shutdown_hook(case, app, hooks["startup"])
    if argument(app.call, "on_startup") or argument(app.call, "on_shutdown"):
        return Refusal(reason=f"{app.module.path} lists functions for on_startup or on_shutdown", commands=_PASTE)
    if any(item.arg is None for item in app.call.keywords):
        return Refusal(reason=f"{app.class_name} is given options that were not followed", commands=_PASTE)
    return _new_lifespan(case, app)


def _in_lifespan(case: Case, app: App, value: ast.expr) -> Change | Refusal:
    target = case.program.define(app.module, value.id) if isinstance(value, ast.Name) else None
    function = target[1][-1] if target is not None else None
    if target is None or not isinstance(function, FunctionNode):
        return Refusal(reason=f"the lifespan {ast.unparse(value)} is no function of the repository", commands=_PASTE)
    own = [node for node in ast.walk(function) if target[0].function_of(node) is function]
    yields = [node for node in own if isinstance(node, ast.Yield)]
    if len(yields) != 1 or any(isinstance(node, ast.Return) for node in own):
        return Refusal(reason=f"{function.name} does not end after one yield", commands=_PASTE)
    return _at_end(case, target[0], function, yields[0])


def _at_end(case: Case, module: Module, function: FunctionNode, pause: ast.Yield | None = None) -> Change | Refusal:
    """Flush as the last thing that ``function`` does; where it yields, in the ``finally`` around the yield if any."""
    source = source_of(case, module.path)
    if source is None:
        return Refusal(reason=f"{module.path} is no code that can be edited", commands=_PASTE)
    body = function.body
    if pause is not None:
        for around in reversed(source.module.ancestors(pause)):
            if isinstance(around, ast.Try) and around.finalbody and function in source.module.ancestors(around):
                body = around.finalbody
                break
    lines = sdk(source, case.program).call(_FLUSH)
    last = body[-1]
    if isinstance(last, ast.Return):
        source.before(last, lines)
    elif isinstance(last, ast.Pass) and len(body) == 1:
        source.into_body(body, lines)
    else:
        source.after(last, lines)
    return changed(f"will send what is queued when {function.name} ends, in {module.path}", [source], safety="safe")


def _hooks(case: Case) -> dict[str, list[tuple[Module, FunctionNode]]]:
    """The functions that run on startup and shutdown: decorated, or registered by a call."""
    found: dict[str, list[tuple[Module, FunctionNode]]] = {"startup": [], "shutdown": []}
    for path in python_files(case, ("on_event(", "add_event_handler(")):
        module = case.program.module(path)
        for call in module.calls if module is not None else ():
            assert module is not None
            name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            event = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
            if event not in found:
                continue
            around = module.parents.get(call)
            if name == "on_event" and isinstance(around, FunctionNode):
                found[str(event)].append((module, around))
            elif name == "add_event_handler" and len(call.args) == 2 and isinstance(call.args[1], ast.Name):
                target = case.program.define(module, call.args[1].id)
                if target is not None and isinstance(target[1][-1], FunctionNode):
                    found[str(event)].append((target[0], target[1][-1]))
    return found


def _shutdown_hook(case: Case, app: App, startup: list[tuple[Module, FunctionNode]]) -> Change | Refusal:
    """Beside a startup handler, since a lifespan would keep that from running."""
    here = [
        function
        for module, function in startup
        if module is app.module
        and any(ast.unparse(item).startswith(f"{app.name}.on_event(") for item in function.decorator_list)
    ]
    source = source_of(case, app.module.path)
    if not here or source is None:
        return Refusal(
            reason="startup handlers are registered elsewhere, and a lifespan would replace them", commands=_PASTE
        )
    function = here[-1]
    # A handler in a condition is not always registered: this one is, after it.
    anchor = next((item for item in app.block if item is function or item in app.module.ancestors(function)), None)
    if anchor is None:
        return Refusal(reason="startup handlers are registered elsewhere than the application is made", commands=_PASTE)
    lines = sdk(source, case.program).call(_FLUSH)
    returns = " -> None" if source.annotated else ""
    blank = [""] if app.module.function_of(function) else ["", ""]
    source.after(
        anchor,
        [
            *blank,
            source.quoted(f'@{app.name}.on_event("shutdown")'),
            f"def flush_sentry(){returns}:",
            *(source.unit + line for line in lines),
        ],
    )
    return changed(f"will send what is queued on shutdown, in {app.module.path}", [source], safety="safe")


def _new_lifespan(case: Case, app: App) -> Change | Refusal:
    source = source_of(case, app.module.path)
    if source is None:
        return Refusal(reason=f"{app.module.path} is no code that can be edited", commands=_PASTE)
    taken = source.names()
    name = next(item for item in ("lifespan", "app_lifespan", "flush_at_shutdown") if item not in taken)
    kind = ""
    if source.annotated:
        iterator = add_import(source, case.program, "collections.abc", "AsyncIterator")
        kind = f" -> {iterator}[None]"
    manager = add_import(source, case.program, "contextlib", "asynccontextmanager")
    typed = f": {app.class_name}" if source.annotated else ""
    lines = sdk(source, case.program).call(_FLUSH)
    step = source.unit
    source.define_above(
        app.statement,
        [
            f"@{manager}",
            f"async def {name}(_{app.name}{typed}){kind}:",
            f'{step}"""Send what is queued at the end: SIGTERM passes by the SDK\'s own flush."""',
            f"{step}yield",
            *(step + line for line in lines),
        ],
    )
    add_arguments(source, app.call, [f"lifespan={name}"])
    return changed(
        f"will give {app.name} a lifespan that sends what is queued, in {app.module.path}", [source], safety="safe"
    )


# --- processes that end at once -----------------------------------------------------------------


def before_exit(case: Case) -> Change | Refusal:
    """Flush before ``os._exit``, and when the function ends that a child process runs."""
    refused = sdk_missing(case)
    if refused is not None:
        return refused
    sources: dict[str, Source] = {}
    for place in case.finding.evidence:
        if not place.path or not place.line:
            continue
        module = case.program.module(place.path)
        calls = [item for item in module.calls if item.lineno == place.line] if module is not None else []
        for call in calls:
            assert module is not None
            name = module.qualify(call.func)
            if name == "os._exit":
                source = sources.get(module.path) or source_of(case, module.path)
                if source is None:
                    return Refusal(reason=f"{module.path} is no code that can be edited")
                sources[module.path] = source
                statement = next(item for item in module.ancestors(call) if isinstance(item, ast.stmt))
                if not isinstance(statement, ast.Expr):
                    return Refusal(reason=f"os._exit is part of a larger statement at {place}")
                source.before(statement, sdk(source, case.program).call(_FLUSH))
            elif name.startswith("multiprocessing.") and name.endswith("Process"):
                told = _child(case, module, call, sources)
                if told:
                    return Refusal(reason=told, commands=("sentry_sdk.flush(timeout=5)  # at the end of the child",))
    if not sources:
        return Refusal(reason="the exit was not found as a call of its own")
    return changed(
        f"will send what is queued before the process ends, in {', '.join(sources)}", sources.values(), safety="review"
    )


def _child(case: Case, module: Module, call: ast.Call, sources: dict[str, Source]) -> str:
    """Flush however the child's function ends; why not, if that cannot be written around it."""
    given = argument(call, "target")
    target = case.program.define(module, given.value.id) if given and isinstance(given.value, ast.Name) else None
    if target is None or not isinstance(target[1][-1], FunctionNode):
        return "what the child process runs is no function of the repository"
    home, function = target[0], target[1][-1]
    source = sources.get(home.path) or source_of(case, home.path)
    if source is None:
        return f"{home.path} is no code that can be edited"
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    if not body or body[0].lineno == function.lineno:
        return f"{function.name} has no block of its own lines"
    first, last = source.above(body[0]), body[-1].end_lineno
    assert last is not None
    if _spans_lines(source, first, last):
        return f"{function.name} holds a text of several lines, which would move"
    sources[home.path] = source
    lines = sdk(source, case.program).call(_FLUSH)
    indent, step = source.indent(body[0].lineno), source.unit
    for number in range(first, last + 1):
        if source.line(number).strip():
            source.insert(source.line_start(number), (f"{indent}try:\n" if number == first else "") + step)
    source.insert_lines(last + 1, [f"{indent}finally:", *(indent + step + line for line in lines)])
    return ""


def _spans_lines(source: Source, first: int, last: int) -> bool:
    """Whether a string goes over a line end between two lines: an indentation would change it."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(source.text, newline="").readline):
            if first <= token.start[0] <= last and token.start[0] != token.end[0]:
                if re.match(r"STRING|FSTRING_MIDDLE", tokenize.tok_name[token.type]):
                    return True
    except (tokenize.TokenError, SyntaxError):
        return True
    return False


FIXERS: dict[str, Fixer] = {"backend-flush-on-shutdown": on_shutdown, "job-flush": before_exit}
