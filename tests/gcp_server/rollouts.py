"""What a deployment does: a new revision, whether it comes up, and where the traffic goes."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from google.rpc import code_pb2, status_pb2

from .errors import RefusedError, invalid
from .iam import can_read
from .messages import Condition, Revision, clone, to_latest
from .state import Pending, Project, Rollout, State, new_etag, new_time

#: What a caller sends and the server keeps; everything else is the server's.
OUTPUT = (
    "uid", "generation", "create_time", "update_time", "delete_time", "expire_time", "creator", "last_modifier",
    "observed_generation", "terminal_condition", "conditions", "latest_ready_revision", "latest_created_revision",
    "traffic_statuses", "instance_split_statuses", "uri", "urls", "reconciling", "etag", "execution_count",
    "latest_created_execution", "satisfies_pzs",
)  # fmt: skip
COPIED = (
    "labels", "annotations", "scaling", "vpc_access", "timeout", "service_account", "containers", "volumes",
    "execution_environment", "encryption_key", "max_instance_request_concurrency", "session_affinity", "node_selector",
)  # fmt: skip


def short(name: str) -> str:
    return name.rpartition("/")[2]


def deploy(state: State, project: Project, wanted: Any, current: Any = None, *, force: bool = False) -> Pending:
    """Store a service or a worker pool as it is wanted, with a new revision if its template changed, or by ``force``.

    Gives the operation. ``wanted`` becomes the stored message: unknown fields stay in it.
    """
    fill(project, wanted.template)
    keep(wanted, current)
    revision = _revision(project, wanted, current, force=force)
    if hasattr(wanted, "traffic"):
        _check_traffic(project, wanted)
    store = project.services if hasattr(wanted, "traffic") else project.pools
    store[wanted.name] = wanted
    wanted.latest_created_revision = revision
    rollout = state.rollouts.get(wanted.name, state.rollout)
    failure = _failure(project, project.revisions[revision], rollout)
    wanted.reconciling = True
    _condition(wanted.terminal_condition, "CONDITION_RECONCILING", "", "Deploying revision.")
    return start(state, project, wanted.name, rollout, failure)


def start(
    state: State, project: Project, target: str, rollout: Rollout, failure: tuple[str, str] | None = None
) -> Pending:
    """A new operation that changes ``target``."""
    place = target.rsplit("/", 2)[0]
    made = hashlib.sha256(f"{target}:{len(state.operations)}".encode()).hexdigest()
    name = f"{place}/operations/{made[:8]}-{made[8:12]}-{made[12:16]}-{made[16:20]}-{made[20:32]}"
    operation = Pending(name=name, project=project.id, target=target, rollout=rollout, failure=failure)
    state.operations[name] = operation
    settle(state, operation)
    return operation


def settle(state: State, operation: Pending, *, poll: bool = False) -> None:
    """End an operation that is due; ``poll`` counts as one read."""
    operation.polls += poll
    rollout = operation.rollout
    waited = time.monotonic() - operation.started >= rollout.seconds and operation.polls >= rollout.polls
    if operation.done or not waited or rollout.outcome == "never":
        return
    operation.done = True
    project = state.projects[operation.project]
    stored = project.services.get(operation.target) or project.pools.get(operation.target)
    if operation.deleted is None and stored is not None:
        operation.error = finish(project, stored, operation.failure)


def settle_all(state: State, *, poll: bool = False) -> None:
    for operation in state.operations.values():
        if not operation.done:
            settle(state, operation, poll=poll)


def finish(project: Project, stored: Any, failure: tuple[str, str] | None) -> Any:
    """What is seen of a service once its deployment ended; gives the operation's error."""
    stored.reconciling = False
    stored.observed_generation = stored.generation
    stored.update_time.FromJsonString(new_time())
    stored.etag = new_etag()
    _set_ready(project.revisions[stored.latest_created_revision], *(failure or ()))
    error = None
    if failure:
        reason, message = failure
        revision = short(stored.latest_created_revision)
        message = f"Revision '{revision}' is not ready and cannot serve traffic. {message}"
        _condition(stored.terminal_condition, "CONDITION_FAILED", reason, message)
        code = "INTERNAL" if reason == "SECRETS_ACCESS_CHECK_FAILED" else "FAILED_PRECONDITION"
        error = status_pb2.Status(code=code_pb2.Code.Value(code), message=message)
    else:
        stored.latest_ready_revision = stored.latest_created_revision
        _condition(stored.terminal_condition, "CONDITION_SUCCEEDED")
    _conditions(stored)
    if hasattr(stored, "traffic"):
        _route(stored)
    else:
        del stored.instance_split_statuses[:]
        stored.instance_split_statuses.add(
            type_="INSTANCE_SPLIT_ALLOCATION_TYPE_LATEST", percent=100, revision=short(stored.latest_ready_revision)
        )
    return error


