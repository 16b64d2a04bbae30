"""What Cloud Run's messages say, as ``cloud`` has it. Messages are the protobuf ones: ``type`` is ``type_`` there."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit import dsn
from sentry_audit.cloud import Container, DsnSeen, Mount, Service, Serving, Template, Variable
from sentry_audit.scanners import variables
from sentry_audit.sources.gcp import payloads

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_LATEST, _REVISION = 1, 2  # of TrafficTargetAllocationType and InstanceSplitAllocationType
_FAILED = 3  # of Condition.State
_EGRESS = {1: "ALL_TRAFFIC"}
_PRIVATE = "PRIVATE_RANGES_ONLY"
#: Stands for a project's number until something tells it.
PROJECT_NUMBER = "PROJECT_NUMBER"
_DEFAULT = f"{PROJECT_NUMBER}-compute@developer.gserviceaccount.com"
_SECRET = re.compile(r"projects/([^/]+)/secrets/([^/]+)(?:/versions/([^/]+))?")
_LONGEST = 300


class Reference(Struct, frozen=True):
    """A secret that a template takes something from; ``project`` is ``""`` for the service's own."""

    secret: str
    version: str
    project: str
    is_dsn: bool


def split_secret(text: str, version: str, own: str) -> tuple[str, str, str]:
    """Id, version and project (``""``: ``own``) of a secret, given by its id or as ``projects/P/secrets/S``."""
    match = _SECRET.fullmatch(text)
    if match is None:
        return text, version or "latest", ""
    return match[2], version or match[3] or "latest", "" if match[1] == own else match[1]


def service(message: Any, sort: str, project: str, region: str, wanted: Collection[str], *, named: bool) -> Service:
    """A service, job or worker pool; ``wanted``: variables that are kept; ``named``: a target names it."""
    ready, created = _short(message, "latest_ready_revision"), _short(message, "latest_created_revision")
    template = _template(message.template.template if sort == "job" else message.template, sort, project, wanted)
    current = template if ready == created and not message.reconciling else None
    return Service(
        project=project,
        region=region,
        name=message.name.rpartition("/")[2],
        sort=sort,
        template=template,
        serving=tuple(_serving(message, sort, ready, current)) if named else None,
        latest_ready=ready,
        latest_created=created,
        reconciling=message.reconciling,
        not_ready=not_ready(message),
        manager=_manager(message),
        updated=_time(message, "update_time"),
        etag=message.etag,
    )


def revision(message: Any, sort: str, project: str, wanted: Collection[str]) -> tuple[Template, str]:
    """What a revision runs, and when it was created."""
    return _template(message, sort, project, wanted), _time(message, "create_time")


def references(template: Template, wanted: Collection[str]) -> Iterator[Reference]:
    """The secrets that matter of a template: those of the DSN's variables, and all that are mounted."""
    for container in template.containers:
        for variable in container.variables:
            if variable.secret and variable.name in wanted and _holds_dsn(variable):
                yield Reference(variable.secret, variable.version, variable.secret_project, is_dsn=True)
        for mount in container.mounts:
            is_dsn = dsn.names_dsn(mount.secret) or "sentry" in mount.path.lower()
            yield Reference(mount.secret, mount.version, mount.secret_project, is_dsn=is_dsn)


def starts_with_latest(template: Template, wanted: Collection[str]) -> bool:
    """Whether instances take the newest version of the DSN's secret when they start, so that their age matters."""
    found = (variable for container in template.containers for variable in container.variables)
    return any(item.secret and item.version == "latest" and item.name in wanted and _holds_dsn(item) for item in found)


def _holds_dsn(variable: Variable) -> bool:
    """Whether a secret variable that a target wants is its DSN, and not its environment's or its release's name."""
    name = variable.name.upper()
    return "DSN" in name or dsn.names_dsn(variable.secret) or not re.search(r"ENV|STAGE|RELEASE|VERSION", name)


def _template(message: Any, sort: str, project: str, wanted: Collection[str]) -> Template:
    only = len(message.containers) == 1
    volumes = {volume.name: volume.secret for volume in message.volumes if volume.WhichOneof("volume_type") == "secret"}
    egress = network = ""
    if message.HasField("vpc_access"):
        access = message.vpc_access
        interface = access.network_interfaces[0] if access.network_interfaces else None
        network = access.connector or ((interface.network or interface.subnetwork) if interface else "")
        # Where a VPC is attached, private ranges are the default.
        egress = _EGRESS.get(access.egress, _PRIVATE) if network or access.egress else ""
    return Template(
        containers=tuple(
            Container(
                name=item.name,
                image=item.image,
                ingress=sort != "service" or only or bool(item.ports),
                cpu_idle=_cpu_idle(item, sort),
                variables=tuple(_variables(item.env, project, wanted)),
                mounts=tuple(_mounts(item.volume_mounts, volumes, project)),
            )
            for item in message.containers
        ),
        account=message.service_account or _DEFAULT,
        egress=egress,
        network=network,
    )


