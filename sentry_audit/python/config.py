"""The settings classes of a component: which Sentry fields they have, and what fills and uses them."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from sentry_audit.facts import ConfigClass
from sentry_audit.model import Evidence
from sentry_audit.python.module import FunctionNode
from sentry_audit.python.paths import deployed
from sentry_audit.python.settings import ancestry, field_value
from sentry_audit.python.values import ClassRef, Scope, Value, place

if TYPE_CHECKING:
    from sentry_audit.python.analysis import Analysed, Reached

#: Names of fields that hold the DSN, and of those that switch Sentry on.
DSN_FIELD = re.compile(r"sentry_?(?:.*_)?dsn|^dsn$", re.IGNORECASE)
ENVIRONMENT_FIELD = re.compile(
    r"^(sentry_)?env(ironment)?(_name)?$|^app_env(ironment)?$|^stage$|^(.*_)?environment$", re.IGNORECASE
)
_PYDANTIC = frozenset({"pydantic.BaseSettings", "pydantic_settings.BaseSettings", "pydantic.v1.BaseSettings"})
ENABLED_FIELD = re.compile(r"sentry_?(?:is_)?(enabled|active|on)|(enable|use)_sentry", re.IGNORECASE)


def config_classes(analysed: Analysed) -> list[ConfigClass]:
    """The settings classes in use; none when the code reads its variables without one."""
    found: dict[ast.ClassDef, tuple[Value, str]] = {}
    for item in analysed.reached:
        for value, attribute in _read_by(analysed, item):
            if value.cls is not None:
                found.setdefault(value.cls.node, (value, attribute))
    if found:
        return [_describe(analysed, value) for value, _ in found.values()]
    if any("dsn" not in item.init.options for item in analysed.reached):
        return []
    if analysed.reached:
        return []
    return [_describe(analysed, value) for value in _in_folder(analysed)]


def _read_by(analysed: Analysed, item: Reached) -> list[tuple[Value, str]]:
    """The settings objects whose attributes init's arguments read, with the attribute."""
    found = []
    for name in ("dsn", "environment", "release", "traces_sample_rate"):
        if name not in item.init.options:
            continue
        expression, scope = item.init.options[name]
        bindings = item.bindings[0] if item.bindings else {}
        inner = {id(node.value) for node in ast.walk(expression) if isinstance(node, ast.Attribute)}
        for node in ast.walk(expression):
            if isinstance(node, ast.Attribute) and id(node) not in inner:
                base = analysed.resolver.value(node.value, Scope(scope.module, bindings, scope.function))
                found += [
                    (leaf, node.attr)
                    for leaf in base.leaves()
                    if leaf.kind in {"instance", "class"} and leaf.cls is not None
                ]
    return found


def _in_folder(analysed: Analysed) -> list[Value]:
    """Without an init that reads one: the classes on pydantic's BaseSettings in the component's folder."""
    program = analysed.resolver.program
    found = []
    for path in program.files.search(["BaseSettings"], ".py"):
        if not analysed.service.fact.holds(path) or not deployed(path) or (module := program.module(path)) is None:
            continue
        for node in module.classes:
            ref = ClassRef(module, node)
            if any(module.qualify(base) in _PYDANTIC for base in node.bases):
                found.append(Value("instance", cls=ref))
    return found[:1]


def _fields(analysed: Analysed, ref: ClassRef) -> dict[str, Evidence]:
    fields: dict[str, Evidence] = {}
    for item in ancestry(analysed.resolver, ref).classes:
        for node in ast.walk(item.node):
            name = ""
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name = node.target.id
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                name = target.attr if isinstance(target, ast.Attribute) else ""
            elif isinstance(node, FunctionNode) and any("property" in ast.unparse(one) for one in node.decorator_list):
                name = node.name
            if name:
                fields.setdefault(name, place(item.module, node))
    return fields