def _conditions(stored: Any) -> None:
    """The two halves of Ready: routes hold as long as any revision is ready."""
    del stored.conditions[:]
    for kind in ("RoutesReady", "ConfigurationsReady"):
        made = stored.conditions.add()
        if kind == "RoutesReady" and stored.latest_ready_revision:
            _condition(made, "CONDITION_SUCCEEDED")
        else:
            made.CopyFrom(stored.terminal_condition)
        made.type_ = kind


def fill(project: Project, template: Any) -> None:
    """Fill in what the server chooses where the caller says nothing."""
    template.service_account = template.service_account or project.default_account
    if not hasattr(template, "max_instance_request_concurrency"):
        return
    template.max_instance_request_concurrency = template.max_instance_request_concurrency or 80
    if not template.HasField("timeout"):
        template.timeout.seconds = 300
    if len(template.containers) == 1 and not template.containers[0].ports:
        template.containers[0].ports.add(name="http1", container_port=8080)
    for container in template.containers:
        if not container.HasField("resources"):
            container.resources.limits.update({"cpu": "1000m", "memory": "512Mi"})
            container.resources.cpu_idle = True
            container.resources.startup_cpu_boost = True


def keep(wanted: Any, current: Any) -> None:
    """Take the server's own fields from what is stored: a caller cannot set them."""
    for name in OUTPUT:
        if name not in wanted.DESCRIPTOR.fields_by_name:
            continue
        wanted.ClearField(name)
        if current is None:
            continue
        field = wanted.DESCRIPTOR.fields_by_name[name]
        value = getattr(current, name)
        if field.is_repeated:
            getattr(wanted, name).extend(value)
        elif field.message_type is None:
            setattr(wanted, name, value)
        elif current.HasField(name):
            getattr(wanted, name).CopyFrom(value)
    if current is None:
        wanted.uid = _uid(wanted.name)
        wanted.create_time.FromJsonString(new_time())
        if hasattr(wanted, "uri"):
            wanted.uri = f"https://{short(wanted.name)}-{wanted.uid[:10]}-ew.a.run.app"
            wanted.urls.append(wanted.uri)
    wanted.generation += 1
    wanted.update_time.FromJsonString(new_time())
    wanted.etag = new_etag()


def _uid(name: str) -> str:
    made = hashlib.sha256(name.encode()).hexdigest()
    return f"{made[:8]}-{made[8:12]}-{made[12:16]}-{made[16:20]}-{made[20:32]}"


def _revision(project: Project, wanted: Any, current: Any, *, force: bool) -> str:
    """The full name of the revision that runs the template: a new one, unless nothing in it changed."""
    service = short(wanted.name)
    if current is not None and not force and _same(wanted.template, current.template):
        return str(current.latest_created_revision)
    named = wanted.template.revision
    if named and not named.startswith(f"{service}-"):
        raise invalid(f"Revision name '{named}' must be prefixed by the name of its service, '{service}-'.")
    ending = "".join(chr(97 + int(digit, 16)) for digit in _uid(f"{wanted.name}{wanted.generation}")[:3])
    name = f"{wanted.name}/revisions/{named or f'{service}-{wanted.generation:05d}-{ending}'}"
    made = Revision(name=name, uid=_uid(name), generation=1, service=service, observed_generation=1, etag=new_etag())
    made.create_time.FromJsonString(new_time())
    _condition(made.conditions.add(), "CONDITION_RECONCILING", "", "Deploying revision.")
    for field in COPIED:
        if field in wanted.template.DESCRIPTOR.fields_by_name:
            _copy(wanted.template, made, field)
    if name in project.revisions:
        if not all(getattr(project.revisions[name], field) == getattr(made, field) for field in COPIED):
            raise RefusedError(
                "ALREADY_EXISTS", f"Revision named '{named}' with different configuration already exists."
            )
        return name
    project.revisions[name] = made
    return name


def _same(one: Any, other: Any) -> bool:
    one, other = clone(one), clone(other)
    if one.revision in {"", other.revision}:
        one.revision = other.revision = ""
    return bool(one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True))


