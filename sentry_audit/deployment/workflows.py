"""GitHub workflows: jobs that build images, bundle front ends and deploy to Cloud Run.

Semantics: docs.github.com/actions/reference/workflows-and-actions/workflow-syntax.
"""

from __future__ import annotations

from posixpath import join, normpath
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from sentry_audit.deployment import action
from sentry_audit.deployment.environments import Hint, canonical, named_in, names_environment
from sentry_audit.deployment.expressions import Context, combinations, fill, holds
from sentry_audit.deployment.found import KINDS
from sentry_audit.deployment.gcloud import Change, setting
from sentry_audit.deployment.location import account_project
from sentry_audit.deployment.outputs import written
from sentry_audit.facts import Setting
from sentry_audit.scanners.nodes import at, children, compose, items, line_of, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sentry_audit.deployment.found import Found
    from sentry_audit.deployment.scripts import Scripts
    from sentry_audit.python.program import Files

_DEPLOYS = ("gcloud", "deploy-cloudrun", "docker", "build", ".sh", "make ", "uses: ./")
_SIGNS_IN = ("google-github-actions/auth@", "google-github-actions/setup-gcloud@")
_DEPTH = 3
_LIMIT = 6


def is_workflow(path: str) -> bool:
    """Whether GitHub runs the file by itself."""
    return path.endswith((".yml", ".yaml")) and ".github/workflows/" in path


class _Job(Struct, frozen=True):
    """One run of a job: what its steps see."""

    path: str
    text: str
    context: Context
    hints: Sequence[Hint]
    env: Mapping[str, Setting] = field(default_factory=dict)
    folder: str = ""
    depth: int = 0


