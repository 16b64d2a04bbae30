"""Terraform: the Cloud Run services and jobs, and the secrets, that applying it makes, in each environment."""

from __future__ import annotations

import re
from posixpath import basename, dirname
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from sentry_audit import dsn
from sentry_audit.deployment.environments import canonical, labels, named_in, told
from sentry_audit.deployment.terraform_containers import PATHS, Contents, Reader, of_arguments
from sentry_audit.deployment.terraform_data import Unknown, text_of
from sentry_audit.deployment.terraform_layers import Layers, outside
from sentry_audit.deployment.terraform_modules import ENVIRONMENT, Instance, Modules, Run, local_folder
from sentry_audit.deployment.terraform_places import place_of
from sentry_audit.facts import Deployment, SecretDeclared
from sentry_audit.model import Evidence
from sentry_audit.python.paths import deployed

if TYPE_CHECKING:
    from sentry_audit.deployment.environments import Hint
    from sentry_audit.deployment.found import Found
    from sentry_audit.deployment.location import Place
    from sentry_audit.deployment.terraform_data import Value
    from sentry_audit.deployment.terraform_layers import Layer
    from sentry_audit.deployment.terraform_syntax import Block
    from sentry_audit.facts import Fact, Setting
    from sentry_audit.python.program import Files

_RESOURCE = re.compile(
    r"\b(google_cloud_run_(v2_)?(service|job|worker_pool)|google_secret_manager_(regional_)?secret)\"?\s"
)
_SECRETS = ("google_secret_manager_secret", "google_secret_manager_regional_secret")
_CALL = re.compile(r"^[ \t]*source\s*=\s*\"([^\"\n]+)\"", re.MULTILINE)
_REMOTE = re.compile(r"cloud[-_]?run", re.IGNORECASE)
_CHOICES = 8
_PLAIN = ("env_vars", "env", "envvars", "environment_variables", "env_variables")
_SECRET = (
    "env_secret_vars",
    "env_from_key",
    "secret_envvars",
    "secret_env_vars",
    "secrets",
    "secret_environment_variables",
)


def read(files: Files, found: Found) -> None:
    """Add the deployments and secrets of all root modules of the tree to ``found``."""
    every = sorted(filter(deployed, files.paths.of(".tf")))
    if not (mentions := files.among(every, ("cloud_run", "cloud-run", "google_secret_manager_secret"))):
        return
    folders, called = _relevant(files, mentions, every)
    roots = sorted(folders - called)
    if not roots:
        return
    modules = Modules(files, found, outside(files))
    layers = Layers(files, found, roots, modules.folders)
    for root in roots:
        variables = frozenset(block.labels[0] for block in modules.module(root).of("variable") if block.labels)
        for layer in layers.of(root, variables):
            try:
                _apply(modules, root, layer, found)
            except RecursionError:
                modules.broken(root or ".", None)


def _relevant(files: Files, mentions: list[str], every: list[str]) -> tuple[set[str], set[str]]:
    """(the folders that deploy something or call those that do, the folders among them that are called)."""
    wanted: set[str] = set()
    for path in mentions:
        text = files.text(path) or ""
        remote = (source for source in _CALL.findall(text) if local_folder("", source) is None)
        if _RESOURCE.search(text) or any(_REMOTE.search(source) for source in remote):
            wanted.add(dirname(path))
    calls: dict[str, set[str]] = {}
    for path in files.among(every, ("module ",)) if wanted else ():
        for source in _CALL.findall(files.text(path) or ""):
            target = local_folder(dirname(path), source)
            if target is not None and target != dirname(path):
                calls.setdefault(target, set()).add(dirname(path))
    queue = sorted(wanted)
    called: set[str] = set()
    for folder in queue:
        callers = calls.get(folder, set())
        if callers:
            called.add(folder)
        queue += sorted(callers - wanted)
        wanted |= callers
    return wanted, called


def _apply(modules: Modules, root: str, layer: Layer, found: Found) -> None:
    """The facts of one root module with one set of values: once for each choice that decides something."""
    first = _evaluate(modules, root, layer, {}, found)
    told_of = told(layer.hints)[0]
    choices = _choices(first.run, told_of)
    exhaustive = bool(choices) and (
        bool(told_of) or all(all(named.values()) for axis, named in first.run.tried.items() if axis in choices[0])
    )
    if not exhaustive:
        found.facts += first.facts
    for chosen in choices:
        again = _evaluate(modules, root, layer, chosen, found)
        found.facts += again.facts
    _without_repeats(found)


