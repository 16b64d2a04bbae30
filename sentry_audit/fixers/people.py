"""Whose request, and which agent's run: set where they are established, with an id and nothing else."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from sentry_audit.facts import RequestContext
from sentry_audit.fixers.common import changed, python_files, sdk_missing, source_of
from sentry_audit.fixers.pyimports import sdk
from sentry_audit.fixing import Refusal
from sentry_audit.python.module import FunctionNode

if TYPE_CHECKING:
    from sentry_audit.fixers.pysource import Source
    from sentry_audit.fixing import Case, Change, Fixer
    from sentry_audit.python.module import Module

_PASTE = ('sentry_sdk.set_user({"id": user.id})  # where the user is established',)
_DEPENDENCIES = (
    "get_current_user",
    "get_current_active_user",
    "get_authenticated_user",
    "current_user",
    "require_user",
)
_IDS = ("id", "uid", "user_id", "sub", "pk")
_RUNS = ("run_id", "execution_id", "session_id", "thread_id", "conversation_id", "task_id")
_METHODS = ("run", "arun", "__call__", "invoke", "ainvoke", "execute")


def set_user(case: Case) -> Change | Refusal:
    """Tell Sentry the user's id where the one dependency returns the user, or Flask-Login loads one."""
    refused = sdk_missing(case)
    if refused is not None:
        return refused
    loaders = [
        (module, function)
        for module, function in _functions(case, ("user_loader",))
        if any(ast.unparse(item).endswith(".user_loader") for item in function.decorator_list)
    ]
    if len(loaders) == 1 and len(loaders[0][1].args.args) == 1:
        module, function = loaders[0]
        return _set(case, module, function, None, function.args.args[0].arg)
    for wanted in _DEPENDENCIES:
        found = [
            (module, function)
            for module, function in _functions(case, (f"def {wanted}(",))
            if function.name == wanted and module.class_of(function) is None
        ]
        if len(found) > 1:
            return Refusal(reason=f"{wanted} is defined in {len(found)} places", commands=_PASTE)
        if found:
            return _dependency(case, *found[0])
    return Refusal(reason="no one place was found where the user is established", commands=_PASTE)


def _functions(case: Case, tokens: tuple[str, ...]) -> list[tuple[Module, FunctionNode]]:
    return [
        (module, function)
        for path in python_files(case, tokens)
        if (module := case.program.module(path)) is not None
        for function in module.functions
    ]


def _dependency(case: Case, module: Module, function: FunctionNode) -> Change | Refusal:
    returns = [
        node for node in ast.walk(function) if isinstance(node, ast.Return) and module.function_of(node) is function
    ]
    named = [item for item in returns if isinstance(item.value, ast.Name)]
    others = [
        item for item in returns if item.value is not None and not isinstance(item.value, ast.Name | ast.Constant)
    ]
    if len(named) != 1 or others:
        return Refusal(reason=f"{function.name} does not return one user by name", commands=_PASTE)
    value = named[0].value
    assert isinstance(value, ast.Name)
    if _is_text(function, value.id):
        return Refusal(
            reason=f"{function.name} returns a text: whether {value.id} is an id was not followed", commands=_PASTE
        )
    expression = _id_of(case, module, function, value.id)
    if not expression:
        return Refusal(reason=f"what the id of {value.id} is called was not followed", commands=_PASTE)
    return _set(case, module, function, named[0], expression)


def _is_text(function: FunctionNode, name: str) -> bool:
    """Whether the returned value has no fields: a user's name or address, which is no id that may be sent."""
    given = [function.returns] + [
        item.annotation
        for item in ast.walk(function)
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.target.id == name
    ]
    return any(item is not None and re.fullmatch(r"(str|int|UUID)( \| None)?", ast.unparse(item)) for item in given)