def _describe(analysed: Analysed, value: Value) -> ConfigClass:
    assert value.cls is not None
    ref = value.cls
    fields = _fields(analysed, ref)
    dsn = next((name for name in fields if DSN_FIELD.search(name)), "")
    environment = next((name for name in fields if ENVIRONMENT_FIELD.search(name)), "")
    unmapped, places, unknown = [], [], ""
    if dsn:
        ending = field_value(analysed.resolver, value, dsn, fields[dsn])
        if ending.kind == "unfilled":
            unmapped.append(dsn)
            places += list(ending.trail)
        elif ending.kind == "dynamic":
            unknown = f"what fills {ref.node.name}.{dsn} could not be followed: {ending.reason}"
    fallback = _fallback(analysed, ref, dsn)
    if fallback is not None:
        unmapped.append(fallback.saw)
        places.append(fallback)
    return ConfigClass(
        component=analysed.name,
        name=ref.node.name,
        has_dsn=bool(dsn),
        has_environment=bool(environment) or _labels_itself(analysed),
        has_enabled=any(ENABLED_FIELD.search(name) for name in fields) or not _wants_flag(analysed),
        mapped=not unmapped,
        unmapped=tuple(unmapped),
        unused=tuple(_unused(analysed, ref, fields)),
        unknown=unknown,
        evidence=(
            place(ref.module, ref.node, f"class {ref.node.name}"),
            *(fields[name] for name in (dsn, environment) if name),
            *places,
        ),
    )


def _labels_itself(analysed: Analysed) -> bool:
    """Init sets the environment from something else, so the class needs no field for it."""
    return any("environment" in item.init.options for item in analysed.reached)


def _wants_flag(analysed: Analysed) -> bool:
    """Whether a condition in front of init reads an enabled flag."""
    from sentry_audit.facts import SdkInit

    return any(isinstance(fact, SdkInit) and ENABLED_FIELD.search(fact.condition) for fact in analysed.facts)


def _unused(analysed: Analysed, ref: ClassRef, fields: dict[str, Evidence]) -> list[str]:
    """Sentry fields that no file of the component but the class's own reads."""
    if not analysed.reached:
        return []
    wanted = [name for name in fields if name.lower().startswith("sentry") and not name.startswith("_")]
    texts = [analysed.resolver.program.files.text(path) or "" for path in analysed.closure if path != ref.module.path]
    own = ref.module.text
    return [
        name
        for name in wanted
        if not any(name in text for text in texts)
        and not re.search(rf"(?:self|cls|settings|config|cfg)\.{re.escape(name)}\b(?!\s*=[^=])", own)
    ]


def _fallback(analysed: Analysed, ref: ClassRef, dsn: str) -> Evidence | None:
    """``try: return StagingConfig() except Exception: return AppConfig()`` where the latter has no DSN.

    A configuration error then goes on silently with a class that leaves Sentry dark.
    """
    program = analysed.resolver.program
    for path in analysed.closure:
        text = program.files.text(path) or ""
        module = program.module(path) if "except" in text and f"{ref.node.name}(" in text else None
        if module is None:
            continue
        for node in module.nodes:
            if not isinstance(node, ast.Try) or ref.node.name not in ast.unparse(ast.Module(node.body, [])):
                continue
            for handler in node.handlers:
                for inner in ast.walk(handler):
                    if (
                        isinstance(inner, ast.Call)
                        and (other := _made(analysed, module, inner)) is not None
                        and other.node is not ref.node
                    ):
                        ending = field_value(
                            analysed.resolver,
                            Value("instance", cls=other, call=inner, module=module),
                            dsn or "sentry_dsn",
                            place(module, inner),
                        )
                        if ending.kind == "unfilled":
                            return Evidence(
                                path,
                                inner.lineno,
                                None,
                                None,
                                f"{other.node.name} is used silently when {ref.node.name} fails, and has no DSN",
                            )
    return None


def _made(analysed: Analysed, module: object, call: ast.Call) -> ClassRef | None:
    from sentry_audit.python.module import Module

    assert isinstance(module, Module)
    if not isinstance(call.func, ast.Name):
        return None
    value = analysed.resolver.value(call.func, Scope(module))
    return value.cls if value.kind == "class" else None
