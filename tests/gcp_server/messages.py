"""The message classes of the APIs, and short ways to build what Cloud Run runs.

The classes are the protobuf ones: the proto-plus classes of google-cloud-run drop fields they do not know.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from google.cloud import run_v2, secretmanager_v1
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LATEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"


def raw(kind: Any) -> Any:
    """The protobuf class of a proto-plus class."""
    return type(kind.pb(kind()))


Service, Revision, Job, WorkerPool = (
    raw(kind) for kind in (run_v2.Service, run_v2.Revision, run_v2.Job, run_v2.WorkerPool)
)
Template, Container, TrafficTarget, Condition = (
    raw(kind) for kind in (run_v2.RevisionTemplate, run_v2.Container, run_v2.TrafficTarget, run_v2.Condition)
)
PoolTemplate, Volume, VpcAccess = (
    raw(kind) for kind in (run_v2.WorkerPoolRevisionTemplate, run_v2.Volume, run_v2.VpcAccess)
)
SecretMessage, SecretVersionMessage = (raw(kind) for kind in (secretmanager_v1.Secret, secretmanager_v1.SecretVersion))


class SecretRef(Struct, frozen=True):
    """A variable's value that is in Secret Manager; ``secret`` is an id, or a full name for another project's."""

    secret: str
    version: str = "latest"


def container(
    image: str = "",
    env: Mapping[str, str | SecretRef] | None = None,
    *,
    name: str = "",
    port: int = 0,
    cpu_idle: bool | None = None,
    mounts: Mapping[str, SecretRef] | None = None,
) -> Any:
    """A container; ``cpu_idle`` None leaves ``resources`` out; ``mounts`` are volumes' names by path (see template)."""
    made = Container(name=name, image=image or "europe-docker.pkg.dev/fictitious/images/app:1")
    for variable, value in (env or {}).items():
        if isinstance(value, SecretRef):
            reference = {"secret": value.secret, "version": value.version}
            made.env.add(name=variable, value_source={"secret_key_ref": reference})
        else:
            made.env.add(name=variable, value=value)
    if port:
        made.ports.add(name="http1", container_port=port)
    if cpu_idle is not None:
        made.resources.limits.update({"cpu": "1000m", "memory": "512Mi"})
        made.resources.cpu_idle = cpu_idle
    for path in mounts or {}:
        folder, _, _ = path.rpartition("/")
        made.volume_mounts.add(name=volume_name(path), mount_path=folder)
    return made


def volume_name(path: str) -> str:
    return path.strip("/").replace("/", "-").replace(".", "-").lower()


def fill_template(
    made: Any,
    containers: Iterable[Any],
    *,
    account: str = "",
    egress: str = "",
    connector: str = "",
    network: str = "",
    mounts: Mapping[str, SecretRef] | None = None,
    revision: str = "",
) -> Any:
    """Fill a template of any kind (revision, task, worker pool); ``egress`` is ALL_TRAFFIC or PRIVATE_RANGES_ONLY."""
    made.containers.extend(containers)
    made.service_account = account
    if revision:
        made.revision = revision
    if egress:
        made.vpc_access.egress = VpcAccess.VpcEgress.Value(egress)
    if connector:
        made.vpc_access.connector = connector
    if network:
        made.vpc_access.network_interfaces.add(network=network)
    for path, value in (mounts or {}).items():
        source = {"secret": value.secret, "items": [{"path": path.rpartition("/")[2], "version": value.version}]}
        made.volumes.add(name=volume_name(path), secret=source)
    return made


def template(
    image: str = "",
    env: Mapping[str, str | SecretRef] | None = None,
    *,
    sidecars: Iterable[Any] = (),
    cpu_idle: bool | None = None,
    mounts: Mapping[str, SecretRef] | None = None,
    **rest: Any,
) -> Any:
    """A revision's template: one container that takes requests, and ``sidecars``; ``rest`` as in ``fill_template``."""
    sidecars = list(sidecars)
    port = 8080 if sidecars else 0
    main = container(image, env, name="app" if sidecars else "", port=port, cpu_idle=cpu_idle, mounts=mounts)
    return fill_template(Template(), [main, *sidecars], mounts=mounts, **rest)


def to_latest(percent: int = 100, tag: str = "") -> Any:
    return TrafficTarget(type_=LATEST, percent=percent, tag=tag)


def to_revision(revision: str, percent: int = 100, tag: str = "") -> Any:
    return TrafficTarget(type_=REVISION, revision=revision, percent=percent, tag=tag)


def with_unknown_field(message: Any, number: int = 4242, value: bytes = b"from a newer server") -> Any:
    """Add a field that the installed classes do not know."""
    key = number << 3 | 2
    encoded = b""
    while key:
        encoded += bytes([key & 0x7F | (0x80 if key > 0x7F else 0)])
        key >>= 7
    message.MergeFromString(encoded + bytes([len(value)]) + value)
    return message


def clone(message: Any) -> Any:
    return copy.deepcopy(message)
