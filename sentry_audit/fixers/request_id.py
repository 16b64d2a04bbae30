"""Each request's id on what it sends: where the project makes one already, else in a small middleware of its own."""

from __future__ import annotations

import ast
import re
from posixpath import basename, dirname, join
from typing import TYPE_CHECKING

from sentry_audit.fixers.common import changed, sdk_missing, source_of
from sentry_audit.fixers.pyimports import add_import, add_names, sdk
from sentry_audit.fixers.request_templates import ASGI, BASE, CLASS, DJANGO, class_lines, module_text
from sentry_audit.fixers.webapp import dotted, find_app, loaded
from sentry_audit.fixing import Edit, Refusal
from sentry_audit.python.module import FunctionNode
from sentry_audit.python.paths import deployed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.fixers.pysource import Source
    from sentry_audit.fixers.request_templates import Template
    from sentry_audit.fixers.webapp import App
    from sentry_audit.fixing import Case, Change, Fixer
    from sentry_audit.python.module import Import, Module

_ID = re.compile(r"(?:^|\.|_)(?:request|correlation|req)_?id$", re.IGNORECASE)
_PASTE = ('sentry_sdk.set_tag("request_id", request_id)  # in a middleware',)


def tag_request(case: Case) -> Change | Refusal:
    """Tag events with the id of their request."""
    refused = sdk_missing(case)
    if refused is not None:
        return refused
    found = _present(case)
    if found is not None:
        module, statement, expression = found
        source = source_of(case, module.path)
        if source is not None:
            lines = sdk(source, case.program).call(source.quoted(f'set_tag("request_id", {expression})'))
            source.after(statement, lines)
            return changed(f"will tag events with {expression}, in {module.path}", [source], safety="safe")
    if case.component.framework == "django":
        return _django(case)
    app = find_app(case)
    if app is None:
        return Refusal(reason="the application that is served is not made in one plain call", commands=_PASTE)
    if app.framework in {"fastapi", "starlette"}:
        return _asgi(case, app)
    if app.framework == "flask":
        return _flask(case, app)
    return Refusal(reason=f"no middleware is written for {app.framework}", commands=_PASTE)


# --- an id that is there ------------------------------------------------------------------------


def _present(case: Case) -> tuple[Module, ast.stmt, str] | None:
    """The statement of a middleware after which the request's id is known, and what it is called there."""
    for path in loaded(case):
        if not re.search(r"(?i)(?:request|correlation|req)_?id\b", case.files.text(path) or ""):
            continue
        module = case.program.module(path)
        for function in module.functions if module is not None else ():
            assert module is not None
            if _is_middleware(module, function):
                for statement, expression in _assigned(function):
                    return module, statement, expression
    return None


def _is_middleware(module: Module, function: FunctionNode) -> bool:
    names = [item.arg for item in function.args.args]
    if names[-2:] == ["request", "call_next"] or names[-3:] == ["scope", "receive", "send"]:
        return True
    if any(ast.unparse(item).endswith(".before_request") for item in function.decorator_list):
        return True
    owner = module.class_of(function)
    inner = owner is not None and "get_response" in ast.unparse(owner)
    return inner and function.name in {"__call__", "process_request"} and names[1:2] == ["request"]


def _assigned(function: FunctionNode) -> Iterator[tuple[ast.stmt, str]]:
    """Each statement of the function's own block after which a request's id has its last value."""
    last: dict[str, ast.stmt] = {}
    for statement in function.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    name = ast.unparse(target)
                    if isinstance(target, ast.Name | ast.Attribute) and _ID.search(name):
                        last[name] = statement
    for name, statement in last.items():
        # One that is set within the try around the whole request is known only in there.
        if not isinstance(statement, ast.Try | ast.With | ast.AsyncWith | ast.For | ast.While):
            if not isinstance(statement, ast.If) or any(
                _binds(item, name) for item in function.body if item is not statement
            ):
                yield statement, name


def _binds(statement: ast.stmt, name: str) -> bool:
    return isinstance(statement, ast.Assign | ast.AnnAssign) and name in {
        ast.unparse(item) for item in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
    }


# --- ASGI ---------------------------------------------------------------------------------------


