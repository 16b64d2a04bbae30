"""An init where there is none, and a call of the one that nothing runs: in what starts the component or its worker."""

from __future__ import annotations

import ast
import re
from posixpath import basename, dirname, join
from typing import TYPE_CHECKING

from sentry_audit.derive.repository import probe_paths
from sentry_audit.facts import Deployment, EnvVar, SdkDependency, SdkSetup, WorkerEntry
from sentry_audit.fixers import _imports
from sentry_audit.fixers._code import analysed, own_module, service_of, source_of
from sentry_audit.fixers._entry import Start, called, import_of, loaded, start_of, started_at
from sentry_audit.fixers._settings import FIELDS, Held, alias_of, field_name, is_text, new_fields, object_name
from sentry_audit.fixers._source import line_end, splice
from sentry_audit.fixers._template import Style, Values, module_text, of_environment
from sentry_audit.fixers._worker import on_worker_start
from sentry_audit.fixers.templates import with_names
from sentry_audit.fixing import Change, Edit, Refusal
from sentry_audit.python.analysis import Code
from sentry_audit.python.config import ENVIRONMENT_FIELD
from sentry_audit.python.paths import deployed, importable
from sentry_audit.python.settings import ancestry, field_names, prefix_of
from sentry_audit.python.truth import is_environment_name
from sentry_audit.python.values import ClassRef
from sentry_audit.sdk_table import key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit.fixing import Case
    from sentry_audit.python.inits import InitCall
    from sentry_audit.python.module import FunctionNode, Module

_NAMES = ("observability.py", "sentry_setup.py")
_READS = re.compile(r"(?:getenv|environ(?:\.get)?)\s*[(\[]\s*[\"']([A-Z][A-Z0-9_]*)[\"']")
_PARSERS = ("stringio", "bytesio", "load", "parse", "b64decode", "read_env", "literal_eval", "split")
_ASGI = frozenset({"fastapi", "starlette", "quart", "litestar", "sanic"})


def add_init(case: Case) -> Change | Refusal:
    """A module that initialises the SDK from the environment, called before the application object is made."""
    sdk = next((fact for fact in case.facts if isinstance(fact, SdkDependency)), None)
    if sdk is None or not sdk.declared:
        return Refusal(
            reason="sentry-sdk is not installed for it yet: an import of it would keep the application from starting",
            commands=("sentry-audit fix --only backend-sdk-declared",),
        )
    if sdk.version and key(sdk.version)[0] != 2:
        return Refusal(reason=f"sentry-sdk {sdk.version} resolves: the generated code is for 2.x")
    start = start_of(case)
    if start is None:
        return Refusal(reason="where it starts was not found, so nothing can call init there")
    if "sys.path." in start.module.text:
        return Refusal(reason=f"{start.module.path} changes sys.path: how it would import a new module is not certain")
    folder = dirname(start.module.path)
    if basename(folder) == "settings" and start.statement is None:
        folder = dirname(folder)
    path = next((join(folder, name) for name in _NAMES if join(folder, name) not in case.files.paths), "")
    if not path:
        return Refusal(reason=f"{' and '.join(_NAMES)} are taken in {folder or '.'}")
    if apart := _copied_alone(case, start.module.path):
        return Refusal(reason=f"{apart} copies files one by one: a new module would not be in the image")
    source = source_of(start.module)
    style = Style(
        quote=source.quote, unit=source.unit, typed=_is_typed(start.module), read=_reader(case), line_end=source.end
    )
    edits: list[Edit] = []
    held = _settings_object(case, start)
    values = _of_settings(case, held, path, edits) if held is not None else None
    if values is None:
        edits = []
        values = of_environment(style, _label(case))
    probes = sorted(probe_paths(case.files, loaded(case))) if case.component.role == "service" else []
    scope = "asgi" if case.component.framework in _ASGI or case.component.server == "uvicorn" else "wsgi"
    text = module_text(style, values, probes, scope)
    splices = called(case, start, import_of(case, start.module, path, "init_sentry"), "init_sentry()")
    edits = [Edit(path, text), Edit(start.module.path, splice(source.text, splices)), *edits]
    edits += _templates(case, values.variables)
    return Change(summary=f"will add {path}, and initialise Sentry in {start.module.path}", edits=tuple(edits))


