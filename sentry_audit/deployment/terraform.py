"""Terraform: the services, jobs and secrets of Cloud Run that a root module declares, for each set of values.

Resources: registry.terraform.io/providers/hashicorp/google (cloud_run_service, cloud_run_v2_service, _v2_job,
secret_manager_secret). Modules of the repository are followed; others are named as not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from posixpath import basename, dirname, join, normpath
from typing import TYPE_CHECKING, Any

from sentry_audit.deployment.found import KINDS
from sentry_audit.deployment.gcloud import Change, setting
from sentry_audit.deployment.hcl import Scope, Unknown, plain
from sentry_audit.model import Evidence, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sentry_audit.deployment.environments import Hint
    from sentry_audit.deployment.found import Found
    from sentry_audit.facts import Setting
    from sentry_audit.python.program import Files

MARKS = ("google_cloud_run", "google_secret_manager_secret")
_RUN = {
    "google_cloud_run_service": ("service", ("template", "spec")),
    "google_cloud_run_v2_service": ("service", ("template",)),
    "google_cloud_run_v2_job": ("job", ("template", "template")),
    "google_cloud_run_v2_worker_pool": ("worker-pool", ("template",)),
}
_DEPTH = 4
_MANY = 40


@dataclass
class _Block:
    """One resource, module, variable: where it stands and what is in it."""

    path: str
    kind: str
    name: str
    body: dict[str, Any]
    line: int | None


@dataclass
class _Module:
    """The blocks of one folder."""

    folder: str
    resources: list[_Block]
    modules: list[_Block]
    variables: dict[str, Any]
    locals: dict[str, Any]


class Terraform:
    """Reads the modules of one tree that have to do with Cloud Run or secrets."""

    def __init__(self, files: Files, found: Found) -> None:
        self.files = files
        self.found = found
        self.folders: dict[str, list[str]] = {}
        self.loaded: dict[str, _Module] = {}

    def read(self) -> None:
        """Every root module that declares, or calls a module that declares, services or secrets."""
        mentioned = {dirname(path) for path in self.files.search(MARKS, ".tf")}
        if not mentioned:
            return
        for path in sorted(self.files.paths):
            if path.endswith(".tf"):
                self.folders.setdefault(dirname(path), []).append(path)
        called = {target for folder in self.folders for target in self._targets(folder)}
        for folder in sorted(self.folders):
            if folder in called or not self._matters(folder, mentioned):
                continue
            self.found.pipeline = folder or "."
            for values, hints in self._values(folder):
                self._module(folder, values, [*hints, (folder, "the folder")], 0)

    def _targets(self, folder: str) -> Iterator[str]:
        for path in self.folders.get(folder, ()):
            for source in re.findall(r'^\s*source\s*=\s*"(\.{1,2}/[^"]*)"', self.files.text(path) or "", re.MULTILINE):
                target = normpath(join(folder, source))
                yield "" if target == "." else target

    def _matters(self, folder: str, mentioned: set[str], depth: int = 0) -> bool:
        if folder in mentioned:
            return True
        return depth < _DEPTH and any(self._matters(target, mentioned, depth + 1) for target in self._targets(folder))

    # --- files --------------------------------------------------------------------------------

    def _load(self, folder: str) -> _Module:
        if folder not in self.loaded:
            module = _Module(folder, [], [], {}, {})
            for path in self.folders.get(folder, ()):
                self._file(path, module)
            self.loaded[folder] = module
        return self.loaded[folder]

    def _parse(self, path: str) -> dict[str, Any]:
        text = self.files.text(path)
        if text is None:
            return {}
        import hcl2

        try:
            return dict(hcl2.loads(text if text.endswith("\n") else text + "\n"))
        except Exception as error:  # noqa: BLE001 - the parser raises many kinds for broken text
            line = getattr(error, "line", None)
            line = line if isinstance(line, int) and line > 0 else None
            here = Evidence(path, line, None, None, "syntax error")
            self.found.problems.append(
                Problem("repo", KINDS, "not valid HCL", f"run terraform validate on {path}", here)
            )
            return {}

    def _file(self, path: str, module: _Module) -> None:
        data = self._parse(path)
        text = self.files.text(path) or ""
        for entry in data.get("resource", []):
            for kind, named in entry.items():
                for name, body in named.items() if isinstance(named, dict) else ():
                    block = _Block(
                        path, plain(kind), plain(name), body, _line(text, f'"{plain(kind)}"', f'"{plain(name)}"')
                    )
                    module.resources.append(block)
        for entry in data.get("module", []):
            for name, body in entry.items():
                module.modules.append(
                    _Block(path, "module", plain(name), body, _line(text, "module", f'"{plain(name)}"'))
                )
        for entry in data.get("variable", []):
            for name, body in entry.items():
                if isinstance(body, dict) and "default" in body:
                    module.variables[plain(name)] = Scope().value(body["default"])
        for entry in data.get("locals", []):
            module.locals.update({plain(name): value for name, value in entry.items() if not name.startswith("__")})

    def _values(self, folder: str) -> list[tuple[dict[str, Any], list[Hint]]]:
        """The sets of values that a root module is applied with: one per tfvars file that names an environment."""
        shared: dict[str, Any] = {}
        named: list[tuple[dict[str, Any], list[Hint]]] = []
        prefix = f"{folder}/" if folder else ""
        for path in sorted(self.files.paths):
            if (
                not path.endswith(".tfvars")
                or not path.startswith(prefix)
                or dirname(path) in set(self.folders) - {folder}
            ):
                continue
            values = {
                plain(name): Scope().value(value)
                for name, value in self._parse(path).items()
                if not name.startswith("__")
            }
            if (basename(path) == "terraform.tfvars" and dirname(path) == folder) or basename(path).endswith(
                ".auto.tfvars"
            ):
                shared.update(values)
            else:
                named.append(
                    (
                        values,
                        [
                            (basename(path), "the values file"),
                            (dirname(path).removeprefix(prefix), "the folder of the values"),
                        ],
                    )
                )
        return [({**shared, **values}, hints) for values, hints in named] or [(shared, [])]

    # --- modules ------------------------------------------------------------------------------

    def _module(self, folder: str, values: Mapping[str, Any], hints: Sequence[Hint], depth: int) -> None:
        module = self._load(folder)
        variables = {**module.variables, **values}
        told = [
            *(
                (str(variables[name]), f"the variable {name}")
                for name in ("environment", "env", "stage")
                if isinstance(variables.get(name), str)
            ),
            *hints,
        ]
        workspace = {"terraform.workspace": Unknown("terraform.workspace")}
        scope = Scope(variables, module.locals, workspace)
        scope.reference = lambda text: self._reference(module, scope, text)
        for block in module.resources:
            if block.kind in _RUN:
                for inner in _instances(block, scope):
                    self._service(block, inner, told)
            elif block.kind == "google_secret_manager_secret":
                for inner in _instances(block, scope):
                    name = inner.text(block.body.get("secret_id"))
                    self.found.secret(block.path, name, block.line, told, origin="terraform")
        for call in module.modules:
            for inner in _instances(call, scope):
                self._call(folder, call, inner, told, depth)

    def _call(self, folder: str, call: _Block, scope: Scope, hints: Sequence[Hint], depth: int) -> None:
        source = scope.text(call.body.get("source"))
        given = {plain(name): scope.value(value) for name, value in call.body.items() if not name.startswith("__")}
        target = normpath(join(folder, source)) if source.startswith(".") else ""
        target = "" if target == "." else target
        if source.startswith(".") and target in self.folders and depth < _DEPTH:
            self._module(target, given, hints, depth + 1)
        elif re.search(r"cloud[-_]?run", source, re.IGNORECASE):
            name = str(given.get("service_name") or given.get("name") or given.get("cloud_run_name") or call.name)
            change = Change("declares", "service", name, project=str(given.get("project_id", "")))
            reason = f"the module {call.name} from {source.split('?')[0]} was not read"
            self.found.change(
                call.path,
                self.files.text(call.path) or "",
                change,
                call.line,
                "terraform",
                hints,
                [reason],
                declarative=True,
            )

    def _reference(self, module: _Module, scope: Scope, text: str) -> Any:
        """``google_secret_manager_secret.dsn.secret_id`` is the secret's name; a service's name likewise."""
        kind, _, rest = text.removeprefix("data.").partition(".")
        name = rest.partition(".")[0]
        for block in module.resources:
            if block.kind == kind and block.name == name:
                key = {"google_secret_manager_secret": "secret_id"}.get(kind, "name")
                return scope.text(block.body[key]) if key in block.body else Unknown(text)
        return Unknown(text)

    def _service(self, block: _Block, scope: Scope, hints: Sequence[Hint]) -> None:
        resource, below = _RUN[block.kind]
        body = block.body
        inner: Any = body
        for part in below:
            inner = (inner.get(part) or [{}])[0] if isinstance(inner, dict) else {}
        containers = (
            [item for item in inner.get("containers", []) if isinstance(item, dict)] if isinstance(inner, dict) else []
        )
        main = next((item for item in containers if "ports" in item), containers[0] if containers else {})
        unresolved: list[str] = []
        found = [_variable(item, scope, block.line) for item in main.get("env", []) if isinstance(item, dict)]
        for dynamic in main.get("dynamic", []):
            for label, content in dynamic.items():
                if plain(label) == "env":
                    found += _dynamic(content, scope, block.line, unresolved)
        ignored = [
            str(item)
            for rule in body.get("lifecycle", [])
            for item in rule.get("ignore_changes", [])
            if isinstance(rule, dict)
        ]
        if any(
            re.search(r"\benv\b|^template$|template(\[0\])?\.?$|containers(\[0\])?$", plain(item).strip("${}"))
            for item in ignored
        ):
            unresolved.append(
                f"changes of {plain(ignored[0]).strip('${}')} are ignored: a deploy elsewhere sets the variables"
            )
        project = scope.text(body.get("project"))
        change = Change(
            "declares", resource, scope.text(body.get("name")), tuple(found), scope.text(main.get("image")), project=project
        )  # fmt: skip
        text = self.files.text(block.path) or ""
        self.found.change(block.path, text, change, block.line, "terraform", hints, unresolved, declarative=True)


def _line(text: str, *words: str) -> int | None:
    pattern = r"\s+".join(re.escape(word) for word in words)
    match = re.search(rf"^[ \t]*(?:resource[ \t]+)?{pattern}", text, re.MULTILINE)
    return text.count("\n", 0, match.start()) + 1 if match else None


def _instances(block: _Block, scope: Scope) -> list[Scope]:
    """One scope per ``for_each`` entry; none where ``count`` is zero; one where neither is known."""
    count = scope.value(block.body.get("count", 1))
    if count in (0, False):
        return []
    each = scope.value(block.body["for_each"]) if "for_each" in block.body else None
    pairs = _pairs(each)
    if pairs is None:
        return [scope]
    return [replace(scope, names={**scope.names, "each.key": key, "each.value": value}) for key, value in pairs[:_MANY]]


def _pairs(each: Any) -> list[tuple[str, Any]] | None:
    if isinstance(each, dict):
        return list(each.items())
    if isinstance(each, list):
        return [(item["name"] if isinstance(item, dict) and "name" in item else str(item), item) for item in each]
    return None


def _variable(item: Mapping[str, Any], scope: Scope, line: int | None) -> Setting:
    name = scope.text(item.get("name"))
    for outer, key, version in (("value_source", "secret", "version"), ("value_from", "name", "key")):
        for source in item.get(outer, []):
            for reference in source.get("secret_key_ref", []):
                secret = scope.text(reference.get(key))
                return setting(
                    name, f"{secret}:{scope.text(reference.get(version)) or 'latest'}", "set", "secret", line
                )
    return setting(name, scope.text(item.get("value")), "set", "plain", line)


def _dynamic(block: Mapping[str, Any], scope: Scope, line: int | None, unresolved: list[str]) -> list[Setting]:
    """The variables of ``dynamic "env"``; those that cannot be told are said to be there."""
    each = scope.value(block.get("for_each"))
    pairs = _pairs(each)
    if pairs is None:
        unresolved.append(f"the variables of a dynamic env block were not followed: {each}")
        return []
    label = plain(block.get("iterator", "env"))
    found = []
    for key, value in pairs:
        inner = replace(scope, names={**scope.names, f"{label}.key": key, f"{label}.value": value})
        found += [_variable(content, inner, line) for content in block.get("content", [])]
    return found
