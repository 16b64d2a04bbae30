"""The calls that change Google Cloud, beside those that read it. Protobuf messages go in and come out.

A request is built around the message that was read, never from a wrapper or a dict: those drop what the installed
classes do not know.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.sources.gcp.clients import Clients
from sentry_audit.sources.gcp.payloads import crc32c

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"projects/([^/]+)/locations/([^/]+)/(services|jobs|workerPools)/([^/]+)")


class Sort(Struct, frozen=True):
    """What runs containers: the names of its methods and messages, and of what says where requests go."""

    word: str
    message: str
    field: str
    routes: str = ""
    statuses: str = ""

    @property
    def get(self) -> str:
        """The method that reads one."""
        return f"Get{self.message}"

    @property
    def update(self) -> str:
        """The method that changes one."""
        return f"Update{self.message}"

    def template(self, message: Any) -> Any:
        """What holds its containers."""
        return message.template.template if self.message == "Job" else message.template


SORTS = {
    "services": Sort("service", "Service", "service", "traffic", "traffic_statuses"),
    "jobs": Sort("job", "Job", "job"),
    "workerPools": Sort("worker pool", "WorkerPool", "worker_pool", "instance_splits", "instance_split_statuses"),
}


def sort_of(resource: str) -> Sort:
    """The sort of what has that full name; raises ValueError if it is none's."""
    match = _NAME.fullmatch(resource)
    if match is None:
        raise ValueError(f"{resource} is no service's, job's or worker pool's name")
    return SORTS[match[3]]


class Writers(Clients):
    """One method per call; each takes the seconds that it has, and raises what the client raises."""

    @cached_property
    def _writers(self) -> dict[str, Any]:
        from google.cloud import run_v2
        from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport
        from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
        from google.cloud.run_v2.services.worker_pools.transports import WorkerPoolsGrpcTransport

        return {
            "Service": run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=self._run)),
            "Job": run_v2.JobsClient(transport=JobsGrpcTransport(channel=self._run)),
            "WorkerPool": run_v2.WorkerPoolsClient(transport=WorkerPoolsGrpcTransport(channel=self._run)),
        }

    def running(self, resource: str, timeout: float) -> Any:
        """The service, job or worker pool of that full name."""
        sort = sort_of(resource)
        method = getattr(self._writers[sort.message], f"get_{sort.field}")
        found = method(request={"name": resource}, timeout=timeout, **self._rest)
        return type(found).pb(found)

    def update(self, message: Any, timeout: float, *, validate_only: bool = False) -> Any:
        """Replace what has the name of ``message`` by it; gives the operation's message."""
        from google.cloud import run_v2

        sort = sort_of(message.name)
        request = getattr(run_v2, f"Update{sort.message}Request")(validate_only=validate_only)
        getattr(type(request).pb(request), sort.field).CopyFrom(message)
        method = getattr(self._writers[sort.message], f"update_{sort.field}")
        return method(request=request, timeout=timeout, **self._rest).operation

    def operation(self, name: str, timeout: float) -> Any:
        """How far an operation is."""
        client = self._writers["Service"].transport.operations_client
        return client.get_operation(name, timeout=timeout, **self._rest)

    # --- secrets -----------------------------------------------------------------------------------

    def create_secret(
        self, resource: str, labels: Mapping[str, str], annotations: Mapping[str, str], timeout: float
    ) -> Any:
        """A secret without versions, replicated wherever Google likes."""
        parent, _, name = resource.partition("/secrets/")
        secret = {"replication": {"automatic": {}}, "labels": dict(labels), "annotations": dict(annotations)}
        request = {"parent": parent, "secret_id": name, "secret": secret}
        return self._pb(self._secrets.create_secret(request=request, timeout=timeout, **self._rest))

    def annotate_secret(self, secret: Any, timeout: float) -> Any:
        """Write the annotations of a secret's message, unless somebody changed the secret since it was read."""
        from google.cloud import secretmanager_v1

        request = secretmanager_v1.UpdateSecretRequest(update_mask={"paths": ["annotations"]})
        type(request).pb(request).secret.CopyFrom(secret)
        return self._pb(self._secrets.update_secret(request=request, timeout=timeout, **self._rest))

    def delete_secret(self, name: str, etag: str, timeout: float) -> None:
        """Delete a secret with all its versions, unless somebody changed it since ``etag``."""
        self._secrets.delete_secret(request={"name": name, "etag": etag}, timeout=timeout, **self._rest)

    def versions(self, secret: str, timeout: float) -> list[Any]:
        """The newest versions of a secret: a page of them."""
        request = {"parent": secret, "page_size": 100}
        return list(
            self._first(self._secrets.list_secret_versions(request=request, timeout=timeout, **self._rest)).versions
        )

    def add_version(self, secret: str, data: bytes, timeout: float) -> Any:
        """A version that holds exactly ``data``, with a checksum that Secret Manager compares."""
        request = {"parent": secret, "payload": {"data": data, "data_crc32c": crc32c(data)}}
        return self._pb(self._secrets.add_secret_version(request=request, timeout=timeout, **self._rest))

    def disable_version(self, name: str, timeout: float) -> Any:
        """Keep a version from being read; it can be enabled again."""
        return self._pb(self._secrets.disable_secret_version(request={"name": name}, timeout=timeout, **self._rest))

    def set_secret_policy(self, name: str, policy: Any, timeout: float) -> Any:
        """Replace the IAM policy of a secret, unless somebody did so since it was read (its etag)."""
        request = {"resource": name, "policy": policy}
        return self._secrets.set_iam_policy(request=request, timeout=timeout, **self._rest)

    @staticmethod
    def _pb(message: Any) -> Any:
        return type(message).pb(message)