def _copied_alone(case: Case, path: str) -> str:
    """The image that copies the entry file by its name, if one does."""
    image = service_of(case).image
    if image is None or not image.copied:
        return ""
    alone = [source for source, _ in image.copied if join(image.context, source).lstrip("./") == path.lstrip("./")]
    whole = any(not basename(source).count(".") or source in {".", "./"} for source, _ in image.copied)
    return image.path if alone and not whole else ""


def _is_typed(module: Module) -> bool:
    functions = module.functions
    return not functions or sum(item.returns is not None for item in functions) * 2 >= len(functions)


def _reader(case: Case) -> str:
    """``os.getenv`` or ``os.environ.get``, whichever the component writes more often."""
    texts = [case.files.text(path) or "" for path in loaded(case)]
    counts = {call: sum(text.count(f"{call}(") for text in texts) for call in ("os.environ.get", "os.getenv")}
    return max(counts, key=lambda call: counts[call])


def _label(case: Case) -> str:
    """The variable that holds the environment's name: Sentry's own where it is set, else the project's."""
    given = {fact.name for fact in case.scanned if isinstance(fact, EnvVar)}
    given |= {item.name for fact in case.scanned if isinstance(fact, Deployment) for item in fact.settings}
    if "SENTRY_ENVIRONMENT" in given:
        return "SENTRY_ENVIRONMENT"
    own = sorted(name for name in _read(case) if is_environment_name(name))
    return own[0] if len(own) == 1 else "SENTRY_ENVIRONMENT"


def _read(case: Case) -> set[str]:
    """The variables that the component reads as they are: one that is parsed holds more than a name."""
    found: set[str] = set()
    for path in loaded(case):
        module = case.program.module(path) if _READS.search(case.files.text(path) or "") else None
        for node in module.nodes if module is not None else ():
            assert module is not None
            match = (
                _READS.match(ast.unparse(node).removeprefix("os."))
                if isinstance(node, ast.Call | ast.Subscript)
                else None
            )
            if match is not None and not _is_parsed(module, node):
                found.add(match[1])
    return found


def _is_parsed(module: Module, node: ast.AST) -> bool:
    """Whether what was read is taken apart at once (``StringIO(…)``, ``loads(…)``)."""
    parent = module.parents.get(node)
    return (
        isinstance(parent, ast.Call)
        and node in parent.args
        and ast.unparse(parent.func).rpartition(".")[2].lower().startswith(_PARSERS)
    )


def _settings_object(case: Case, start: Start) -> tuple[Held, str] | None:
    """The one settings class on pydantic's BaseSettings, and the name of its object at the top of its module."""
    files = loaded(case)
    found: list[tuple[Held, str]] = []
    resolver = analysed(case).resolver
    for path in case.files.among(sorted(files), ["BaseSettings"]):
        module = case.program.module(path)
        if module is None or not deployed(path) or path == start.module.path:
            continue
        for node in module.classes:
            held = Held(ClassRef(module, node), ancestry(resolver, ClassRef(module, node)))
            if held.family.reads_environment and (name := object_name(held)):
                found.append((held, name))
    return found[0] if len(found) == 1 else None


