"""Whether what starts a component runs a given call: import edges first, then callers, outwards.

The search goes backwards from the call: the function that makes it, whoever calls that, and so on
until import time, an entry function, or a hook that a framework runs.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.model import Evidence
from sentry_audit.python.calls import bind
from sentry_audit.python.values import Resolver, Scope, Value, place

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sentry_audit.python.module import FunctionNode, Module
    from sentry_audit.python.program import Program

#: Decorators that do not run what they decorate.
_NEUTRAL = frozenset(
    {"staticmethod", "classmethod", "property", "cached_property", "contextmanager", "asynccontextmanager",
     "lru_cache", "cache", "wraps", "overload", "abstractmethod", "override", "final", "typechecked", "retry", "inject"}
)  # fmt: skip
_HOOK_METHODS = frozenset({"ready"})
#: Pyramid runs it when the module is given to ``config.include``, which is what the import edge stands for.
_HOOK_FUNCTIONS = frozenset({"includeme"})
_MAX_STEPS = 12


class Step(Struct, frozen=True):
    """One call on the way out: ``node`` stands in ``module``, inside ``function`` (None: import time)."""

    module: Module
    node: ast.AST
    function: FunctionNode | None
    registered: bool = False


class Route(Struct, frozen=True):
    """How a call is reached: from the call itself outwards. ``why_not`` is set when it is not."""

    steps: tuple[Step, ...] = ()
    why_not: str = ""
    evidence: tuple[Evidence, ...] = ()

    @property
    def reached(self) -> bool:
        """Whether the entry point runs the call."""
        return not self.why_not

    def bindings(self, resolver: Resolver) -> list[dict[str, Value]]:
        """For each step, what the parameters of the function around it are."""
        bound: list[dict[str, Value]] = [{} for _ in self.steps]
        for index in range(len(self.steps) - 2, -1, -1):
            step, outer = self.steps[index], self.steps[index + 1]
            if step.function is None or not isinstance(outer.node, ast.Call) or outer.registered:
                continue
            arguments = step.function.args.args
            is_method = bool(arguments) and arguments[0].arg in {"self", "cls"}
            scope = Scope(outer.module, bound[index + 1], outer.function)
            bound[index] = bind(resolver, step.function, outer.node, scope, skip=int(is_method))
            if is_method:
                bound[index][arguments[0].arg] = _receiver(resolver, step, outer, scope)
        for index, step in enumerate(self.steps):
            _bind_self(resolver, step, bound[index])
        return bound


def _receiver(resolver: Resolver, step: Step, outer: Step, scope: Scope) -> Value:
    from sentry_audit.python.values import ClassRef

    assert isinstance(outer.node, ast.Call)
    owner = step.module.class_of(step.node)
    ref = ClassRef(step.module, owner) if owner is not None else None
    if step.function is not None and step.function.name == "__init__":
        return Value("instance", cls=ref, call=outer.node, module=outer.module)
    if isinstance(outer.node.func, ast.Attribute):
        value = resolver.value(outer.node.func.value, scope)
        if value.kind in {"instance", "class"}:
            return value
    return Value("instance", cls=ref) if ref is not None else Value("dynamic", reason="self was not followed")


def _bind_self(resolver: Resolver, step: Step, bindings: dict[str, Value]) -> None:
    from sentry_audit.python.values import ClassRef

    owner = step.module.class_of(step.node)
    if owner is None or step.function is None or not step.function.args.args:
        return
    first = step.function.args.args[0].arg
    if first in {"self", "cls"} and first not in bindings:
        bindings[first] = Value("instance", cls=ClassRef(step.module, owner))
    del resolver


def route(
    program: Program,
    module: Module,
    node: ast.AST,
    closure: Mapping[str, str],
    entries: Collection[str],
    factory: str = "",
) -> Route:
    """How ``node`` of ``module`` is run by what starts in ``entries`` and loads ``closure``.

    ``factory`` is the function of an entry that the start command itself calls (``module:create_app``).
    """
    first = Step(module, node, module.function_of(node))
    here = place(module, node)
    if module.path not in closure:
        return Route((first,), f"nothing that {_names(entries)} loads imports {module.path}", (here,))
    queue: list[tuple[Step, ...]] = [(first,)]
    seen: set[ast.AST] = set()
    dead: list[Step] = []
    for steps in queue:
        last = steps[-1]
        if last.function is None:
            if _is_script_only(last) and last.module.path not in entries:
                dead.append(last)
                continue
            return Route(steps, "", _trail(steps, closure))
        if (
            last.registered
            or _is_configuration(last)
            or (factory and last.function.name == factory and last.module.path in entries)
        ):
            return Route(steps, "", _trail(steps, closure))
        if last.function in seen or len(steps) > _MAX_STEPS:
            continue
        seen.add(last.function)
        callers = _callers(program, last, closure)
        queue.extend((*steps, step) for step in callers)
        if not callers:
            dead.append(last)
    name = dead[-1].function.name if dead and dead[-1].function is not None else "it"
    place_ = place(dead[-1].module, dead[-1].function or dead[-1].node, f"def {name}") if dead else here
    if dead and dead[-1].function is None:
        why = f"it runs only when {dead[-1].module.path} is started as a script, which {_names(entries)} does not do"
    else:
        why = f"nothing that {_names(entries)} loads calls {name}()"
    return Route((first,), why, (here, place_))


def _is_configuration(step: Step) -> bool:
    """A method that django-configurations calls itself, of a settings class: configurations/base.py, importer.py."""
    function = step.function
    if function is None or function.name not in {"pre_setup", "setup", "post_setup"}:
        return False
    owner = next((item for item in step.module.ancestors(function) if isinstance(item, ast.ClassDef)), None)
    return owner is not None and "configurations" in step.module.text


def _names(entries: Collection[str]) -> str:
    return ", ".join(sorted(entries)[:2]) or "the entry point"


def _trail(steps: tuple[Step, ...], closure: Mapping[str, str]) -> tuple[Evidence, ...]:
    found = [place(step.module, step.node, step.module.source(step.node, 60)) for step in steps]
    path = steps[-1].module.path
    for _ in range(4):
        path = closure.get(path, "")
        if not path:
            break
        found.append(Evidence(path, None, None, None, "imports it"))
    return tuple(found)


def _is_script_only(step: Step) -> bool:
    return any(
        isinstance(parent, ast.If) and "__name__" in ast.dump(parent.test) and step.node is not parent.test
        for parent in step.module.ancestors(step.node)
    )


def _callers(program: Program, step: Step, closure: Mapping[str, str]) -> list[Step]:
    function = step.function
    assert function is not None
    found: list[Step] = []
    owner = (
        step.module.class_of(function)
        if step.module.class_of(function) in step.module.ancestors(function)[:1]
        else None
    )
    registered = _registration(step.module, function, owner)
    if registered is not None:
        return [Step(step.module, registered, None, registered=True)]
    name = (
        owner.name if owner is not None and function.name in {"__init__", "__new__", "__post_init__"} else function.name
    )
    paths = [step.module.path, *(path for path in closure if path != step.module.path)]
    for path in paths:
        text = program.files.text(path)
        if text is None or name not in text:
            continue
        module = program.module(path)
        if module is None:
            continue
        found += _calls_in(program, module, step, function, owner, name)
    return found


def _registration(module: Module, function: FunctionNode, owner: ast.ClassDef | None) -> ast.AST | None:
    """A decorator or a base class by which a framework runs the function by itself."""
    for decorator in function.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = ast.unparse(target).rsplit(".", 1)[-1]
        if name not in _NEUTRAL and not name.endswith(("setter", "getter")):
            return decorator
    if (
        owner is not None
        and function.name in _HOOK_METHODS
        and any("AppConfig" in ast.unparse(base) for base in owner.bases)
    ):
        return owner
    if owner is None and function.name in _HOOK_FUNCTIONS and module.function_of(function) is None:
        return function
    return None


def _calls_in(
    program: Program, module: Module, step: Step, function: FunctionNode, owner: ast.ClassDef | None, name: str
) -> list[Step]:
    found = []
    for node in module.nodes:
        if isinstance(node, ast.Name | ast.Attribute) and _is(program, module, node, step, function, owner, name):
            parent = module.parents.get(node)
            around = module.function_of(node)
            if around is function:
                continue
            if isinstance(parent, ast.Call) and parent.func is node:
                found.append(Step(module, parent, around))
            elif _passed(module, node):
                found.append(Step(module, node, around, registered=False))
    return found


def _passed(module: Module, node: ast.AST) -> bool:
    """Whether a function is handed to somebody who may call it (``lifespan=f``, ``connect(f)``)."""
    parent = module.parents.get(node)
    if isinstance(parent, ast.keyword | ast.List | ast.Tuple | ast.Dict):
        return True
    return isinstance(parent, ast.Call) and node in parent.args


def _is(
    program: Program,
    module: Module,
    node: ast.Name | ast.Attribute,
    step: Step,
    function: FunctionNode,
    owner: ast.ClassDef | None,
    name: str,
) -> bool:
    if isinstance(node, ast.Name):
        alias = module.aliases.get(node.id)
        if node.id != name and (alias is None or alias.name != name):
            return False
        if not isinstance(node.ctx, ast.Load):
            return False
        defined = program.define(module, node.id)
        if defined is not None:
            return function in defined[1] or (owner is not None and name == owner.name and owner in defined[1])
        return module is step.module and owner is None and node.id == function.name
    if node.attr != name:
        return False
    if isinstance(node.value, ast.Name) and (target := program.submodule(module, node.value.id)) is not None:
        defined = program.define(target, name)
        return defined is not None and (function in defined[1] or owner in defined[1])
    if owner is None:
        qualified = module.qualify(node)
        if qualified == f"django.conf.settings.{name}":
            return module.function_of(function) is None and "settings" in step.module.path
        return "." in qualified and _module_named(program, module, qualified.rsplit(".", 1)[0]) is step.module
    return module is step.module or _knows(program, module, step.module)


def _module_named(program: Program, module: Module, dotted: str) -> Module | None:
    target = program.locate(dotted, module.path)
    return program.module(target) if target else None


def _knows(program: Program, module: Module, other: Module) -> bool:
    """Whether ``module`` imports something that is defined in ``other``."""
    for alias, item in module.aliases.items():
        if item.name and (defined := program.define(module, alias)) is not None and defined[0] is other:
            return True
        if (
            program.locate(f"{item.module}.{item.name}" if item.name else item.module, module.path, item.level)
            == other.path
        ):
            return True
    return False
