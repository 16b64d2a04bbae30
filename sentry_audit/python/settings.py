"""Settings classes: which field is filled by which variable, across inheritance and loader functions.

pydantic's rules are those of pydantic-settings' documentation: a field is read from the variable
``env_prefix + field name`` (case-insensitive), or from its ``validation_alias``/``alias``/``env``
without prefix; a keyword argument at the call wins over the environment.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.python.module import FunctionNode, Module
from sentry_audit.python.values import ClassRef, Scope, Value, dynamic, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.model import Evidence
    from sentry_audit.python.values import Resolver

_SETTINGS_BASES = frozenset({"BaseSettings"})
_LOADED = frozenset({"__init__", "__post_init__", "__new__", "model_post_init"})
_VALIDATORS = frozenset({"model_validator", "root_validator", "validator", "field_validator"})


class Ancestry(Struct, frozen=True):
    """A class with its bases: those of the tree, in resolution order, and the names of the others."""

    classes: tuple[ClassRef, ...]
    foreign: tuple[str, ...]

    @property
    def reads_environment(self) -> bool:
        """Whether fields are filled from variables by name (pydantic's BaseSettings)."""
        return any(name.rsplit(".", 1)[-1] in _SETTINGS_BASES for name in self.foreign)

    @property
    def is_model(self) -> bool:
        """Whether a field's value comes from keyword arguments (pydantic models, dataclasses)."""
        return any(name.rsplit(".", 1)[-1] == "BaseModel" for name in self.foreign) or any(
            "dataclass" in ast.dump(item) or "define" in ast.dump(item)
            for ref in self.classes
            for item in ref.node.decorator_list
        )


def ancestry(resolver: Resolver, ref: ClassRef, seen: frozenset[str] = frozenset()) -> Ancestry:
    """``ref`` and its bases, each once, nearest first."""
    key = f"{ref.module.path}:{ref.node.name}"
    if key in seen:
        return Ancestry((), ())
    classes, foreign = [ref], list[str]()
    for base in ref.node.bases:
        expression = base.value if isinstance(base, ast.Subscript) else base
        value = resolver.value(expression, Scope(ref.module))
        if value.kind == "class" and value.cls is not None and value.cls.node is not ref.node:
            inner = ancestry(resolver, value.cls, seen | {key})
            classes += [item for item in inner.classes if all(item.node is not known.node for known in classes)]
            foreign += [item for item in inner.foreign if item not in foreign]
        else:
            foreign.append(ref.module.qualify(expression) or "?")
    return Ancestry(tuple(classes), tuple(foreign))


def field_value(resolver: Resolver, base: Value, name: str, at: Evidence) -> Value:
    """Attribute ``name`` of the instance (or class) ``base``: its variable, its default, or nothing."""
    assert base.cls is not None
    family = ancestry(resolver, base.cls)
    given = _given(resolver, base, name, family)
    if given is not None:
        return given.via(at)
    filled = _filled(resolver, base, family, name)
    declared = _declared(resolver, family, name, base)
    if filled is not None and not (declared is not None and declared.kind == "env" and filled.kind == "dynamic"):
        if filled.kind == "env" and filled.default is None and declared is not None and declared.kind == "literal":
            filled = Value("env", names=filled.names, default=declared, cast=filled.cast, trail=filled.trail)
        return filled.via(at)
    if declared is not None and declared.kind == "env" and filled is not None and filled.kind == "dynamic":
        also = f"{base.cls.node.name} may fill {name} itself: {filled.reason or 'not followed'}"
        return replace(declared, reason=declared.reason or also).via(at)
    if declared is not None:
        return declared.via(at)
    where = base.cls.node
    if base.call is not None and any(keyword.arg is None for keyword in base.call.keywords) and not family.classes:
        return Value("dynamic", reason="its arguments are unpacked from a value that was not followed", trail=(at,))
    if family.foreign and not family.reads_environment and not all(_plain(item) for item in family.foreign):
        return Value("dynamic", reason=f"{name} may come from {family.foreign[0]}", trail=(at,))
    if any(method.name in {"__getattr__", "__getattribute__"} for ref in family.classes for method in _methods(ref)):
        return Value("dynamic", reason=f"{where.name} answers attributes by __getattr__", trail=(at,))
    return Value(
        "unfilled",
        reason=f"{where.name} does not define {name}",
        trail=(at, place(base.cls.module, where, f"class {where.name}: no {name}")),
    )


def _plain(name: str) -> bool:
    return name.rsplit(".", 1)[-1] in {"BaseModel", "object", "ABC", "Generic", "Protocol", "BaseSettings"}


def _given(resolver: Resolver, base: Value, name: str, family: Ancestry) -> Value | None:
    """The keyword argument, or the entry of an unpacked dict, that fills the field at the call."""
    if base.call is None or base.module is None:
        return None
    scope = Scope(base.module, {}, base.module.function_of(base.call))
    for keyword in base.call.keywords:
        if (
            keyword.arg is not None
            and keyword.arg.lower() == name.lower()
            and (family.is_model or family.reads_environment)
        ):
            return resolver.value(keyword.value, scope)
        if keyword.arg is None and (found := _unpacked(resolver, keyword.value, name, scope)) is not None:
            return found
    if (
        base.call.args
        and isinstance(base.call.func, ast.Attribute)
        and base.call.func.attr in {"model_validate", "parse_obj"}
    ):
        return _unpacked(resolver, base.call.args[0], name, scope)
    return None


def _unpacked(resolver: Resolver, node: ast.expr, name: str, scope: Scope) -> Value | None:
    value = resolver.value(node, scope)
    if value.kind == "literal" and isinstance(value.literal, ast.Dict):
        found = _entry(resolver, value.literal, name, scope)
        if found is not None:
            return found
    if scope.function is not None:
        return _assigned(resolver, ClassRef(scope.module, ast.ClassDef("", [], [], [], [])), scope.function, name)
    return None


def _entry(resolver: Resolver, table: ast.Dict, name: str, scope: Scope) -> Value | None:
    for key, value in zip(table.keys, table.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value.lower() == name.lower():
            return resolver.value(value, scope)
    return None


def _methods(ref: ClassRef) -> list[FunctionNode]:
    return [item for item in ref.node.body if isinstance(item, FunctionNode)]


def _loaders(family: Ancestry, base: Value) -> Iterator[tuple[ClassRef, FunctionNode]]:
    """The methods that run when an object of the class is made, nearest class first.

    Followed through ``self.x()``, ``cls.x()`` and ``super().x()`` from ``__init__``, validators,
    and the class method that made it.
    """
    wanted: list[tuple[str, int]] = [(name, 0) for name in _LOADED]
    if base.call is not None and isinstance(base.call.func, ast.Attribute):
        wanted.append((base.call.func.attr, 0))
    for ref in family.classes:
        for method in _methods(ref):
            decorators = {ast.unparse(item).split("(")[0].rsplit(".", 1)[-1] for item in method.decorator_list}
            if decorators & _VALIDATORS:
                wanted.append((method.name, 0))
    seen: set[tuple[str, int]] = set()
    while wanted:
        name, start = wanted.pop(0)
        for index in range(start, len(family.classes)):
            own = next((item for item in _methods(family.classes[index]) if item.name == name), None)
            if own is None:
                continue
            if (name, index) not in seen:
                seen.add((name, index))
                yield family.classes[index], own
                wanted.extend(_self_calls(own, index))
            break


def _self_calls(method: FunctionNode, index: int) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(method):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id in {"self", "cls"}:
                found.append((node.func.attr, 0))
            elif isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "super":
                found.append((node.func.attr, index + 1))
    return found


def _filled(resolver: Resolver, base: Value, family: Ancestry, name: str) -> Value | None:
    """What a loader of the class assigns to the field, if one does."""
    for ref, method in _loaders(family, base):
        found = _assigned(resolver, ref, method, name, _given_to(resolver, method, base))
        if found is not None:
            return found
    return None


def _given_to(resolver: Resolver, method: FunctionNode, base: Value) -> dict[str, Value]:
    """The parameters of ``__init__`` as the object was made with them, as far as they could be followed."""
    from sentry_audit.python.calls import bind

    if method.name != "__init__" or base.call is None or base.module is None:
        return {}
    scope = Scope(base.module, {}, base.module.function_of(base.call))
    bound = bind(resolver, method, base.call, scope, skip=1)
    return {name: value for name, value in bound.items() if value.kind != "dynamic"}


def _assigned(
    resolver: Resolver, ref: ClassRef, method: FunctionNode, name: str, given: dict[str, Value] | None = None
) -> Value | None:
    bindings = dict(given or {})
    arguments = [item.arg for item in (*method.args.posonlyargs, *method.args.args)]
    if arguments and arguments[0] in {"self", "cls"}:
        bindings[arguments[0]] = Value("instance", cls=ref)
    scope = Scope(ref.module, bindings, method)
    for node in ast.walk(method):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(_names_field(target, name) for target in targets):
                return _loaded(resolver, node.value, scope, ref.module, node)
            table = node.value
            if isinstance(table, ast.Dict):
                found = _mapped(resolver, table, name, scope)
                if found is not None:
                    return found
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"update", "setdefault"}
        ):
            for argument in node.args:
                if isinstance(argument, ast.Dict) and (entry := _entry(resolver, argument, name, scope)) is not None:
                    return entry
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in {"setattr", "object.__setattr__"}
            and len(node.args) == 3
        ):
            key = node.args[1]
            if isinstance(key, ast.Constant) and str(key.value).lower() == name.lower():
                return resolver.value(node.args[2], scope)
    return None