def _choices(run: Run, told_of: str) -> list[dict[str, str]]:
    """The values that the workspace, or the variable that names the environment, can have."""
    names: dict[str, None] = {}
    for named in run.tried.values():
        names |= {name: None for name, complete in named.items() if complete or len(named_in(name)) == 1}
    if told_of:
        names = {name: None for name in names if canonical(name) == told_of}
    return [
        {axis: name for axis, named in run.tried.items() if name in named or len(run.tried) == 1}
        for name in list(names)[:_CHOICES]
    ]


def _without_repeats(found: Found) -> None:
    """Two runs that say the same of a secret say it once; the order of deployments is that of the list."""
    kept: dict[Fact, None] = {}
    for item in found.facts:
        kept.setdefault(item)
    found.facts[:] = list(kept)


def _evaluate(modules: Modules, root: str, layer: Layer, chosen: dict[str, str], found: Found) -> _Writer:
    run = Run(chosen)
    instance = Instance(modules, modules.module(root), run, layer.values)
    hints = [*((name, "terraform.workspace" if axis == "workspace" else axis) for axis, name in chosen.items())]
    writer = _Writer(modules, run, [*hints, *layer.hints], len(found.facts))
    writer.module(instance)
    return writer


class _Writer(Struct):
    """Writes the facts of one evaluation."""

    modules: Modules
    run: Run
    hints: list[Hint]
    start: int
    facts: list[Fact] = field(default_factory=list)

    def module(self, instance: Instance) -> None:
        """The facts of a module and of the modules it calls."""
        for block in instance.module.of("resource"):
            if block.labels and block.labels[0] in PATHS:
                self._service(instance, block)
            elif block.labels and block.labels[0] in _SECRETS:
                self._secret(instance, block)
        for block in instance.module.of("module"):
            self._call(instance, block)

    def _call(self, instance: Instance, block: Block) -> None:
        source = instance.frame().of(self.modules.attributes(block).get("source"))
        text = text_of(source)
        local = local_folder(instance.module.folder, text)
        if local is None or local not in self.modules.folders:
            if _REMOTE.search(text) and not re.search(r"(domain|iam|scheduler|invoker)", text):
                self._remote(instance, block, text)
            return
        for bound, _ in instance.instances(block):
            child = instance.child(block, bound)
            if child is not None:
                self.module(child)

    def _service(self, instance: Instance, block: Block) -> None:
        reader = Reader(self.modules)
        attributes = self.modules.attributes(block)
        for bound, note in instance.instances(block):
            frame = instance.frame(**bound)
            contents = reader.contents(block, frame)
            if note:
                contents.note(note)
            name = frame.of(attributes.get("name"), Unknown())
            project = frame.of(attributes.get("project"))
            hints = [*_keys(bound), *self._hints(instance, block, name, project)]
            kind = next((kind for kind in ("job", "worker_pool") if block.labels[0].endswith(kind)), "service")
            self._deployment(
                instance, block, name, kind.replace("_", "-"), contents, hints, place_of(instance, block, frame)
            )

    def _deployment(
        self,
        instance: Instance,
        block: Block,
        name: Value,
        kind: str,
        contents: Contents,
        hints: list[Hint],
        place: Place,
    ) -> None:
        environment, rule = told([*hints, *labels(contents.settings)])
        service = text_of(name)
        calls = [(item.call_block.path, item.call_block.line) for item in _chain(instance) if item.call_block]
        text = self.modules.files.text(block.path) or ""
        self.facts.append(
            Deployment(
                path=block.path,
                origin="terraform",
                service=service,
                resource=kind,
                environment=environment,
                rule=rule,
                declarative=True,
                settings=tuple(_placed(text, item) for item in _last(contents.settings)),
                image=dsn.redact(contents.image),
                order=self.start + len(self.facts),
                line=block.line,
                unresolved=tuple(contents.notes),
                project=place.project,
                region=place.region,
                evidence=(
                    Evidence(block.path, block.line, None, None, f"{block.kind} {'.'.join(block.labels)}"),
                    *(Evidence(path, line, None, None, "calls the module") for path, line in calls),
                ),
            )
        )

    def _secret(self, instance: Instance, block: Block) -> None:
        attributes = self.modules.attributes(block)
        for bound, note in instance.instances(block):
            frame = instance.frame(**bound)
            name = frame.of(attributes.get("secret_id"), Unknown())
            text = text_of(name)
            environment, _ = told([*_keys(bound), *self._hints(instance, block, name, None)])
            reason = note or ("its name was not followed" if isinstance(name, Unknown) else "")
            self.facts.append(
                SecretDeclared(
                    path=block.path,
                    name=text,
                    origin="terraform",
                    environment=environment,
                    line=block.line,
                    unresolved=dsn.redact(reason),
                    project=place_of(instance, block, frame).project,
                    evidence=(Evidence(block.path, block.line, None, None, text),),
                )
            )

    def _remote(self, instance: Instance, block: Block, source: str) -> None:
        """A module that is not in the tree: what its well-known arguments say."""
        attributes = self.modules.attributes(block)
        for bound, note in instance.instances(block):
            frame = instance.frame(**bound)
            contents = Contents()
            contents.note(f"module {'.'.join(block.labels)} from {source[:120]} was not read")
            if note:
                contents.note(note)
            given = {name: frame.of(value) for name, value in attributes.items()}
            container = _container(given.get("containers"))
            contents.image = text_of(given.get("image") or container.get("container_image") or container.get("image"))
            for names, sort in ((_PLAIN, "plain"), (_SECRET, "secret")):
                for name in names:
                    for value in (given.get(name), container.get(name)):
                        if value is not None:
                            of_arguments(value, sort, block.line, contents)
            service: Value = next(
                (given[key] for key in ("service_name", "name", "job_name") if key in given), Unknown()
            )
            hints = [*_keys(bound), *self._hints(instance, block, service, given.get("project_id"))]
            kind = "job" if re.search(r"job", source.rpartition("//")[2]) else "service"
            self._deployment(instance, block, service, kind, contents, hints, place_of(instance, block, frame))

    def _hints(self, instance: Instance, block: Block, name: Value, project: Value) -> list[Hint]:
        """What tells the environment of a resource, the surest first."""
        found: list[Hint] = []
        chain = _chain(instance)
        for item in chain:
            if item.call_block is not None:
                found += [(item.key, "each.key"), *_literals(item, self.modules)]
        root = instance.root
        found += self.hints
        found += [
            (text_of(root.frame().of(expression)), f"local.{local}")
            for local, expression in root.locals().items()
            if ENVIRONMENT.match(local) and re.fullmatch(r'"[\w-]+"', expression.text)
        ]
        found += [(root.module.folder, "the folder")]
        files = [item.call_block.path for item in chain if item.call_block is not None] or [block.path]
        found += [(basename(path), "the file's name") for path in files]
        found += [(_known(project), "the project"), *self._projects(root), (_known(name), "the service's name")]
        found += [(item.call_block.labels[0], "the module's name") for item in chain if item.call_block is not None]
        found += [(block.labels[-1], "the resource's name")]
        for variable in root.module.of("variable"):
            if variable.labels and ENVIRONMENT.match(variable.labels[0]):
                value = root.head("var", [("attr", variable.labels[0])])[0]
                found.append((_known(value), f"var.{variable.labels[0]}'s default"))
        return [(text, what) for text, what in found if text and len(text) < 200]

    def _projects(self, root: Instance) -> list[Hint]:
        """The project of the provider, and the variables of that name."""
        found = []
        for provider in root.module.of("provider"):
            if provider.labels[:1] == ("google",):
                found.append(root.frame().of(self.modules.attributes(provider).get("project")))
        for name in ("project_id", "project"):
            if ("variable", name) in root.module.blocks:
                found.append(root.head("var", [("attr", name)])[0])
        return [(_known(value), "the project") for value in found]