def _id_of(case: Case, module: Module, function: FunctionNode, name: str) -> str:
    """How the returned user's id is read: a field of its class, or as the repository reads it elsewhere."""
    annotation = ast.unparse(function.returns) if function.returns is not None else ""
    for word in re.findall(r"\w+", annotation):
        target = case.program.define(module, word)
        if target is not None and isinstance(target[1][-1], ast.ClassDef):
            fields = {
                ast.unparse(item.targets[0] if isinstance(item, ast.Assign) else item.target)
                for item in target[1][-1].body
                if isinstance(item, ast.Assign | ast.AnnAssign)
            }
            chosen = next((item for item in _IDS if item in fields), "")
            if chosen:
                return f"str({name}.{chosen})"
    users = rf"(?:{re.escape(name)}|current_user|user)"
    found: dict[str, int] = {}
    for path in python_files(case, (function.name,)):
        text = case.files.text(path) or ""
        for key in _IDS:
            found[f"str({name}.{key})"] = found.get(f"str({name}.{key})", 0) + len(
                re.findall(rf"\b{users}\.{key}\b", text)
            )
            item = f'str({name}["{key}"])'
            found[item] = found.get(item, 0) + len(re.findall(rf"\b{users}\[[\"']{key}[\"']\]", text))
    best = max(found, key=lambda item: found[item], default="")
    return best if best and found[best] else ""


def _set(
    case: Case, module: Module, function: FunctionNode, before: ast.Return | None, expression: str
) -> Change | Refusal:
    source = source_of(case, module.path)
    if source is None:
        return Refusal(reason=f"{module.path} is no code that can be edited", commands=_PASTE)
    names = sdk(source, case.program)
    lines = names.call(source.quoted(f'set_user({{"id": {expression}}})'))
    if before is None:
        source.into_body(function.body, lines)
    else:
        assert isinstance(before.value, ast.Name)
        annotation = ast.unparse(function.returns) if function.returns is not None else ""
        if re.search(r"\bNone\b|\bOptional\b", annotation):
            lines = [f"if {before.value.id} is not None:", *(source.unit + line for line in lines)]
        source.before(before, lines)
    return changed(
        f"will tell Sentry the user's id, and only that, in {function.name} of {module.path}", [source], safety="review"
    )


def set_agent(case: Case) -> Change | Refusal:
    """Tell Sentry which agent runs, at the beginning of each entry point that the settings name."""
    refused = sdk_missing(case)
    if refused is not None:
        return refused
    names = next((fact.agents for fact in case.bad if isinstance(fact, RequestContext)), ())
    sources: dict[str, Source] = {}
    for name in names:
        path, _, attribute = name.partition(":")
        source = sources.get(path) or source_of(case, path)
        function = _entry(source.module, attribute) if source is not None else None
        if source is None or function is None:
            return Refusal(
                reason=f"{name} is no function, and no class with one method that runs it",
                commands=('sentry_sdk.set_context("agent", {"name": "…", "run": run_id})',),
            )
        sources[path] = source
        arguments = [item.arg for item in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
        run = next((item for item in _RUNS if item in arguments), "")
        more = f', "run": {run}' if run else ""
        lines = sdk(source, case.program).call(source.quoted(f'set_context("agent", {{"name": "{attribute}"{more}}})'))
        source.into_body(function.body, lines)
    if not sources:
        return Refusal(reason="no agent is named")
    return changed(f"will tell Sentry which agent runs: {', '.join(names)}", sources.values(), safety="review")


def _entry(module: Module, attribute: str) -> FunctionNode | None:
    """The function of that name, or the one method of the class of that name that runs it."""
    for node in module.tree.body:
        if isinstance(node, FunctionNode) and node.name == attribute:
            return node
        if isinstance(node, ast.ClassDef) and node.name == attribute:
            found = [item for item in node.body if isinstance(item, FunctionNode) and item.name in _METHODS]
            return found[0] if len(found) == 1 else None
    return None


FIXERS: dict[str, Fixer] = {"backend-user-context": set_user, "agent-context": set_agent}
