"""A world in a YAML file: projects with their secrets and what runs on Cloud Run.

Read by ``load``. The structures below are the file's keys; a key that is not among them is an error that names it.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
import yaml
from msgspec import UNSET, Struct, UnsetType, field

from . import building, messages
from .errors import RefusedError
from .messages import SecretRef
from .state import Project, Rollout, State, grant

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


class WorldError(Exception):
    """What is wrong, with the file and the key."""


class _Keys(Struct, forbid_unknown_fields=True, kw_only=True, rename=lambda name: name.replace("_", "-")):
    """Keys are written with hyphens, and each is known."""


class SecretKeys(_Keys):
    """A variable's value, or a mounted file, that comes from Secret Manager."""

    secret: str
    version: str | int = "latest"


class VersionKeys(_Keys):
    """A secret's version."""

    payload: str
    state: Literal["ENABLED", "DISABLED", "DESTROYED"] = "ENABLED"
    alias: str = ""


class SecretsKeys(_Keys):
    """A secret: its versions, oldest first, who may read them, and other roles' members."""

    versions: list[VersionKeys | str] = field(default_factory=list)
    accessors: list[str] = field(default_factory=list)
    policy: dict[str, list[str]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    replicas: list[str] = field(default_factory=list)


class VpcKeys(_Keys):
    """What a container reaches through a VPC."""

    egress: Literal["all-traffic", "private-ranges-only"] = "private-ranges-only"
    connector: str = ""
    network: str = ""


Env = dict[str, str | SecretKeys | None]


class SidecarKeys(_Keys):
    """A container beside the one that takes requests."""

    name: str
    image: str = ""
    env: Env = field(default_factory=dict)


class RevisionKeys(_Keys):
    """What a revision runs. ``cpu`` is when a container has one: while it answers a request, or always."""

    image: str = ""
    account: str = ""
    env: Env = field(default_factory=dict)
    sidecars: list[SidecarKeys] = field(default_factory=list)
    mounts: dict[str, SecretKeys] = field(default_factory=dict)
    cpu: Literal["requests", "always"] | None = None
    vpc: VpcKeys | None = None


class EarlierKeys(_Keys):
    """How an earlier revision differs from the newest; a variable that is null was not there."""

    image: str | UnsetType = UNSET
    account: str | UnsetType = UNSET
    env: Env | UnsetType = UNSET
    sidecars: list[SidecarKeys] | UnsetType = UNSET
    mounts: dict[str, SecretKeys] | UnsetType = UNSET
    cpu: Literal["requests", "always"] | UnsetType = UNSET
    vpc: VpcKeys | UnsetType = UNSET


class ServiceKeys(RevisionKeys):
    """A service, as it was deployed last.

    ``earlier`` are its revisions before that, oldest first. ``traffic`` goes from ``latest``, or the start of a
    revision's name, to percents. ``fails`` is why the newest revision does not come up; ``secrets-checked: false``:
    it came up when its account could still read its secrets.
    """

    region: str = ""
    earlier: list[EarlierKeys] = field(default_factory=list)
    traffic: dict[str, int] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    client: str = ""
    fails: str = ""
    secrets_checked: bool = True


class TaskKeys(_Keys):
    """A job or a worker pool."""

    region: str = ""
    image: str = ""
    account: str = ""
    env: Env = field(default_factory=dict)
    mounts: dict[str, SecretKeys] = field(default_factory=dict)


class ProjectKeys(_Keys):
    """A project; what is in the last four is read one by one, so that errors name it."""

    number: int
    regions: list[str] = field(default_factory=lambda: ["europe-west1"])
    unreachable: list[str] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    policy: dict[str, list[str]] = field(default_factory=dict)
    secrets: dict[str, Any] = field(default_factory=dict)
    services: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)
    worker_pools: dict[str, Any] = field(default_factory=dict)


class WorldKeys(_Keys):
    """The file. ``identities`` are callers' permissions by e-mail address (``"*"``: all)."""

    projects: dict[str, Any]
    identities: dict[str, list[str] | Literal["*"]] = field(default_factory=dict)
    page_size: int = 100


def load(path: Path) -> State:
    """The world of a file; raises ``WorldError``."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise WorldError(f"{path}: {error.strerror}") from error


def parse(text: str, name: str = "world") -> State:
    """The world of a file's text; ``name`` stands in errors."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise WorldError(f"{name}: {error}") from error
    keys = _read(data, WorldKeys, name, "")
    state = State(identities=dict(keys.identities), page_size=keys.page_size)
    for project_id, value in keys.projects.items():
        _project(state, project_id, value, name)
    return state