def _chain(instance: Instance) -> list[Instance]:
    """The module and those that call it, innermost first."""
    found = [instance]
    while found[-1].caller is not None:
        found.append(found[-1].caller)
    return found


def _keys(bound: dict[str, Value]) -> list[Hint]:
    return [(_known(bound["each"]["key"]), "each.key")] if "each" in bound else []


def _known(value: Value) -> str:
    return value if isinstance(value, str) else ""


def _literals(instance: Instance, modules: Modules) -> list[Hint]:
    """The arguments of a call that name an environment outright."""
    attributes = modules.attributes(instance.call_block) if instance.call_block is not None else {}
    return [
        (expression.text.strip('"'), f"the module's {name}")
        for name, expression in attributes.items()
        if ENVIRONMENT.match(name) and re.fullmatch(r'"[\w-]+"', expression.text)
    ]


def _container(value: Value) -> dict[str, Value]:
    """The ingress container among those given as objects: the one with ports, else the first."""
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    found = [item for item in items if isinstance(item, dict)]
    return next((item for item in found if item.get("ports")), found[0] if found else {})


def _last(settings: list[Setting]) -> list[Setting]:
    """Each variable once, as its last block says."""
    return list({item.name: item for item in settings}.values())


def _placed(text: str, item: Setting) -> Setting:
    """The setting with the line on which its name stands in the file, if it does; else that of its block."""
    rows = text.splitlines()
    if item.line is not None and 0 < item.line <= len(rows) and item.name in rows[item.line - 1]:
        return item
    pattern = re.compile(rf"(?<![\w-]){re.escape(item.name)}(?![\w-])")
    for number, row in enumerate(rows, 1):
        if pattern.search(row) and not row.lstrip().startswith(("#", "//")):
            return replace(item, line=number)
    return item
