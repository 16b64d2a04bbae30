"""A settings class of a project, and new fields in its style: the ground of the fixers that change one."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.facts import ConfigClass, EnvVar
from sentry_audit.fixers._code import analysed, source_of
from sentry_audit.fixers._style import nullable, reading
from sentry_audit.fixing import Refusal
from sentry_audit.python.module import FunctionNode
from sentry_audit.python.settings import ancestry, field_names, prefix_of
from sentry_audit.python.values import ClassRef

if TYPE_CHECKING:
    from sentry_audit.fixers._source import Splice
    from sentry_audit.fixing import Case
    from sentry_audit.python.module import Module
    from sentry_audit.python.settings import Ancestry

#: Option of init → the field that holds it, and its type and default.
FIELDS = {
    "dsn": ("sentry_dsn", "str", "None"),
    "environment": ("sentry_environment", "str", "None"),
    "release": ("sentry_release", "str", "None"),
    "traces_sample_rate": ("sentry_traces_sample_rate", "float", "0.1"),
    "enabled": ("sentry_enabled", "bool", "True"),
}


class Held(Struct, frozen=True):
    """A settings class, with what its bases make of it."""

    ref: ClassRef
    family: Ancestry

    @property
    def module(self) -> Module:
        """The file that it stands in."""
        return self.ref.module


def held(case: Case, fact: ConfigClass) -> Held | None:
    """The class that a fact speaks of."""
    place = fact.evidence[0] if fact.evidence else None
    module = case.program.module(place.path) if place is not None and place.path else None
    node = next((item for item in module.classes if place and item.lineno == place.line), None) if module else None
    if module is None or node is None:
        return None
    ref = ClassRef(module, node)
    return Held(ref, ancestry(analysed(case).resolver, ref))


def gap(case: Case) -> tuple[ConfigClass, Held] | Refusal:
    """The fact that makes the case a gap, and its class."""
    for fact in case.bad:
        if isinstance(fact, ConfigClass) and (found := held(case, fact)) is not None:
            return fact, found
    return Refusal(reason="the settings class was not found")


def field_name(cls: Held, option: str) -> str:
    """The name of a new field, in capitals where the class has its fields so."""
    name = FIELDS[option][0]
    fields = [item for item in field_names(cls.family) if item != "model_config"]
    return name.upper() if fields and sum(item.isupper() for item in fields) * 2 > len(fields) else name


def alias_of(case: Case, cls: Held, option: str) -> str:
    """The alias that a new field of pydantic's needs: the plain name where the project sets that, past the prefix."""
    name = FIELDS[option][0].upper()
    is_set = any(isinstance(fact, EnvVar) and fact.name == name for fact in case.scanned)
    return name if prefix_of(cls.family) and is_set else ""


def new_fields(case: Case, cls: Held, options: tuple[str, ...], name: str = "") -> list[Splice] | None:
    """Fields for ``options``, each filled from its variable; None where the class is filled in a way of its own."""
    module, node = cls.module, cls.ref.node
    source = source_of(module)
    if not node.body or node.body[0].lineno == node.lineno:
        return None
    rows: list[str] = []
    splices: list[Splice] = []
    for option in options:
        field = name or field_name(cls, option)
        _, kind, default = FIELDS[option]
        shown = nullable(source, kind) if default == "None" else kind
        if cls.family.reads_environment:
            value = _aliased(
                module, default, alias_of(case, cls, option), source.quote, getattr(_last_field(cls), "value", None)
            )
            if value is None:
                return None
            rows.append(f"{field}: {shown} = {value}")
            continue
        line = _read_like_neighbours(case, cls, field, option, shown)
        if line is None:
            return None
        rows.append(line[0])
        splices += [item for item in line[1] if item not in splices]
    last = _last_field(cls)
    if last is None:
        return None
    indent = source.indent(last)
    text = "".join(f"{indent}{row}{source.end}" for row in rows)
    place = source.after(last)
    lead = "" if source.text[:place].endswith(("\n", "\r")) else source.end
    return [*splices, (place, place, lead + text)]