def _of_settings(case: Case, found: tuple[Held, str], path: str, edits: list[Edit]) -> Values | None:
    """Values that are fields of the settings object; the fields that lack are added to its class."""
    held, name = found
    known = field_names(held.family)
    lower = {item.lower(): item for item in known}
    label = next((item for item in known if ENVIRONMENT_FIELD.search(item) and is_text(held, item)), "")
    fields: dict[str, str] = {"environment": label} if label else {}
    for option in ("dsn", "environment", "release", "traces_sample_rate"):
        fields.setdefault(option, lower.get(FIELDS[option][0], ""))
    lacking = tuple(option for option, field in fields.items() if not field)
    if lacking:
        splices = new_fields(case, held, lacking)
        if splices is None:
            return None
        edits.append(Edit(held.module.path, splice(held.module.text, splices)))
        fields |= {option: field_name(held, option) for option in lacking}
    start = start_of(case)
    if start is None or dirname(start.module.path) != dirname(path):
        return None
    importer = import_of(case, start.module, held.module.path, name)
    dotted = {option: f"{name}.{field}" for option, field in fields.items()}
    rate = dotted["traces_sample_rate"]
    prefix = prefix_of(held.family)
    variables = [
        alias_of(case, held, option) or f"{prefix}{field}".upper()
        for option, field in fields.items()
        if "sentry" in field.lower()
    ]
    return Values(
        dsn=dotted["dsn"], environment=dotted["environment"], release=dotted["release"], rate=rate, variables=tuple(variables),
        own_imports=(importer,),
    )  # fmt: skip


def _templates(case: Case, names: Iterable[str]) -> list[Edit]:
    """The dotenv templates of the component, with the new variables."""
    known: dict[str, set[str]] = {}
    for fact in case.scanned:
        if isinstance(fact, EnvVar) and fact.template and dirname(fact.path) in {case.component.folder, ""}:
            known.setdefault(fact.path, set()).add(fact.name)
    edits = []
    for path, given in sorted(known.items()):
        text = case.files.text(path)
        missing = [name for name in dict.fromkeys(names) if name not in given]
        if text is not None and missing:
            edits.append(Edit(path, with_names(text, missing)))
    return edits


# --- an init that nothing runs ------------------------------------------------------------------


def reach(case: Case) -> Change | Refusal:
    """The module imported, or the function called, where the component starts."""
    fact = next((item for item in case.bad if isinstance(item, SdkSetup)), None)
    start = start_of(case)
    code = Code(case.program, case.scanned, [service_of(case)])
    places = {(item.path, item.line) for item in (fact.evidence if fact is not None else ())}
    inits = [item for item in code.inits if (item.evidence.path, item.evidence.line) in places]
    if start is None or not inits:
        return Refusal(reason="where it starts was not found" if start is None else "the init call was not found")
    return _run(case, start, inits[0])


def start_worker(case: Case) -> Change | Refusal:
    """The web application's init, run by the worker as well."""
    fact = next((item for item in case.bad if isinstance(item, WorkerEntry)), None)
    start = started_at(case, fact.name) if fact is not None else None
    inits = [item.init for item in analysed(case).reached]
    if start is None or not inits:
        return Refusal(
            reason=f"{fact.name if fact else 'the worker'} has no place to call init, or there is no init to call yet"
        )
    web = service_of(case).entries
    apart = [item for item in inits if item.module.path not in web]
    if apart:
        shared = fact is not None and fact.worker == "celery" and start.module.path in loaded(case)
        return (_signalled(case, start, apart[0]) if shared else None) or _run(case, start, apart[0])
    return _copy(case, start, inits[0])


def _signalled(case: Case, start: Start, init: InitCall) -> Change | Refusal | None:
    """The init run by Celery's signal, where the web application loads the worker's file too."""
    function, module = init.function, init.module
    if function is None or function not in module.tree.body or start.statement not in start.module.tree.body:
        return None
    if module.path == start.module.path or _arguments(function, start.module) != "" or start.statement is None:
        return None
    statement = import_of(case, start.module, module.path, function.name)
    return on_worker_start(case, start.module.path, start.statement, statement, f"{function.name}()")


