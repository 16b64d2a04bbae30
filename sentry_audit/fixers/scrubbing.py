"""What init is given so that an event holds nothing personal but what it is told: no local variables, hooks that scrub."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.fixers._code import analysed
from sentry_audit.fixers.common import changed, version_of
from sentry_audit.fixers.privacy import one_init
from sentry_audit.fixers.pycalls import argument, set_arguments
from sentry_audit.fixers.pyimports import add_import
from sentry_audit.fixers.scrub_template import name_of, scrub_lines
from sentry_audit.fixing import Refusal
from sentry_audit.python.hooks import branches, event_of, function_of, scrubs
from sentry_audit.python.privacy import HOOKS
from sentry_audit.python.truth import returns
from sentry_audit.sdk_table import key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.fixers.pysource import Source
    from sentry_audit.fixing import Case, Change, Fixer
    from sentry_audit.python.inits import InitCall
    from sentry_audit.python.module import FunctionNode, Module

_PASTE = (
    "include_local_variables=False,",
    "before_send=scrub,  # takes out bodies, cookies, query strings, and addresses in texts",
    "before_send_transaction=scrub,",
)


def scrub(case: Case) -> Change | Refusal:
    """Send no local variables, and scrub errors and transactions by a function of the project's own."""
    found = one_init(case)
    if isinstance(found, Refusal):
        return found
    init, source = found
    version = version_of(case)
    if reason := _refused(case, init, version):
        return Refusal(reason=reason, commands=_PASTE)
    if _scrubs(case, init, HOOKS[0]):
        hooks = scrub_hooks(case, source, init, HOOKS[1:])
        texts: dict[str, str] = {}
        summary, safety = "scrub transactions too", "safe"
    else:
        hooks = scrub_hooks(case, source, init)
        texts = {**_names_of_keys(case, source, init, version), **_no_locals(case, init, version)}
        summary, safety = "send no local variables, and scrub what is sent", "review"
    if isinstance(hooks, Refusal):
        return hooks
    set_arguments(source, init.call, {**texts, **hooks})
    return changed(f"will {summary}, in {init.module.path}", [source], safety=safety)


def _refused(case: Case, init: InitCall, version: str) -> str:
    """Why nothing is written, ``""`` if something may be."""
    if key(version)[0] not in {1, 2} or not case.table.has_option("before_send_transaction", version):
        return (
            f"sentry-sdk {version} has no before_send_transaction: requests that are traced would be sent as they are"
        )
    if "data_collection" in init.options and key(version) >= (2, 70):
        return "data_collection switches the scrubber off: see privacy-scrubber-active"
    return f"{init.module.path}: init is given options that were not followed" if init.open else ""


def _names_of_keys(case: Case, source: Source, init: InitCall, version: str) -> dict[str, str]:
    """Have the SDK's own scrubber go by the names of nested keys too, where it can be told so here."""
    if not case.table.has_option("event_scrubber", version) or key(version) < (1, 41):
        return {}
    given = argument(init.call, "event_scrubber")
    if given is None:
        if "event_scrubber" in init.options:
            return {}
        name = add_import(source, case.program, "sentry_sdk.scrubber", "EventScrubber", init.call)
        return {"event_scrubber": f"{name}(recursive=True)"}
    if not isinstance(given.value, ast.Call) or given.value.lineno != given.value.end_lineno:
        return {}  # it goes by key names all the same: what the hooks take out does not depend on it
    rows = [source.source(item) for item in given.value.args]
    rows += [source.source(item) for item in given.value.keywords if item.arg != "recursive"]
    return {"event_scrubber": f"{source.source(given.value.func)}({', '.join([*rows, 'recursive=True'])})"}


def _no_locals(case: Case, init: InitCall, version: str) -> dict[str, str]:
    if not case.table.has_option("include_local_variables", version):
        return {}
    given = argument(init.call, "include_local_variables")
    if given is None:
        return {} if "include_local_variables" in init.options else {"include_local_variables": "False"}
    constant = isinstance(given.value, ast.Constant) and given.value.value is not False
    return {"include_local_variables": "False"} if constant else {}


def scrub_hooks(case: Case, source: Source, init: InitCall, options: Sequence[str] = HOOKS) -> dict[str, str] | Refusal:
    """Which of the hooks ``options`` init is still to be given, with the function's name; or why that cannot be.

    The function is written above the call of init.
    """
    wanted = [option for option in options if option not in init.options or _is_none(argument(init.call, option))]
    mine: list[FunctionNode] = []
    for option in options:
        if option in wanted or _scrubs(case, init, option):
            continue
        function, module = _function(case, init, option)
        if module is not init.module or function is None or isinstance(function, ast.Lambda) or not event_of(function):
            where = f"{option} in {init.module.path} takes nothing out of events"
            return Refusal(reason=f"{where}: have it return what is scrubbed", commands=_PASTE)
        if function not in mine:
            mine.append(function)
    if not wanted and not mine:
        return {}
    taken = source.names()
    name = name_of(taken)
    add_import(source, case.program, "re")
    if source.annotated:
        add_import(source, case.program, "typing", "Any")
    lines = scrub_lines(name, taken, unit=source.unit, typed=source.annotated, quote=source.quote)
    for function in mine:
        _return_scrubbed(source, function, name)
    first = min([init.call, *mine], key=lambda node: source.top_level(node).lineno)
    source.define_above(first, lines, constants=True)
    return dict.fromkeys(wanted, name)


def _is_none(given: ast.keyword | None) -> bool:
    return given is not None and isinstance(given.value, ast.Constant) and given.value.value is None


def _function(case: Case, init: InitCall, option: str) -> tuple[FunctionNode | ast.Lambda | None, Module]:
    expression, scope = init.options[option]
    return function_of(analysed(case).resolver.value(expression, scope), scope.module)


def _scrubs(case: Case, init: InitCall, option: str) -> bool:
    """Whether init has a function as ``option`` that scrubs; one that was not followed is taken to."""
    if option not in init.options or _is_none(argument(init.call, option)):
        return False
    function, _ = _function(case, init, option)
    return function is None or scrubs(function)


def _return_scrubbed(source: Source, function: FunctionNode, name: str) -> None:
    """``return event`` becomes ``return scrub(event, hint)`` in a hook that only chooses among events."""
    arguments = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
    hint = arguments[arguments.index(event_of(function)) + 1 :][:1] or ["{}"]
    for value in [each for item in returns(function) if item.value is not None for each in branches(item.value)]:
        if not (isinstance(value, ast.Constant) and value.value is None):
            source.replace(source.start(value), source.end(value), f"{name}({source.source(value)}, {hint[0]})")


FIXERS: dict[str, Fixer] = {"privacy-scrubbing": scrub}