class Workflows:
    """Reads the workflows of one tree."""

    def __init__(self, files: Files, found: Found, scripts: Scripts) -> None:
        self.files = files
        self.found = found
        self.scripts = scripts

    def read(
        self, path: str, inputs: Mapping[str, str] | None = None, hints: Sequence[Hint] = (), depth: int = 0
    ) -> None:
        """The deployments of a workflow, which another calls with ``inputs`` (None: that GitHub starts)."""
        text = self.files.text(path)
        if text is None or not any(word in text for word in _DEPLOYS):
            return
        nodes, problems = compose(path, text, KINDS)
        self.found.problems += problems
        for node in nodes[:1]:
            events = _events(node)
            if inputs is None and set(events) == {"workflow_call"}:
                continue
            self.found.unsound(path, node)
            for given in [inputs] if inputs is not None else _choices(events):
                context = {f"inputs.{name}": value for name, value in given.items()}
                context.update({f"github.event.{name}": value for name, value in context.items()})
                told = [(value, f"the input {name}") for name, value in given.items() if "$" not in value]
                branch = _branches(events)
                last = [(branch, "the branch")] if branch and inputs is None else []
                run = _Job(path, text, context, [*told, *hints], depth=depth)
                self._jobs(self._with(run, at(node, "env")), children(at(node, "jobs")), last)

    def _jobs(self, run: _Job, jobs: Mapping[str, Any], last: Sequence[Hint]) -> None:
        """The jobs in order; one that takes what another found out runs once for each way of that."""
        ways: dict[str, list[_Job]] = {}
        for name, node in jobs.items():
            text = run.text[node.start_mark.index : node.end_mark.index]
            needed = next((other for other in ways if f"needs.{other}.outputs" in text), "")
            for known in ways.get(needed, [run]):
                self._job(known, name, node, last)
            if given := children(at(node, "outputs")):
                ways[name] = [self._given(run, name, given, way) for way in self._ways(run, items(at(node, "steps")))]

    def _ways(self, job: _Job, steps: Sequence[Any]) -> list[_Job]:
        """``job`` after ``steps`` as far as these write outputs, in each way that they may."""
        found = [job]
        for step in steps:
            found = [after for way in found for after in self._after(way, step)][:_LIMIT]
        return found

    def _given(self, run: _Job, name: str, outputs: Mapping[str, Any], way: _Job) -> _Job:
        more = {f"needs.{name}.outputs.{key}": fill(text_of(value), way.context) for key, value in outputs.items()}
        return replace(run, context={**run.context, **more}, hints=way.hints)

    def _after(self, job: _Job, step: Any) -> list[_Job]:
        """``job`` as the steps after ``step`` see it, in each way through it."""
        fields = children(step)
        if "run" not in fields:
            return [job]
        found = []
        for way in written(fill(text_of(fields["run"]), job.context), _plain(job)):
            context = {**job.context, **{f"env.{name}": value for name, value in way.env.items()}}
            context |= {f"steps.{text_of(fields.get('id'))}.outputs.{key}": value for key, value in way.outputs.items()}
            line = line_of(fields["run"])
            env = {name: setting(name, value, "set", "plain", line, build=True) for name, value in way.env.items()}
            found.append(replace(job, context=context, hints=[*way.hints(), *job.hints], env={**job.env, **env}))
        return found or [job]

    def _with(self, job: _Job, node: Any) -> _Job:
        """``job`` with the variables of an ``env`` mapping."""
        context, env = dict(job.context), dict(job.env)
        for name, value in children(node).items():
            text = fill(text_of(value), context)
            context[f"env.{name}"] = text
            env[name] = setting(name, text, "set", "plain", line_of(value), build=True)
        return replace(job, context=context, env=env)

    def _job(self, run: _Job, name: str, node: Any, last: Sequence[Hint]) -> None:
        fields = children(node)
        for values in combinations(fields.get("strategy"), run.context):
            context = {**run.context, **values}
            if not holds(text_of(fields.get("if")), context):
                continue
            place = fields.get("environment")
            environment = fill(text_of(place) or text_of(at(place, "name")), context)
            hints = [
                (environment, "the job's environment"),
                *((value, key) for key, value in values.items() if "\n" not in value),
                *run.hints,
                (text_of(fields.get("if")), "the job's condition"),
            ]
            job = self._with(replace(run, context=context, hints=hints), fields.get("env"))
            weak = [
                *_env_hints(job.context),
                (name, "the job's name"),
                (text_of(fields.get("name")), "the job's name"),
                *last,
            ]
            job = replace(
                job, hints=[*hints, *weak], folder=text_of(at(fields.get("defaults"), "run", "working-directory"))
            )
            if uses := text_of(fields.get("uses")):
                self._call(job, uses, fields.get("with"))
            self.scripts.forget()  # each job begins with a fresh checkout
            self._steps(job, items(fields.get("steps")))

    def _steps(self, job: _Job, steps: Sequence[Any]) -> None:
        for at_, step in enumerate(steps):
            self._step(job, step)
            ways = self._after(job, step)
            if len(ways) > 1:
                place = self.scripts.place
                for way in ways:
                    self.scripts.place = place
                    self._steps(way, steps[at_ + 1 :])
                return
            job = ways[0]

    def _call(self, job: _Job, uses: str, arguments: Any) -> None:
        target = normpath(uses.removeprefix("./"))
        if not uses.startswith("./") or job.depth >= _DEPTH:
            return
        inputs = {name: fill(text_of(value), job.context) for name, value in children(arguments).items()}
        if target in self.files.paths:
            self.read(target, inputs, job.hints, job.depth + 1)
            return
        for name in ("action.yml", "action.yaml"):
            path = join(target, name)
            if path in self.files.paths:
                self._action(job, path, inputs)

    def _action(self, job: _Job, path: str, inputs: Mapping[str, str]) -> None:
        text = self.files.text(path) or ""
        nodes, problems = compose(path, text, KINDS)
        self.found.problems += problems
        for node in nodes[:1]:
            self.found.unsound(path, node)
            defaults = {name: text_of(at(value, "default")) for name, value in children(at(node, "inputs")).items()}
            context = {f"inputs.{name}": value for name, value in {**defaults, **inputs}.items()}
            inner = replace(job, path=path, text=text, context={**job.context, **context}, depth=job.depth + 1)
            self._steps(inner, items(at(node, "runs", "steps")))

    def _step(self, job: _Job, node: Any) -> None:
        fields = children(node)
        if not holds(text_of(fields.get("if")), job.context):
            return
        job = self._with(job, fields.get("env"))
        if condition := text_of(fields.get("if")):
            job = replace(job, hints=[(condition, "the step's condition"), *job.hints])
        uses = text_of(fields.get("uses"))
        if "run" in fields:
            self._run(job, fields)
        elif uses.startswith(_SIGNS_IN):
            self._sign_in(job, fields.get("with"), uses)
        elif "deploy-cloudrun" in uses:
            self._deploy(job, fields.get("with"), line_of(node), uses)
        elif uses.startswith("docker/build-push-action"):
            self._image(job, fields.get("with"), line_of(node))
        elif uses.startswith("./"):
            self._call(job, uses, fields.get("with"))

    def _run(self, job: _Job, fields: Mapping[str, Any]) -> None:
        node = fields["run"]
        body = fill(text_of(node), job.context)
        folder = fill(text_of(fields.get("working-directory")), job.context) or job.folder
        visible = {name: item.removeprefix("$") and item for name, item in _plain(job).items()}
        start = line_of(node) + (1 if node.style in {"|", ">"} else 0)
        self.scripts.text(
            job.path, body, visible, job.hints, "gcloud", 0, start, normpath(folder).strip("./"), whole=job.text,
            env=tuple(job.env.values()),
        )  # fmt: skip

    def _sign_in(self, job: _Job, node: Any, uses: str) -> None:
        """The project of an action that signs in: told, or that of the service account (auth exports it)."""
        given = {name: fill(text_of(value), job.context) for name, value in children(node).items()}
        project = given.get("project_id", "")
        if "/auth@" in uses:
            project = project or account_project(given.get("service_account", "")) or "$"
        if project:
            self.scripts.place = replace(self.scripts.place, project=project)

    def _deploy(self, job: _Job, node: Any, line: int, uses: str) -> None:
        given = {name: fill(text_of(value), job.context) for name, value in children(node).items()}
        given = {name: value for name, value in given.items() if value}
        change = action.change(given, action.major(uses, job.text, line), line, self.scripts.inputs.seen_from(""))
        self.scripts.keep(
            change, job.path, job.text, line, "deploy-cloudrun", job.hints, "", env=tuple(job.env.values())
        )

    def _image(self, job: _Job, node: Any, line: int) -> None:
        given = {name: fill(text_of(value), job.context) for name, value in children(node).items()}
        rows = [row.strip() for row in given.get("build-args", "").splitlines()]
        arguments = []
        unresolved = tuple(f"the build argument {row[:60]} was not followed" for row in rows if row.startswith("$"))
        for row in rows:
            name, mark, value = row.partition("=")
            if mark and not row.startswith(("#", "$")):
                arguments.append(setting(name, value.strip("\"'"), "set", "plain", line, build=True))
        mounts = "\n".join(given.get(name, "") for name in ("secrets", "secret-envs", "secret-files"))
        for row in mounts.splitlines():
            name, mark, value = row.strip().strip("\"'").partition("=")
            if mark:
                arguments.append(Setting(name, "set", "mount", is_set=bool(value), line=line, build=True))
        tag = given.get("tags", "").replace(",", "\n").strip().partition("\n")[0]
        file = given.get("file", "")
        change = Change("build", "image", "", tuple(arguments), tag, given.get("context", ".") or ".", file=file)
        change = replace(change, unresolved=unresolved)
        self.scripts.keep(change, job.path, job.text, line, "docker-build", job.hints, "", env=tuple(job.env.values()))