def _run(case: Case, start: Start, init: InitCall) -> Change | Refusal:
    function, module = init.function, init.module
    where = f"{module.path}:{init.call.lineno}"
    if module.path != start.module.path and (back := _needs(case, module.path, start.module)):
        return Refusal(
            reason=f"{where} cannot be imported in {start.module.path}, which {back} imports: move init to a module of its own"
        )
    if function is None:
        if module.path == start.module.path:
            return Refusal(reason=f"{where} stands in the file that starts, behind a condition that never holds")
        statement = import_of(case, start.module, module.path)
        splices = _imports.added(
            source_of(start.module), f"{statement}  # noqa: F401", own_module(case, start.module.path)
        )
        return _running(start, splices, f"import {module.path}")
    arguments = _arguments(function, start.module)
    if function not in module.tree.body or arguments is None or isinstance(function, ast.AsyncFunctionDef):
        return Refusal(
            reason=f"{function.name}() in {where} runs init, and nothing calls it: call it in {start.module.path}",
            commands=(f"{function.name}(…)",),
        )
    call = f"{function.name}({arguments})"
    if module.path == start.module.path:
        body = module.tree.body
        first = start.statement
        if first is None or first.lineno < function.lineno:
            index = body.index(function) + 1
            start = Start(start.module, body[index] if index < len(body) else None)
        return _running(start, [start.call(call)], f"call {function.name}()")
    statement = import_of(case, start.module, module.path, function.name)
    return _running(start, called(case, start, statement, call), f"call {function.name}()")


def _needs(case: Case, path: str, start: Module) -> str:
    """The file that, while ``path`` is imported, takes a name from ``start``: that is not bound yet then; ``""``: none."""
    for name in case.program.closure([path], importable):
        module = case.program.module(name)
        for item in module.imports if module is not None and name != start.path else ():
            if item.in_function or item.typing_only or not item.name:
                continue
            if case.program.locate(item.module, name, item.level) == start.path:
                submodule = f"{item.module}.{item.name}" if item.module else item.name
                if case.program.locate(submodule, name, item.level) in {None, start.path}:
                    return name
    return ""


def _running(start: Start, splices: list[tuple[int, int, str]], what: str) -> Change:
    text = splice(start.module.text, splices)
    return Change(summary=f"will {what} in {start.module.path}", edits=(Edit(start.module.path, text),))


def _arguments(function: FunctionNode, caller: Module) -> str | None:
    """What the function needs, where the caller has it under the same name before it starts; None where it has not."""
    args = function.args
    needed = [item.arg for item in (*args.posonlyargs, *args.args)][
        : len(args.posonlyargs + args.args) - len(args.defaults)
    ]
    if any(default is None for default in args.kw_defaults):
        return None
    known = {name for name in needed if name in caller.definitions or name in caller.aliases}
    return ", ".join(needed) if known == set(needed) else None


def _copy(case: Case, start: Start, init: InitCall) -> Change | Refusal:
    """An init that stands in the web application's file, for the worker: with names that only imports give."""
    module, call = init.module, init.call
    source = source_of(module)
    names = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}
    imports = {name: module.aliases[name] for name in names if name in module.aliases}
    alone = all(not item.level and not own_module(case, module.path)(item.module) for item in imports.values())
    if names != imports.keys() or not alone or "integrations" in init.options or init.open:
        return Refusal(
            reason=(
                f"init stands in {module.path}, among the web application's own code: move it to a module of its own, "
                f"and call that from {start.module.path} too"
            )
        )
    target = source_of(start.module)
    splices = []
    for item in imports.values():
        renamed = item.alias != (item.name or item.module.split(".")[0])
        tail = f" as {item.alias}" if renamed else ""
        line = f"from {item.module} import {item.name}{tail}" if item.name else f"import {item.module}{tail}"
        splices += _imports.added(target, line, own_module(case, start.module.path))
    text = source.written(call).replace(line_end(source.text), target.end)
    return _running(start, [*_together(splices), start.call(text)], "initialise Sentry")


def _together(splices: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Imports for one place, in their order: ``splice`` would turn them round."""
    found: dict[tuple[int, int], str] = {}
    for start, end, text in sorted(splices, key=lambda item: item[2]):
        found[start, end] = found.get((start, end), "") + text
    return [(start, end, text) for (start, end), text in found.items()]


FIXERS = {
    "backend-init-present": add_init,
    "backend-init-reachable": reach,
    "worker-init-present": start_worker,
}