def _copy(source: Any, target: Any, name: str) -> None:
    field = source.DESCRIPTOR.fields_by_name[name]
    if field.is_repeated:
        getattr(target, name).MergeFrom(getattr(source, name))
    elif field.message_type is None:
        setattr(target, name, getattr(source, name))
    elif source.HasField(name):
        getattr(target, name).CopyFrom(getattr(source, name))


def _check_traffic(project: Project, wanted: Any) -> None:
    if not wanted.traffic:
        wanted.traffic.append(to_latest())
    if sum(item.percent for item in wanted.traffic) != 100:
        raise invalid("Traffic targets must have percents that sum to 100.")
    for item in wanted.traffic:
        if item.revision and f"{wanted.name}/revisions/{item.revision}" not in project.revisions:
            raise invalid(f"Revision named '{item.revision}' does not exist.")


def _failure(project: Project, revision: Any, rollout: Rollout) -> tuple[str, str] | None:
    """Why a revision does not come up: a reason's name and a sentence. One that has failed before stays so."""
    before = revision.conditions[0]
    if before.state == Condition.State.Value("CONDITION_FAILED"):
        if before.reason:
            return Condition.CommonReason.Name(before.reason), before.message
        return Condition.RevisionReason.Name(before.revision_reason), before.message
    if before.state == Condition.State.Value("CONDITION_SUCCEEDED"):
        return None
    unreadable = _unreadable(project, revision) if rollout.secrets_checked else ""
    if unreadable:
        return "SECRETS_ACCESS_CHECK_FAILED", unreadable
    return (rollout.reason, rollout.message) if rollout.outcome == "failed" else None


def _unreadable(project: Project, revision: Any) -> str:
    """What Cloud Run says of the secrets that the revision's account cannot read; ``""`` if it reads all."""
    account = revision.service_account
    problems = []
    for index, container in enumerate(revision.containers):
        for place, variable in enumerate(container.env):
            reference = variable.value_source.secret_key_ref
            if reference.secret:
                where = f"spec.template.spec.containers[{index}].env[{place}].value_from.secret_key_ref.name"
                problems.append((where, reference.secret, reference.version))
    for index, volume in enumerate(revision.volumes):
        for item in volume.secret.items:
            where = f"spec.template.spec.volumes[{index}].secret.items[0].key"
            problems.append((where, volume.secret.secret, item.version))
    return " ".join(
        f"{where}: {sentence}"
        for where, secret, version in problems
        if (sentence := _unreadable_secret(project, secret, version or "latest", account))
    )


def _unreadable_secret(project: Project, secret: str, version: str, account: str) -> str:
    secret_id = short(secret)
    owner, _, _ = secret.removeprefix("projects/").partition("/secrets/")
    if secret.startswith("projects/") and owner not in {project.id, project.number}:
        return ""  # another project's secret is not looked at here
    full = f"projects/{project.number}/secrets/{secret_id}/versions/{version}"
    found = project.secrets.get(secret_id)
    if found is None or not found.number(version):
        return f"Secret {full} was not found"
    if not can_read(project, found, account):
        return (
            f"Permission denied on secret: {full} for Revision service account {account}. The service account used "
            "must be granted the 'Secret Manager Secret Accessor' role (roles/secretmanager.secretAccessor) at the "
            "secret, project or higher level."
        )
    state = found.versions[found.number(version) - 1].state
    return "" if state == "ENABLED" else f"Secret {full} is in {state} state."


def _set_ready(revision: Any, reason: str = "", message: str = "") -> None:
    _condition(revision.conditions[0], "CONDITION_FAILED" if reason else "CONDITION_SUCCEEDED", reason, message)


def _condition(made: Any, state: str, reason: str = "", message: str = "") -> None:
    made.Clear()
    made.type_, made.message = "Ready", message
    made.state = Condition.State.Value(state)
    made.last_transition_time.FromJsonString(new_time())
    if reason in set(Condition.CommonReason.keys()):
        made.reason = Condition.CommonReason.Value(reason)
    elif reason:
        made.revision_reason = Condition.RevisionReason.Value(reason)


def _route(service: Any) -> None:
    """Where requests go: to what ``traffic`` says, as long as there is a revision that is ready."""
    del service.traffic_statuses[:]
    for target in service.traffic:
        if not target.revision and not service.latest_ready_revision:
            continue
        made = service.traffic_statuses.add(percent=target.percent, revision=target.revision, tag=target.tag)
        made.type_ = target.type_
        if target.tag:
            made.uri = service.uri.replace("https://", f"https://{target.tag}---")
