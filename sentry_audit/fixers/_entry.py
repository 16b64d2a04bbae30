"""Where a component starts: the place in front of its application object, and how it imports its own modules."""

from __future__ import annotations

import ast
from posixpath import dirname, join
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.fixers import _imports
from sentry_audit.fixers._code import own_module, service_of, source_of
from sentry_audit.python.analysis import django_settings
from sentry_audit.python.components import FRAMEWORKS
from sentry_audit.python.loading import roots
from sentry_audit.python.module import FunctionNode
from sentry_audit.python.paths import importable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit.fixers._source import Source, Splice
    from sentry_audit.fixing import Case
    from sentry_audit.python.module import Module

_WORKERS = frozenset({"celery.Celery", "celery.app.base.Celery", "huey.RedisHuey", "dramatiq.set_broker"})


class Start(Struct, frozen=True):
    """The file in which an init runs first, and the statement that it goes in front of (None: at the end)."""

    module: Module
    statement: ast.stmt | None

    def call(self, text: str) -> Splice:
        """``text``, a call, as a statement of its own at that place."""
        source = source_of(self.module)
        if self.statement is None:
            closed = source.text.endswith(("\n", "\r")) or not source.text
            lead = ("" if closed else source.end) + (source.end if source.text.strip() else "")
            return len(source.text), len(source.text), f"{lead}{text}{source.end}"
        place = source.blank_before(self.statement)
        line = f"{source.indent(self.statement)}{text}{source.end}"
        body = self.module.tree.body
        index = body.index(self.statement) if self.statement in body else 0
        if (
            index
            and isinstance(body[index - 1], ast.Import | ast.ImportFrom)
            and place == source.after(body[index - 1])
        ):
            line = source.end + line
        blank = not source.text[:place] or source.text[:place].endswith(source.end * 2)
        return place, place, line + (source.end if blank and not source.indent(self.statement) else "")


def loaded(case: Case) -> dict[str, str]:
    """Every file that starting the component loads."""
    service = service_of(case)
    settings = django_settings(case.program, service, case.environment)
    return case.program.closure(roots(case.program, service.entries, settings), importable)


def start_of(case: Case) -> Start | None:
    """Where the component makes its application object, else where its entry file begins to work."""
    service = service_of(case)
    settings = django_settings(case.program, service, case.environment)
    if settings:
        return _django(case, settings)
    for path in (*service.entries, *loaded(case)):
        module = case.program.module(path)
        if module is not None and (statement := _makes(module, FRAMEWORKS)) is not None:
            return Start(module, statement)
    return started_at(case, service.entries[0]) if service.entries else None


def started_at(case: Case, path: str) -> Start | None:
    """Where the file ``path``, a worker's or a job's, begins to work."""
    module = case.program.module(path)
    if module is None:
        return None
    statement = _makes(module, _WORKERS)
    if statement is not None:
        return Start(module, statement)
    for item in module.tree.body:
        if isinstance(item, ast.If) and "__name__" in ast.unparse(item.test) and item.body[0].lineno > item.lineno:
            return Start(module, item.body[0])
    body = module.tree.body
    rest = [
        item
        for item in body
        if not isinstance(item, ast.Import | ast.ImportFrom | ast.If | ast.Try | FunctionNode | ast.ClassDef)
        and not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))
    ]
    last = max((item.lineno for item in body if isinstance(item, ast.Import | ast.ImportFrom)), default=0)
    return Start(module, next((item for item in rest if item.lineno > last), None))


def _django(case: Case, settings: Iterable[str]) -> Start | None:
    """The end of the settings file that every environment loads: the one with INSTALLED_APPS."""
    for path in case.program.closure(settings, importable):
        module = case.program.module(path)
        if module is not None and "INSTALLED_APPS" in module.definitions:
            return Start(module, None)
    return None


def _makes(module: Module, makers: Iterable[str]) -> ast.stmt | None:
    """The statement that makes the application; in a factory, the first one of it."""
    for call in sorted(module.calls, key=lambda item: item.lineno):
        if module.qualify(call.func) not in makers or module.class_of(call) is not None:
            continue
        function = module.function_of(call)
        if function is not None:
            body = function.body
            documented = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and len(body) > 1
            first = body[1] if documented else body[0]
            return first if first.lineno > function.lineno else None
        chain = [call, *module.ancestors(call)]
        return next((item for item in chain if isinstance(item, ast.stmt) and item in module.tree.body), None)
    return None


# --- names ----------------------------------------------------------------------------------------


def import_of(case: Case, importer: Module, target: str, name: str = "") -> str:
    """The statement by which ``importer`` imports ``name`` (none: the module itself) of the file ``target``."""
    folder = dirname(importer.path)
    stem = target.removesuffix(".py").removesuffix("/__init__")
    own = [item for item in importer.imports if not item.typing_only and not item.in_function]
    relative = any(item.level and case.program.locate(item.module, importer.path, item.level) for item in own)
    if relative and dirname(stem) == folder:
        last = stem.rpartition("/")[2]
        return f"from .{last} import {name}" if name else f"from . import {last}"
    root = _root(case, importer)
    dotted = (stem.removeprefix(f"{root}/") if root else stem).replace("/", ".")
    if name:
        return f"from {dotted} import {name}"
    package, _, last = dotted.rpartition(".")
    return f"from {package} import {last}" if package else f"import {last}"


def _root(case: Case, importer: Module) -> str:
    """The folder that absolute imports of the project start from."""
    stem = importer.path.removesuffix(".py").removesuffix("/__init__")
    for word in case.component.start:
        entry = next(iter(service_of(case).entries), "")
        if word.endswith(".py") and f"/{entry}".endswith(f"/{word.removeprefix('./').rpartition('/')[2]}"):
            return dirname(entry)  # what Python puts first on sys.path for a script
        tail = word.partition(":")[0].replace(".", "/")
        if "/" in tail and not word.endswith(".py") and f"/{stem}".endswith(f"/{tail}"):
            return stem[: -len(tail)].rstrip("/")
    for item in importer.imports:
        if item.level or item.in_function:
            continue
        found = case.program.locate(item.module, importer.path)
        tail = item.module.replace(".", "/")
        if found:
            known = found.removesuffix(".py").removesuffix("/__init__")
            if f"/{known}".endswith(f"/{tail}"):
                return known[: -len(tail)].rstrip("/")
    folder = dirname(importer.path)
    while folder and join(folder, "__init__.py") in case.files.paths:
        folder = dirname(folder)
    return folder


def called(case: Case, start: Start, statement: str, call: str) -> list[Splice]:
    """``statement``, an import, and the call, in the file where the component starts."""
    source: Source = source_of(start.module)
    module = statement.split()[1]  # a new one is not in the tree yet
    is_known = own_module(case, start.module.path)
    return [*_imports.added(source, statement, lambda name: name == module or is_known(name)), start.call(call)]