def _cpu_idle(container: Any, sort: str) -> bool:
    """Whether it has a CPU only during requests.

    True by default, but "if ResourceRequirements is set", its absence means false (run.v2 ResourceRequirements).
    """
    if sort != "service":
        return False
    return bool(container.resources.cpu_idle) if container.HasField("resources") else True


def _variables(items: Sequence[Any], project: str, wanted: Collection[str]) -> Iterator[Variable]:
    for item in items:
        name = item.name
        telling, plainly = _telling(name)
        telling = telling or name in wanted
        if item.HasField("value_source"):
            reference = item.value_source.secret_key_ref
            secret, version, owner = split_secret(reference.secret, reference.version, project)
            if telling or dsn.names_dsn(secret):
                yield Variable(name=name, secret=secret, secret_project=owner, version=version)
        elif telling or plainly:
            value = item.value  # "" as well where neither of the two is set
            yield Variable(
                name=name,
                is_set=bool(value),
                value=variables.shown(name, value),
                dsn=_plain_dsn(name, value, wanted),
            )


@lru_cache(4096)
def _telling(name: str) -> tuple[bool, bool]:
    """Whether a variable of that name counts, and whether it does if it is no secret one; thousands are looked at."""
    upper = name.upper()
    counts = "SENTRY" in upper or "DSN" in upper
    return counts, counts or "ENVIRONMENT" in upper


def _plain_dsn(name: str, value: str, wanted: Collection[str]) -> DsnSeen | None:
    """What a plain value is as a DSN, if it is meant as one; the DSN of a database is none."""
    meant = "DSN" in name.upper() and ("SENTRY" in name.upper() or name in wanted)
    if value and (meant or dsn.looks_like_dsn(value)):
        return payloads.seen(value)
    return None


def _mounts(items: Sequence[Any], volumes: dict[str, Any], project: str) -> Iterator[Mount]:
    for item in items:
        volume = volumes.get(item.name)
        if volume is None:
            continue
        folder = item.mount_path.rstrip("/")
        # Without items, the file has the secret's name and the newest version.
        name, version, owner = split_secret(volume.secret, "", project)
        files = [(file.path, file.version or version) for file in volume.items] or [(name, version)]
        for path, asked in files:
            yield Mount(path=f"{folder}/{path}", secret=name, secret_project=owner, version=asked)


def _serving(message: Any, sort: str, ready: str, current: Template | None) -> Iterator[Serving]:
    statuses = {"service": "traffic_statuses", "worker-pool": "instance_split_statuses"}.get(sort)
    for status in getattr(message, statuses) if statuses else ():
        tag = getattr(status, "tag", "")
        if status.percent <= 0 and not tag:
            continue
        newest = status.type_ == _LATEST or not status.revision
        name = ready if newest else status.revision.rpartition("/")[2]
        yield Serving(
            revision=name,
            percent=status.percent,
            tag=tag,
            pinned=not newest,
            template=current if name == ready else None,
        )


def _short(message: Any, field: str) -> str:
    return str(getattr(message, field, "")).rpartition("/")[2]


def not_ready(message: Any) -> str:
    """Why the newest revision did not come up; ``""`` if it did."""
    condition = message.terminal_condition
    if condition.state != _FAILED:
        return ""
    kind = condition.WhichOneof("reasons")
    reason = ""
    if kind:
        names = condition.DESCRIPTOR.fields_by_name[kind].enum_type.values_by_number
        number = getattr(condition, kind)
        reason = names[number].name if number in names else str(number)
    text = dsn.redact(condition.message.strip())
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return f"{reason}: {text}" if reason and text else reason or text or "it failed"


def _manager(message: Any) -> str:
    labels = message.labels
    if labels.get("goog-terraform-provisioned") == "true":
        return "terraform"
    return str(labels.get("managed-by") or labels.get("app.kubernetes.io/managed-by") or message.client)


def _time(message: Any, field: str) -> str:
    return str(getattr(message, field).ToJsonString()) if message.HasField(field) else ""