def _asgi(case: Case, app: App) -> Change | Refusal:
    source = source_of(case, app.module.path)
    if source is None:
        return Refusal(reason=f"{app.module.path} is no code that can be edited", commands=_PASTE)
    kept = _kept(case)
    like_base = any("BaseHTTPMiddleware" in (case.files.text(path) or "") for path in kept)
    template = (BASE if like_base else ASGI).typed(source.annotated)
    place = _home(case, app.module, kept)
    more: list[Edit] = []
    others: list[Source] = []
    name = CLASS
    if place is None:
        if CLASS in source.names():
            return Refusal(reason=f"{app.module.path} has a {CLASS} already", commands=_PASTE)
        _define(case, source, template, app)
    else:
        home = dotted(case, app.module, place)
        if not home:
            return Refusal(reason=f"how {app.module.path} would import {place} was not followed", commands=_PASTE)
        present = source_of(case, place) if place in case.files.paths else None
        if present is not None:
            _define(case, present, template, None)
            others.append(present)
        else:
            more.append(Edit(place, module_text(source, template)))
        own = [item for item in app.module.imports if not item.in_function and _is_own(case, app.module, item)]
        relative = sum(item.level == 1 for item in own) * 2 > len(own)
        if relative and dirname(place) == dirname(app.module.path):
            home = f".{home.rpartition('.')[2]}"
        name = add_import(source, case.program, home, CLASS)
    added = [item for item in app.block if _adds_middleware(item, app.name)]
    source.after(added[-1] if added else app.statement, [f"{app.name}.add_middleware({name})"])
    where = place or app.module.path
    return changed(
        f"will tag events with the request's id, by a middleware in {where}",
        [source, *others],
        safety="safe",
        more=more,
    )


def _is_own(case: Case, module: Module, item: Import) -> bool:
    return bool(item.level) or case.program.locate(item.module, module.path) is not None


def _adds_middleware(statement: ast.stmt, name: str) -> bool:
    return isinstance(statement, ast.Expr) and ast.unparse(statement).startswith(f"{name}.add_middleware(")


def _kept(case: Case) -> list[str]:
    """The files in which the component has middleware of its own."""
    found: list[str] = []
    for path in loaded(case):
        text = case.files.text(path) or ""
        if re.search(
            r"class \w+\(.*Middleware\)|def __call__\(\s*self,\s*scope|def __init__\(\s*self,\s*get_response", text
        ):
            found.append(path)
    return found


def _home(case: Case, module: Module, kept: list[str]) -> str | None:
    """The file that the class goes to: among its like, or beside the application in its package; None: into its file."""
    folders = [dirname(path) for path in kept if basename(dirname(path)) in {"middleware", "middlewares"}]
    if folders:
        path = join(folders[0], "request_id.py")
        return path if path not in case.files.paths else join(folders[0], "sentry_request_id.py")
    files = [path for path in kept if basename(path) in {"middleware.py", "middlewares.py"}]
    if files:
        return files[0]
    folder = dirname(module.path)
    # A single module may be copied into its image by name: a new file beside it would not be.
    if join(folder, "__init__.py") not in case.files.paths:
        return None
    path = join(folder, "request_id.py")
    return path if path not in case.files.paths else join(folder, "sentry_request_id.py")


def _define(case: Case, source: Source, template: Template, app: App | None) -> None:
    """Put the class into a file that is there: above its application, or at its end."""
    for module, names in template.imports.items():
        if names:
            add_names(source, case.program, module, names)
    lines = class_lines(source, template, sdk(source, case.program).name)
    if app is not None:
        source.define_above(app.statement, lines)
    else:
        number = source.text.count("\n") + 1 + (not source.text.endswith("\n"))
        source.insert_lines(number, ["", "", *lines])


# --- Flask and Django ---------------------------------------------------------------------------


