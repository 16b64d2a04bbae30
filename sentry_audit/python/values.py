"""Where a value comes from: an expression followed to a literal, an environment variable, or nothing.

The resolver never guesses: what it cannot follow is ``dynamic``, with the expression and the reason.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_audit.python.module import FunctionNode, Module
    from sentry_audit.python.program import Program

Kind = Literal["literal", "env", "either", "instance", "class", "module", "function", "unfilled", "dynamic"]
MAX_DEPTH = 24
_GETENV = frozenset({"os.getenv", "os.environ.get", "environ.get", "os.environ.setdefault"})
_ENVIRON = frozenset({"os.environ", "environ"})
_CASTS = frozenset({"str", "bool", "float", "int"})
_PASS_THROUGH = frozenset({"strip", "get_secret_value", "unicode_string", "rstrip", "lstrip", "decode", "encode"})
_DECOUPLE = ("decouple.", "starlette.config.", "prettyconf.")
_ENV_OBJECTS = (
    "environ.Env",
    "environ.FileAwareEnv",
    "environs.Env",
    "environs.env",
    "environ.Env.",
    "decouple.",
    "starlette.config.Config",
)
_SECRET_CLIENTS = ("access_secret_version", "get_secret_value_response", "get_secret", "read_secret")


class ClassRef(Struct, frozen=True):
    """A class and the module that it stands in."""

    module: Module
    node: ast.ClassDef


class Value(Struct, frozen=True):
    """How an expression ends.

    ``literal``: ``literal`` holds it. ``env``: the first of ``names`` that is set, else ``default``.
    ``either``: the first of ``options`` that is truthy. ``instance``: an object of ``cls``, made by
    ``call``. ``unfilled``: a settings field that nothing fills, its default in ``literal``.
    ``dynamic``: not followed, because of ``reason`` (``literal``: the secret that holds it). ``trail`` are the places passed on the way.
    """

    kind: Kind
    literal: object = None
    names: tuple[str, ...] = ()
    default: Value | None = None
    cast: str = ""
    options: tuple[Value, ...] = ()
    reason: str = ""
    cls: ClassRef | None = None
    module: Module | None = None
    function: FunctionNode | None = None
    call: ast.Call | None = None
    trail: tuple[Evidence, ...] = ()

    def leaves(self) -> tuple[Value, ...]:
        """The ends of all alternatives, in order of precedence."""
        if self.kind == "either":
            return tuple(leaf for option in self.options for leaf in option.leaves())
        return (self,)

    def via(self, *places: Evidence) -> Value:
        """The same end, reached through ``places`` first."""
        return replace(self, trail=(*places, *self.trail))


class Scope(Struct, frozen=True):
    """What names mean at one place: parameters of the functions entered, and ``self``."""

    module: Module
    bindings: Mapping[str, Value] = field(default_factory=dict)
    function: FunctionNode | None = None


def dynamic(module: Module, node: ast.AST, reason: str) -> Value:
    """A value that was not followed, shown with its expression and place."""
    return Value("dynamic", reason=reason, trail=(place(module, node),))


def place(module: Module, node: ast.AST, saw: str = "") -> Evidence:
    """Where ``node`` stands, with its text."""
    line = getattr(node, "lineno", None)
    column = getattr(node, "col_offset", -1) + 1 or None
    return Evidence(module.path, line, column, None, saw or module.source(node))


class Resolver:
    """Follows expressions through one program, as they would end in one environment."""

    def __init__(self, program: Program, environment: str = "", provided: Mapping[str, str] | None = None) -> None:
        """``provided`` are variables known to be set in ``environment`` (their values, if not secret)."""
        self.program = program
        self.environment = environment
        self.provided = dict(provided or {})
        self._depth = 0
        self._values: dict[tuple[ast.expr, FunctionNode | None], Value] = {}
        self._assigned: dict[FunctionNode, dict[str, list[tuple[int, ast.expr]]]] = {}
        self._globals: dict[tuple[str, str, int], tuple[int, Value]] = {}
        self._following: set[tuple[str, str, int]] = set()
        self._guarding: set[ast.stmt] = set()

    def value(self, node: ast.expr, scope: Scope) -> Value:
        """How ``node``, standing in ``scope``, ends."""
        key = (node, scope.function) if not scope.bindings else None
        if key is not None and key in self._values:
            return self._values[key]
        if self._depth >= MAX_DEPTH:
            return dynamic(scope.module, node, "too deep to follow")
        self._depth += 1
        try:
            found = self._value(node, scope)
        finally:
            self._depth -= 1
        if key is not None and not self._depth and not self._guarding:
            self._values[key] = found  # nothing was cut short: it is the same wherever it is asked again
        return found

    def _value(self, node: ast.expr, scope: Scope) -> Value:
        match node:
            case ast.Constant():
                return Value("literal", node.value, trail=(place(scope.module, node),))
            case ast.Name():
                return self._name(node, scope)
            case ast.Attribute():
                return self._attribute(node, scope)
            case ast.Call():
                from sentry_audit.python.calls import call_value

                return call_value(self, node, scope)
            case ast.Subscript():
                return self._subscript(node, scope)
            case ast.BoolOp(op=ast.Or()):
                return self._either(tuple(self.value(item, scope) for item in node.values))
            case ast.IfExp():
                return self._if_expression(node, scope)
            case ast.Await() | ast.NamedExpr():
                return self.value(node.value, scope)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return Value("literal", -number, trail=(place(scope.module, node),))
            case ast.Dict() | ast.List() | ast.Tuple() | ast.Set() | ast.Lambda():
                return Value("literal", node, trail=(place(scope.module, node),))
            case ast.JoinedStr() if all(isinstance(part, ast.Constant) for part in node.values):
                text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
                return Value("literal", text, trail=(place(scope.module, node),))
        return dynamic(scope.module, node, f"computed by {scope.module.source(node, 60)}")

    def _either(self, options: tuple[Value, ...]) -> Value:
        flat = tuple(leaf for option in options for leaf in option.leaves())
        kept = [leaf for leaf in flat[:-1] if not (leaf.kind == "literal" and not leaf.literal)] + [flat[-1]]
        return kept[0] if len(kept) == 1 else Value("either", options=tuple(kept), trail=kept[0].trail)

    def _if_expression(self, node: ast.IfExp, scope: Scope) -> Value:
        from sentry_audit.python.truth import truth

        verdict = truth(self, node.test, scope)
        if verdict.holds is True:
            return self.value(node.body, scope)
        if verdict.holds is False:
            return self.value(node.orelse, scope)
        return self._either((self.value(node.body, scope), self.value(node.orelse, scope)))

    def _name(self, node: ast.Name, scope: Scope) -> Value:
        if node.id in scope.bindings:
            return scope.bindings[node.id]
        if scope.function is not None and (local := self._local(node, scope)) is not None:
            return local
        return self.global_value(node.id, scope.module, node)

    def _local(self, node: ast.Name, scope: Scope) -> Value | None:
        assert scope.function is not None
        found = [value for line, value in self._assignments(scope.function).get(node.id, ()) if line <= node.lineno]
        if found:
            if self._depth >= MAX_DEPTH - 1 or node in ast.walk(found[-1]):
                return dynamic(scope.module, node, "assigned from itself")
            return self.value(found[-1], scope)
        args = scope.function.args
        defaults = dict(
            zip(
                [a.arg for a in (*args.posonlyargs, *args.args)][-len(args.defaults) or len(args.args) :],
                args.defaults,
                strict=False,
            )
        )
        defaults |= {a.arg: d for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d is not None}
        if node.id in defaults:
            return self.value(defaults[node.id], Scope(scope.module))
        names = {a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)}
        if node.id in names:
            return self._annotated(node, scope)
        return None

    def _assignments(self, function: FunctionNode) -> dict[str, list[tuple[int, ast.expr]]]:
        """The values that names are given in a function, by line; looked for once."""
        if function not in self._assigned:
            names: dict[str, list[tuple[int, ast.expr]]] = {}
            for statement in ast.walk(function):
                match statement:
                    case ast.Assign(targets=[*targets], value=value):
                        line = statement.lineno
                    case ast.AnnAssign(target=target, value=ast.expr() as value):
                        targets, line = [target], statement.lineno
                    case ast.NamedExpr(target=target, value=value):
                        targets, line = [target], 0
                    case _:
                        continue
                for item in targets:
                    if isinstance(item, ast.Name):
                        names.setdefault(item.id, []).append((line, value))
            for listed in names.values():
                listed.sort(key=lambda item: item[1].lineno)
            self._assigned[function] = names
        return self._assigned[function]

    def _annotated(self, node: ast.Name, scope: Scope) -> Value:
        """A parameter whose class is known by its annotation; otherwise not followed."""
        assert scope.function is not None
        args = scope.function.args
        for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs):
            if arg.arg == node.id and arg.annotation is not None:
                ref = self.class_of(arg.annotation, scope)
                if ref is not None:
                    return Value("instance", cls=ref, trail=(place(ref.module, ref.node, f"class {ref.node.name}"),))
        return dynamic(scope.module, node, f"{node.id} is a parameter of {scope.function.name}()")

    def class_of(self, annotation: ast.expr, scope: Scope) -> ClassRef | None:
        """The class of the tree that an annotation names (also in strings, Optional and Annotated)."""
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            try:
                annotation = ast.parse(annotation.value, mode="eval").body
            except SyntaxError:
                return None
        if isinstance(annotation, ast.Subscript):
            inner = (
                annotation.slice.elts[0]
                if isinstance(annotation.slice, ast.Tuple) and annotation.slice.elts
                else annotation.slice
            )
            return self.class_of(inner, scope)
        if isinstance(annotation, ast.BinOp):
            return self.class_of(annotation.left, scope) or self.class_of(annotation.right, scope)
        value = self.value(annotation, Scope(scope.module))
        return value.cls if value.kind == "class" else None

    def global_value(self, name: str, module: Module, node: ast.AST) -> Value:
        """What the module-level ``name`` of ``module`` ends in, followed through imports."""
        defined = self.program.define(module, name)
        if defined is None:
            if (submodule := self.program.submodule(module, name)) is not None:
                return Value("module", module=submodule, trail=(place(module, node),))
            item = module.aliases.get(name)
            if item is not None:
                return Value(
                    "dynamic",
                    reason=f"{name} comes from the package {item.module or name}",
                    trail=(place(module, node),),
                )
            return dynamic(module, node, f"nothing in the repository binds {name}")
        owner, statements = defined
        return self._bound(name, owner, statements)

    def _bound(self, name: str, owner: Module, statements: list[ast.stmt]) -> Value:
        """What a name of a module ends in: followed once, unless it was cut short further down than here.

        Asked in the condition of one of its own statements, as in ``if not name: name = …``, what stands before counts.
        """
        limit = next((index for index, item in enumerate(statements) if item in self._guarding), len(statements))
        key = (owner.path, name, limit)
        if key in self._globals and self._globals[key][0] <= self._depth:
            return self._globals[key][1]
        if key in self._following:
            return dynamic(owner, statements[-1], f"{name} depends on itself")
        self._following.add(key)
        try:
            value = self._last_bound(name, owner, statements[:limit])
        finally:
            self._following.discard(key)
        self._globals[key] = (self._depth, value)
        return value

    def _last_bound(self, name: str, owner: Module, statements: list[ast.stmt]) -> Value:
        from sentry_audit.python.truth import guarded

        values: list[Value] = []
        for statement in statements:
            self._guarding.add(statement)
            try:
                reached = guarded(self, statement, Scope(owner))
            finally:
                self._guarding.discard(statement)
            if reached is False:
                continue
            match statement:
                case ast.ClassDef():
                    values.append(
                        Value(
                            "class", cls=ClassRef(owner, statement), trail=(place(owner, statement, f"class {name}"),)
                        )
                    )
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    values.append(
                        Value(
                            "function",
                            function=statement,
                            module=owner,
                            trail=(place(owner, statement, f"def {name}"),),
                        )
                    )
                case ast.Assign(value=expression) | ast.AnnAssign(value=ast.expr() as expression):
                    if isinstance(statement, ast.Assign) and any(
                        isinstance(t, ast.Tuple | ast.List) for t in statement.targets
                    ):
                        values.append(dynamic(owner, statement, f"{name} is unpacked"))
                    else:
                        values.append(self.value(expression, Scope(owner)).via(place(owner, statement)))
        if not values:
            return Value("dynamic", reason=f"{name} is never assigned", trail=(Evidence(owner.path),))
        useful = [value for value in values if not (value.kind == "literal" and value.literal is None)]
        return (useful or values)[-1]

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Value:
        qualified = scope.module.qualify(node)
        if qualified.startswith("django.conf.settings."):
            return self._django(node, scope)
        base = self.value(node.value, scope)
        return self.member(base, node.attr, node, scope)

    def member(self, base: Value, name: str, node: ast.AST, scope: Scope) -> Value:
        """Attribute ``name`` of what ``base`` ends in."""
        from sentry_audit.python.settings import field_value

        match base.kind:
            case "instance" | "class":
                assert base.cls is not None
                return field_value(self, base, name, place(scope.module, node))
            case "module":
                assert base.module is not None
                defined = self.program.define(base.module, name)
                if defined is None:
                    if (submodule := self.program.submodule(base.module, name)) is not None:
                        return Value("module", module=submodule)
                    target = self.program.locate(name, base.module.path, 1) if base.module.is_package else None
                    if target and (inner := self.program.module(target)):
                        return Value("module", module=inner)
                    return Value(
                        "unfilled",
                        reason=f"{base.module.path} does not define {name}",
                        trail=(place(scope.module, node), Evidence(base.module.path, None, None, None, f"no {name}")),
                    )
                return self._bound(name, *defined).via(place(scope.module, node))
            case "either":
                chosen = tuple(self.member(option, name, node, scope) for option in base.options)
                return self._either(chosen)
        unseen = dynamic(scope.module, node, base.reason or f"{scope.module.source(node, 60)} was not followed")
        return replace(unseen, literal=base.literal) if base.kind == "dynamic" else unseen

    def _django(self, node: ast.Attribute, scope: Scope) -> Value:
        for path in self.django_settings:
            module = self.program.module(path)
            if module is not None and (defined := self.program.define(module, node.attr)) is not None:
                return self._bound(node.attr, *defined).via(place(scope.module, node))
        if not self.django_settings:
            return dynamic(scope.module, node, "the Django settings module was not found")
        return Value(
            "unfilled",
            reason=f"{self.django_settings[0]} does not define {node.attr}",
            trail=(place(scope.module, node),),
        )

    #: Names of environments that the program itself uses, set by the component analysis.
    vocabulary: frozenset[str] = frozenset()

    #: The Django settings modules in use, set by the component analysis.
    django_settings: tuple[str, ...] = ()

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Value:
        key = self.value(node.slice, scope)
        if scope.module.qualify(node.value) in _ENVIRON:
            if key.kind == "literal" and isinstance(key.literal, str):
                return Value("env", names=(key.literal,), trail=(place(scope.module, node),))
            return dynamic(scope.module, node, "the variable's name is computed")
        base = self.value(node.value, scope)
        if base.kind == "literal" and isinstance(base.literal, ast.Dict):
            return self.pick(base.literal, key, node, scope)
        if base.kind == "instance" and key.kind == "literal" and isinstance(key.literal, str):
            return self.member(base, key.literal, node, scope)
        return dynamic(scope.module, node, base.reason or f"{scope.module.source(node, 60)} was not followed")

    def pick(self, table: ast.Dict, key: Value, node: ast.AST, scope: Scope, default: Value | None = None) -> Value:
        """The entry of a dict literal that ``key`` selects in this environment."""
        from sentry_audit.python.truth import concrete, same_environment

        wanted = concrete(self, key)
        literal = {
            item.value: value
            for item, value in zip(table.keys, table.values, strict=True)
            if isinstance(item, ast.Constant)
        }
        if isinstance(wanted, str) and wanted in literal:
            return self.value(literal[wanted], scope)
        if isinstance(wanted, str):
            for name, value in literal.items():
                if isinstance(name, str) and same_environment(name, wanted):
                    return self.value(value, scope)
            if default is not None:
                return default
        return dynamic(scope.module, node, f"which entry of {scope.module.source(node, 60)} is not known")

    def call_function(self, function: FunctionNode, owner: Module, bindings: Mapping[str, Value]) -> Value:
        """What a function of the tree returns, with its parameters bound."""
        from sentry_audit.python.truth import first_return

        scope = Scope(owner, bindings, function)
        chosen, undecided = first_return(self, function, scope)
        if chosen is not None and not undecided:
            return self.value(chosen, scope)
        values = [self.value(item, scope) for item in (*undecided, *((chosen,) if chosen is not None else ()))]
        if not values:
            if function.returns is not None and (ref := self.class_of(function.returns, scope)):
                return Value("instance", cls=ref, trail=(place(owner, function, f"def {function.name}"),))
            return dynamic(owner, function, f"{function.name}() returns nothing that was followed")
        return self._either(tuple(values)) if len(values) > 1 else values[0]
