"""How a project reads its environment and writes its types: generated code follows it."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.fixers import _imports
from sentry_audit.fixers._code import own_module, source_of

if TYPE_CHECKING:
    from sentry_audit.fixers._source import Source, Splice
    from sentry_audit.fixing import Case
    from sentry_audit.python.module import Module

_READERS = (("os.environ.get(", "os.environ.get"), ("os.getenv(", "os.getenv"))


class Reader(Struct, frozen=True):
    """The call by which a file reads a variable that may be missing, and the import that it needs.

    ``casts``: the call itself is told the type (python-decouple), rather than a method of it (``env.float``).
    """

    call: str
    imports: str = ""
    keyword: str = ""
    casts: bool = False

    def get(self, name: str, quote: str) -> str:
        """The expression for the variable ``name``; None where it is not set."""
        absent = f", {self.keyword}None" if self.keyword else ""
        return f"{self.call}({quote}{name}{quote}{absent})"

    def number(self, name: str, default: str, quote: str) -> str:
        """The expression for a number."""
        if self.keyword:
            how, cast = (self.call, ", cast=float") if self.casts else (f"{self.call}.float", "")
            return f"{how}({quote}{name}{quote}, {self.keyword}{default}{cast})"
        return f"float({self.call}({quote}{name}{quote}) or {default})"  # set but empty, as in a template, too


def reader(module: Module | None) -> Reader:
    """How ``module`` reads variables: python-decouple, django-environ, environs, else os."""
    if module is not None:
        for name, item in module.aliases.items():
            if (item.module, item.name) == ("decouple", "config") and f"{name}(" in module.text:
                return Reader(name, keyword="default=", casts=True)
        for name, statements in module.definitions.items():
            value = getattr(statements[0], "value", None)
            made = module.qualify(value.func) if isinstance(value, ast.Call) else ""
            if made in {"environ.Env", "environ.FileAwareEnv", "environs.Env"} and f"{name}(" in module.text:
                return Reader(name, keyword="default=")  # without a default, both raise where nothing is set
        if re.search(r"(?<![\w.])environ\.get\(", module.text) and "environ" in module.aliases:
            return Reader("environ.get")
        if re.search(r"(?<![\w.])getenv\(", module.text) and "getenv" in module.aliases:
            return Reader("getenv")
        best = max(_READERS, key=lambda item: module.text.count(item[0]))
        return Reader(best[1], "import os")
    return Reader("os.environ.get", "import os")


def reading(case: Case, module: Module, name: str) -> tuple[str, list[Splice]]:
    """The expression by which ``module`` would read the variable ``name``, and the import that it lacks."""
    how, source = reader(module), source_of(module)
    splices = _imports.added(source, how.imports, own_module(case, module.path)) if how.imports else []
    return how.get(name, source.quote), splices


def nullable(source: Source, kind: str = "str") -> str:
    """``str | None``, or ``Optional[str]`` where the file writes that."""
    if "Optional[" in source.text and not re.search(r"\|\s*None\b", source.text):
        return f"Optional[{kind}]"
    return f"{kind} | None"