def _loaded(resolver: Resolver, node: ast.expr, scope: Scope, module: Module, statement: ast.AST) -> Value:
    """A value that a loader assigns; ``env.get("X")`` of a mapping parameter reads a variable."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        key = node.args[0]
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value.isupper():
            default = resolver.value(node.args[1], scope) if len(node.args) > 1 else None
            return Value("env", names=(key.value,), default=default, trail=(place(module, statement),))
    value = resolver.value(node, scope)
    return value.via(place(module, statement)) if value.kind != "dynamic" else value


def _names_field(target: ast.expr, name: str) -> bool:
    if isinstance(target, ast.Attribute):
        return (
            target.attr.lower() == name.lower()
            and isinstance(target.value, ast.Name)
            and target.value.id in {"self", "cls", "instance"}
        )
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return str(target.slice.value).lower() == name.lower()
    return False


def _mapped(resolver: Resolver, table: ast.Dict, name: str, scope: Scope) -> Value | None:
    """A mapping dict of a loader: ``{"sentry_dsn": "SENTRY_DSN"}`` (either way) or field → expression."""
    for key, value in zip(table.keys, table.values, strict=True):
        if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
            continue
        other = value.value if isinstance(value, ast.Constant) else None
        if key.value.lower() == name.lower() and key.value != str(other):
            if isinstance(other, str) and other.isupper() and not other.islower():
                return Value("env", names=(other,), trail=(place(scope.module, value),))
            if other is None and not isinstance(value, ast.Constant):
                return _loaded(resolver, value, scope, scope.module, value)
        if isinstance(other, str) and other.lower() == name.lower() and key.value.isupper():
            return Value("env", names=(key.value,), trail=(place(scope.module, key),))
    return None


def _declared(resolver: Resolver, family: Ancestry, name: str, base: Value) -> Value | None:
    """The field as a class body declares it: a variable for BaseSettings, else its default."""
    for ref in family.classes:
        for statement in ref.node.body:
            if isinstance(statement, FunctionNode) and statement.name == name:
                bindings = {"self": Value("instance", cls=base.cls, call=base.call, module=base.module), "cls": base}
                return resolver.call_function(statement, ref.module, bindings)
            target, annotation, default = _field(statement)
            if target is None or target.lower() != name.lower() or (target != name and not family.reads_environment):
                continue
            if family.reads_environment and annotation is not None and "ClassVar" not in ast.dump(annotation):
                return _variable(resolver, family, ref, target, annotation, default, statement)
            if default is None:
                return None
            return _default(resolver, ref, default, statement)
    return None


def field_names(family: Ancestry) -> list[str]:
    """The fields that the bodies of a class and of its bases declare, nearest class first."""
    targets = (_field(statement)[0] for ref in family.classes for statement in ref.node.body)
    return list(dict.fromkeys(name for name in targets if name))


def _field(statement: ast.stmt) -> tuple[str | None, ast.expr | None, ast.expr | None]:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id, statement.annotation, statement.value
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id, None, statement.value
    return None, None, None


def _default(resolver: Resolver, ref: ClassRef, default: ast.expr, statement: ast.stmt) -> Value:
    expression: ast.expr | None = default
    if isinstance(default, ast.Call) and ref.module.qualify(default.func).rsplit(".", 1)[-1] in {
        "Field",
        "field",
        "attrib",
    }:
        expression = _field_default(default)
        if expression is None:
            return Value(
                "unfilled",
                reason="required, and nothing that was followed fills it",
                trail=(place(ref.module, statement),),
            )
    assert expression is not None
    if isinstance(expression, ast.Lambda):
        expression = expression.body
    value = resolver.value(expression, Scope(ref.module))
    if value.kind == "literal" and not isinstance(value.literal, ast.AST):
        return Value(
            "unfilled" if value.literal in (None, "") else "literal",
            literal=value.literal,
            reason=f"{ref.node.name} gives it {value.literal!r}, and nothing fills it",
            trail=(place(ref.module, statement),),
        )
    return value.via(place(ref.module, statement))


def _field_default(call: ast.Call) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == "default":
            return keyword.value
        if keyword.arg in {"default_factory", "factory"}:
            return keyword.value if isinstance(keyword.value, ast.Lambda) else ast.Call(keyword.value, [], [])
    if call.args and not (isinstance(call.args[0], ast.Constant) and call.args[0].value is ...):
        return call.args[0]
    return None


def _variable(
    resolver: Resolver,
    family: Ancestry,
    ref: ClassRef,
    name: str,
    annotation: ast.expr,
    default: ast.expr | None,
    statement: ast.stmt,
) -> Value:
    names = _aliases(default, annotation)
    if not names:
        names = (f"{prefix_of(family)}{name}".upper(),)
    value: Value | None = None
    if default is not None:
        is_field = isinstance(default, ast.Call) and ref.module.qualify(default.func).rsplit(".", 1)[-1] == "Field"
        expression = _field_default(default) if is_field and isinstance(default, ast.Call) else default
        if isinstance(expression, ast.Lambda):
            expression = expression.body
        value = resolver.value(expression, Scope(ref.module)) if expression is not None else None
    kind = next((item for item in ("bool", "float", "int") if f"'{item}'" in ast.dump(annotation)), "")
    return Value("env", names=names, default=value, cast=kind, trail=(place(ref.module, statement),))


def _aliases(default: ast.expr | None, annotation: ast.expr) -> tuple[str, ...]:
    calls = [item for item in ast.walk(annotation) if isinstance(item, ast.Call)]
    if isinstance(default, ast.Call):
        calls.append(default)
    found: list[str] = []
    for call in calls:
        for keyword in call.keywords:
            if keyword.arg in {"validation_alias", "alias", "env"}:
                found += [
                    node.value
                    for node in ast.walk(keyword.value)
                    if isinstance(node, ast.Constant) and isinstance(node.value, str)
                ]
        if found:
            break
    return tuple(item.upper() for item in found)


def prefix_of(family: Ancestry) -> str:
    """What stands in front of the names of variables that a BaseSettings class reads (``env_prefix``)."""
    for ref in family.classes:
        for statement in ref.node.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
                target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
                if isinstance(target, ast.Name) and target.id == "model_config":
                    found = _prefix_in(statement.value)
                    if found is not None:
                        return found
            if isinstance(statement, ast.ClassDef) and statement.name == "Config":
                for inner in statement.body:
                    if (
                        isinstance(inner, ast.Assign)
                        and isinstance(inner.targets[0], ast.Name)
                        and inner.targets[0].id == "env_prefix"
                    ):
                        return str(inner.value.value) if isinstance(inner.value, ast.Constant) else ""
        for keyword in ref.node.keywords:
            if keyword.arg == "env_prefix" and isinstance(keyword.value, ast.Constant):
                return str(keyword.value.value)
    return ""


def _prefix_in(node: ast.expr) -> str | None:
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg == "env_prefix" and isinstance(keyword.value, ast.Constant):
                return str(keyword.value.value)
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "env_prefix" and isinstance(value, ast.Constant):
                return str(value.value)
    return None


def method_value(resolver: Resolver, base: Value, name: str, node: ast.Call, scope: Scope) -> Value:
    """What the method ``name`` of ``base`` returns when it is called as ``node``."""
    from sentry_audit.python.calls import bind

    assert base.cls is not None
    family = ancestry(resolver, base.cls)
    for ref in family.classes:
        for method in _methods(ref):
            if method.name != name:
                continue
            bindings = bind(resolver, method, node, scope, skip=1)
            first = method.args.args[0].arg if method.args.args else "self"
            bindings[first] = base
            if _makes_self(method):
                return Value("instance", cls=base.cls, call=node, module=scope.module, trail=base.trail)
            return resolver.call_function(method, ref.module, bindings).via(place(scope.module, node))
    if name in {"model_validate", "parse_obj", "construct", "model_construct", "copy", "instance"}:
        return Value("instance", cls=base.cls, call=node, module=scope.module, trail=base.trail)
    return dynamic(scope.module, node, f"{base.cls.node.name} has no method {name} that was followed")


def _makes_self(method: FunctionNode) -> bool:
    """A class method that returns ``cls(…)`` makes an object of the class it is called on."""
    from sentry_audit.python.truth import returns

    if not any(ast.unparse(item) == "classmethod" for item in method.decorator_list):
        return False
    return any(
        isinstance(item.value, ast.Call) and isinstance(item.value.func, ast.Name) and item.value.func.id == "cls"
        for item in returns(method)
    )