def _plain(job: _Job) -> dict[str, str]:
    """The variables whose values may be put into a command: a secret stays a reference."""
    return {name.removeprefix("env."): value for name, value in job.context.items() if name.startswith("env.")}


def _env_hints(context: Context) -> list[Hint]:
    return [
        (value, f"the variable {name.removeprefix('env.')}")
        for name, value in context.items()
        if name.startswith("env.") and names_environment(name.removeprefix("env."))
    ]


def _events(node: Any) -> dict[str, Any]:
    """What starts the workflow (``on``, which YAML 1.1 reads as true: the text is kept here)."""
    on = children(node).get("on")
    if text_of(on):
        return {text_of(on): None}
    return {text_of(item): None for item in items(on)} or children(on)


def _branches(events: Mapping[str, Any]) -> str:
    names = [text_of(item) for item in items(at(events.get("push"), "branches"))]
    return names[0] if len(names) == 1 else ""


def _choices(events: Mapping[str, Any]) -> list[dict[str, str]]:
    """The inputs of each way to start by hand: one per environment that may be chosen."""
    for name, node in children(at(events.get("workflow_dispatch"), "inputs")).items():
        options = [text_of(item) for item in items(at(node, "options"))]
        chosen = [option for option in options if named_in(option) == {canonical(option)}]
        if chosen:
            return [{name: option} for option in chosen[:_LIMIT]]
    return [{}]