def _flask(case: Case, app: App) -> Change | Refusal:
    source = source_of(case, app.module.path)
    if source is None:
        return Refusal(reason=f"{app.module.path} is no code that can be edited", commands=_PASTE)
    request = add_import(source, case.program, "flask", "request")
    make = add_import(source, case.program, "uuid", "uuid4")
    value = source.quoted(f'request_id = {request}.headers.get("X-Request-ID") or str({make}())')
    body = [value, *sdk(source, case.program).call(source.quoted('set_tag("request_id", request_id)'))]
    returns = " -> None" if source.annotated else ""
    lines = [f"@{app.name}.before_request", f"def tag_request(){returns}:", *(source.unit + line for line in body)]
    inside = not isinstance(app.module.parents.get(app.statement), ast.Module)
    gap = [""] if inside else ["", ""]
    before = [
        item
        for item in app.block
        if isinstance(item, FunctionNode)
        and any(ast.unparse(each) == f"{app.name}.before_request" for each in item.decorator_list)
    ]
    anchor = before[-1] if before else _paragraph(app)
    assert anchor.end_lineno is not None
    source.after(anchor, [*gap, *lines, *_lacking(source, anchor.end_lineno + 1, len(gap))])
    return changed(f"will tag events with the request's id, in {app.module.path}", [source], safety="safe")


def _lacking(source: Source, number: int, wanted: int) -> list[str]:
    """The blank lines that line ``number`` and those after it lack of ``wanted``; none at the end of the file."""
    rest = source.text[source.line_start(number) :].splitlines()
    blank = next((count for count, line in enumerate(rest) if line.strip()), None)
    return [] if blank is None else [""] * (wanted - blank)


def _paragraph(app: App) -> ast.stmt:
    """The last of the statements that stand right below the application's: nothing comes between them."""
    last: ast.stmt = app.statement
    for item in app.block[app.block.index(last) + 1 :]:
        plain = isinstance(item, ast.Assign | ast.AnnAssign | ast.Expr) and not ast.unparse(item).startswith(
            f"{app.name}.run("
        )
        if not plain or item.lineno != (last.end_lineno or 0) + 1:
            break
        last = item
    return last


def _django(case: Case) -> Change | Refusal:
    lists: list[tuple[Module, ast.List]] = []
    for path in case.files.search(["MIDDLEWARE"], ".py"):
        module = case.program.module(path) if case.component.holds(path) else None
        for statement in module.tree.body if module is not None else ():
            assert module is not None
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "MIDDLEWARE":
                if isinstance(statement.value, ast.List) and statement.value.elts:
                    lists.append((module, statement.value))
    if len(lists) != 1:
        return Refusal(reason=f"MIDDLEWARE is written in {len(lists)} places", commands=_PASTE)
    module, node = lists[0]
    source = source_of(case, module.path)
    home = _package(case, module)
    if source is None or not home:
        return Refusal(reason=f"the package of {module.path} was not followed", commands=_PASTE)
    path, name = home
    if path in case.files.paths:
        return Refusal(reason=f"{path} is there already", commands=_PASTE)
    first = node.elts[0]
    entry = source.quoted(f'"{name}.{CLASS}"')
    if node.end_lineno == node.lineno and len(source.line(node.lineno)) + len(entry) + 2 > source.length:
        rows = [entry, *(source.source(item) for item in node.elts)]
        text = "".join(f"{source.unit}{row},\n" for row in rows)
        source.replace(source.start(node), source.end(node), f"[\n{text}]")
    else:
        gap = f"\n{source.indent(first.lineno)}" if first.lineno > node.lineno else " "
        source.insert(source.start(first), f"{entry},{gap}")
    return changed(
        f"will tag events with the request's id, by a middleware in {path}",
        [source],
        safety="safe",
        more=[Edit(path, module_text(source, DJANGO.typed(_is_typed(case, dirname(path)))))],
    )


def _is_typed(case: Case, folder: str) -> bool:
    """Whether most files of the folder in which functions stand say their types."""
    sources = [
        source_of(case, path)
        for path in sorted(case.files.paths)
        if path.endswith(".py") and dirname(path) == folder and deployed(path)
    ]
    told = [item.annotated for item in sources if item is not None and item.module.functions]
    return bool(told) and sum(told) * 2 > len(told)


def _package(case: Case, module: Module) -> tuple[str, str] | None:
    """The file that the middleware goes to, and its dotted name: the package that has the root of the URLs."""
    for statement in module.tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "ROOT_URLCONF":
            value = statement.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and "." in value.value:
                package = value.value.rpartition(".")[0]
                target = case.program.locate(value.value, module.path)
                if target is not None and target.endswith(f"{package.replace('.', '/')}/{basename(target)}"):
                    return join(dirname(target), "request_id.py"), f"{package}.request_id"
    return None


FIXERS: dict[str, Fixer] = {"backend-error-context": tag_request}