def _project(state: State, project_id: str, value: Any, name: str) -> None:
    where = f"projects.{project_id}"
    keys = _read(value, ProjectKeys, name, where)
    project = state.add_project(
        project_id,
        str(keys.number),
        regions=keys.regions,
        unreachable=set(keys.unreachable),
        disabled=set(keys.disabled),
    )
    for role, members in keys.policy.items():
        grant(project.policy, role, *members)
    for secret, item in keys.secrets.items():
        short = {"versions": item if isinstance(item, list) else [item]}
        full = item if isinstance(item, dict) else short
        _secret(project, secret, _read(full, SecretsKeys, name, f"{where}.secrets.{secret}"))
    for service, item in keys.services.items():
        place = f"{where}.services.{service}"
        try:
            _service(project, service, _read(item, ServiceKeys, name, place))
        except RefusedError as refused:
            raise WorldError(f"{name}: {place}: {refused.message}") from refused
    for kind, values, add in (
        ("jobs", keys.jobs, building.add_job),
        ("worker-pools", keys.worker_pools, building.add_pool),
    ):
        for task, item in values.items():
            _task(project, task, _read(item, TaskKeys, name, f"{where}.{kind}.{task}"), add)


def _secret(project: Project, secret: str, keys: SecretsKeys) -> None:
    made = project.add_secret(secret, replicas=tuple(keys.replicas))
    made.labels = keys.labels
    for item in keys.versions:
        version = VersionKeys(payload=item) if isinstance(item, str) else item
        payload = "" if version.state == "DESTROYED" else version.payload
        made.add(payload, version.state, version.alias)
    if keys.accessors:
        made.allow(*keys.accessors)
    for role, members in keys.policy.items():
        grant(made.policy, role, *members)


def _service(project: Project, service: str, keys: ServiceKeys) -> None:
    earlier = [_template(_differing(keys, item)) for item in keys.earlier]
    rollout = Rollout(secrets_checked=keys.secrets_checked)
    if keys.fails:
        rollout = Rollout(outcome="failed", message=keys.fails, secrets_checked=keys.secrets_checked)
    traffic = [
        messages.to_latest(percent) if target == "latest" else messages.to_revision(target, percent)
        for target, percent in keys.traffic.items()
    ]
    building.add_service(
        project,
        service,
        _template(keys),
        region=keys.region or project.regions[0],
        earlier=earlier,
        traffic=traffic,
        rollout=rollout,
        labels=keys.labels,
        client=keys.client,
    )


def _differing(keys: ServiceKeys, earlier: EarlierKeys) -> RevisionKeys:
    """The whole of an earlier revision."""
    values = {name: getattr(keys, name) for name in RevisionKeys.__struct_fields__}
    for name in EarlierKeys.__struct_fields__:
        value = getattr(earlier, name)
        if value is not UNSET:
            values[name] = {**keys.env, **value} if name == "env" else value
    return RevisionKeys(**values)


def _template(keys: RevisionKeys) -> Any:
    vpc = keys.vpc
    return messages.template(
        keys.image,
        _env(keys.env),
        sidecars=[messages.container(item.image, _env(item.env), name=item.name) for item in keys.sidecars],
        cpu_idle=None if keys.cpu is None else keys.cpu == "requests",
        mounts={path: _reference(value) for path, value in keys.mounts.items()},
        account=keys.account,
        egress=vpc.egress.upper().replace("-", "_") if vpc else "",
        connector=vpc.connector if vpc else "",
        network=vpc.network if vpc else "",
    )


def _task(project: Project, task: str, keys: TaskKeys, add: Any) -> None:
    mounts = {path: _reference(value) for path, value in keys.mounts.items()}
    region = keys.region or project.regions[0]
    add(project, task, region=region, image=keys.image, env=_env(keys.env), account=keys.account, mounts=mounts)


def _env(values: Env) -> dict[str, str | SecretRef]:
    return {
        name: _reference(value) if isinstance(value, SecretKeys) else value
        for name, value in values.items()
        if value is not None
    }


def _reference(keys: SecretKeys) -> SecretRef:
    return SecretRef(keys.secret, str(keys.version))


def _read(value: Any, kind: type[T], name: str, where: str) -> T:
    """``value`` as ``kind``; an error says the file, the key and what is wrong with it."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at `")
        key = ".".join(part for part in (where, path.strip("`").removeprefix("$").removeprefix(".")) if part)
        raise WorldError(
            f"{name}: {key or 'the file'}: {sentence}{'' if path else _suggestion(sentence, kind)}"
        ) from error


def _suggestion(sentence: str, kind: Any) -> str:
    if "unknown field" not in sentence:
        return ""
    known = kind.__struct_encode_fields__
    close = difflib.get_close_matches(sentence.split("`")[1], known, 1, 0.5)
    return f"; did you mean `{close[0]}`?" if close else f"; known are {', '.join(known)}"