def _aliased(module: Module, default: str, alias: str, quote: str, like: ast.expr | None) -> str | None:
    if not alias:
        return like_field(like, default)
    if "Field" not in module.aliases:
        return None
    keyword = "env" if module.aliases["Field"].module == "pydantic" and _is_v1(module) else "validation_alias"
    return f"Field({default}, {keyword}={quote}{alias}{quote})"


def like_field(value: ast.expr | None, default: str) -> str:
    """``default`` as the default of a new field beside one that is given ``value``: ``Field(default=…)``, ``Field(…)``."""
    if not isinstance(value, ast.Call) or ast.unparse(value.func).rpartition(".")[2] != "Field":
        return default
    if any(item.arg == "default" for item in value.keywords):
        return f"{ast.unparse(value.func)}(default={default})"
    return f"{ast.unparse(value.func)}({default})" if value.args else default


def object_name(cls: Held) -> str:
    """The name of the class's one object at the top of its module (``settings = Settings()``); ``""`` if it has none."""
    for name, statements in cls.module.definitions.items():
        value = getattr(statements[-1], "value", None)
        if (
            isinstance(value, ast.Call) and not value.args and not value.keywords
            and ast.unparse(value.func) == cls.ref.node.name
        ):  # fmt: skip
            return name
    return ""


def is_text(cls: Held, field: str) -> bool:
    """Whether a field is annotated as a text: an Enum is no label."""
    for ref in cls.family.classes:
        for item in ref.node.body:
            if target(item) == field and isinstance(item, ast.AnnAssign):
                names = {node.id for node in ast.walk(item.annotation) if isinstance(node, ast.Name)}
                return names <= {"str", "Optional", "Literal", "Annotated", "Union"}
    return False


def _is_v1(module: Module) -> bool:
    """Pydantic 1 has BaseSettings itself; 2 has it in pydantic-settings."""
    return any(item.name == "BaseSettings" and item.module == "pydantic" for item in module.imports)


def _last_field(cls: Held) -> ast.stmt | None:
    """The field after which another one goes: the last of Sentry's, else the last of the first run of fields."""
    fields = [
        item
        for item in cls.ref.node.body
        if isinstance(item, ast.AnnAssign | ast.Assign) and ast.unparse(getattr(item, "target", item)) != "model_config"
    ]
    fields = [item for item in fields if not ast.unparse(item).startswith(("model_config", "__"))]
    if not fields:
        return None
    related = [item for item in fields if "sentry" in ast.unparse(item).lower()]
    first = next(
        (index for index, item in enumerate(cls.ref.node.body) if isinstance(item, FunctionNode | ast.ClassDef)), None
    )
    before = [item for item in fields if first is None or cls.ref.node.body.index(item) < first]
    return (related or before or fields)[-1]


def _read_like_neighbours(
    case: Case, cls: Held, field: str, option: str, shown: str
) -> tuple[str, list[Splice]] | None:
    """A field that is filled as the class's others are: from a variable, where they stand."""
    variable = FIELDS[option][0].upper()
    for item in cls.ref.node.body:
        value = getattr(item, "value", None)
        if target(item) and value is not None and reads(cls.module, value):
            text, imports = reading(case, cls.module, variable)
            if option in {"traces_sample_rate", "enabled"}:
                return None
            annotated = isinstance(item, ast.AnnAssign) or cls.family.is_model
            return f"{field}: {shown} = {text}" if annotated else f"{field} = {text}", imports
    return None


def target(statement: ast.stmt) -> str:
    """The name that a field's statement binds."""
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return ""


def reads(module: Module, node: ast.AST) -> bool:
    """Whether an expression reads the environment."""
    return any(
        (
            isinstance(item, ast.Call)
            and module.qualify(item.func) in {"os.getenv", "os.environ.get", "os.environ.setdefault"}
        )
        or (isinstance(item, ast.Subscript) and module.qualify(item.value) == "os.environ")
        for item in ast.walk(node)
    )
