"""The sets of values with which a root module is applied: one for each environment that has a ``.tfvars`` file."""

from __future__ import annotations

import re
from collections import defaultdict
from posixpath import basename, dirname
from typing import TYPE_CHECKING

from msgspec import Struct, field

from sentry_audit.deployment.environments import told
from sentry_audit.deployment.found import KINDS
from sentry_audit.deployment.terraform_modules import ENVIRONMENT
from sentry_audit.deployment.terraform_syntax import Broken, assignments, problem
from sentry_audit.mentions import TERRAFORM_VARIABLES
from sentry_audit.python.paths import deployed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit.deployment.environments import Hint
    from sentry_audit.deployment.found import Found
    from sentry_audit.deployment.terraform_syntax import Expr
    from sentry_audit.python.program import Files

_EXAMPLE = re.compile(r"example|sample|template|\.dist\.", re.IGNORECASE)
_SHARED = re.compile(
    r"^(common|global|globals|shared|base|default|defaults|all|terraform|variables|vars)$", re.IGNORECASE
)
_GIVEN = re.compile(r"\bTF_VAR_(\w+)|-var[= ]+[\"']?(\w+)\s*=")
_PIPELINE = (".yml", ".yaml", ".sh", ".bash", ".mk", "Makefile", "justfile", ".py", ".ps1", ".toml", ".json", ".hcl")


class Layer(Struct):
    """Values given from files, and what their place says about the environment."""

    values: dict[str, Expr] = field(default_factory=dict)
    hints: list[Hint] = field(default_factory=list)

    def over(self, base: Layer) -> Layer:
        """These values, and those of ``base`` for the others."""
        return Layer({**base.values, **self.values}, [*self.hints, *base.hints])


def outside(files: Files) -> frozenset[str]:
    """The variables that scripts and pipelines give by ``-var`` or ``TF_VAR_…``."""
    found: set[str] = set()
    for path in files.search(TERRAFORM_VARIABLES):
        if path.endswith(_PIPELINE) and deployed(path):
            found.update(one or two for one, two in _GIVEN.findall(files.text(path) or ""))
    return frozenset(found)


class Layers:
    """Which ``.tfvars`` files belong to which root module."""

    def __init__(self, files: Files, found: Found, roots: Iterable[str], folders: frozenset[str]) -> None:
        self.files = files
        self.found = found
        self._own: dict[str, list[str]] = defaultdict(list)
        self._other: dict[str, list[str]] = defaultdict(list)
        known = sorted(roots)
        for path in sorted(files.paths):
            if path.endswith(".tfvars") and deployed(path) and not _EXAMPLE.search(basename(path)):
                root = _root(dirname(path), known, folders)
                if root is not None:
                    automatic = basename(path) == "terraform.tfvars" or path.endswith(".auto.tfvars")
                    (self._own if automatic and dirname(path) == root else self._other)[root].append(path)

    def of(self, root: str, variables: frozenset[str]) -> list[Layer]:
        """The sets of values for the module in ``root``, which has ``variables``; at least one."""
        base = Layer()
        for path in sorted(self._own[root], key=lambda item: (not item.endswith("/terraform.tfvars"), item)):
            base = Layer(self._values(path)).over(base)
        base.hints = _hints(base.values, "", root)
        told_of: dict[str, list[Layer]] = defaultdict(list)
        for path in self._other[root]:
            values = self._values(path)
            if values and not variables.isdisjoint(values):
                layer = Layer(values, _hints(values, path, root))
                shared = _SHARED.match(basename(path).removesuffix(".tfvars"))
                environment = told(layer.hints)[0]
                told_of[environment if environment or not shared else "*"].append(layer)
        for layer in told_of.pop("*", []):
            base = Layer(layer.values).over(base)
        found = [merged.over(base) for layers in told_of.values() for merged in _merged(layers)]
        return found or [base]

    def _values(self, path: str) -> dict[str, Expr]:
        try:
            return assignments(path, self.files.text(path) or "")
        except Broken as error:
            self.found.problems.append(problem(path, error.line, KINDS))
            return {}


def _merged(layers: list[Layer]) -> list[Layer]:
    """Files of one environment that give different variables are used together."""
    found: list[Layer] = []
    for layer in layers:
        for index, other in enumerate(found):
            if other.values.keys().isdisjoint(layer.values):
                found[index] = layer.over(other)
                break
        else:
            found.append(layer)
    return found


def _hints(values: dict[str, Expr], path: str, root: str) -> list[Hint]:
    """The environment variable's value, the file's name, its folder below the root module."""
    hints = [
        (expression.text.strip('"'), f"var.{name}")
        for name, expression in values.items()
        if ENVIRONMENT.match(name) and re.fullmatch(r'"[\w-]+"', expression.text)
    ]
    if path:
        hints.append((basename(path).removesuffix(".tfvars"), f"{basename(path)}'s name"))
        hints.append((dirname(path).removeprefix(root).strip("/"), "the folder of the .tfvars file"))
    return hints


def _root(folder: str, roots: list[str], folders: frozenset[str]) -> str | None:
    """The root module that a file in ``folder`` gives values to: the nearest above it, else the only one beside it."""
    current = folder
    while True:
        if current in folders:
            return current if current in roots else None
        if not current:
            break
        current = dirname(current)
    current = folder
    while current:
        current = dirname(current)
        near = [root for root in roots if not current or root.startswith(f"{current}/")]
        if near:
            return near[0] if len(near) == 1 else None
    return None
