"""The Google clients, over one gRPC channel per API: ours only to say where they connect and as whom.

gRPC and not REST: the REST transport drops what the installed client does not know. What comes back are the protobuf
messages themselves, which are ten times faster to walk than their proto-plus wrappers.
"""

from __future__ import annotations

import ipaddress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from msgspec import Struct

from sentry_audit.errors import UsageError
from sentry_audit.sources.gcp import failures, permissions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.sources.gcp.credentials import Access

#: Services, jobs and worker pools of one page; the API makes less of it where that is too many (AIP-158).
PAGE = 500
#: Secrets of one page: the cap that the API documents.
SECRETS_PAGE = 25_000
#: The version of policies that can have conditions.
POLICY_VERSION = 3

_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
#: To a loopback address: no proxy, and a connection of its own for each API, as there is with Google.
_LOCAL = [*_OPTIONS, ("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]


#: By sort: the client's method, and the field of its answer.
_LISTS = {"service": ("_services", "services"), "job": ("_jobs", "jobs"), "worker-pool": ("_pools", "worker_pools")}


class Page(Struct, frozen=True):
    """One page of a list: protobuf messages, the token of the next page, and places that did not answer."""

    items: Sequence[Any]
    token: str = ""
    unreachable: Sequence[str] = ()


def check_endpoint(endpoint: str) -> None:
    """Raise UsageError if ``endpoint`` is not a loopback ``host:port``: it gets requests without TLS."""
    host, colon, port = endpoint.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if colon and port.isascii() and port.isdigit() and 0 < int(port) < 65536 and _loopback(bare):
        return
    raise UsageError(
        f"{endpoint} is not a loopback address with a port: only a local cloud is asked without encryption",
        "give an address such as 127.0.0.1:8085, or leave it out to ask Google Cloud",
    )


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Clients:
    """One method per question; each takes the seconds that it has, and raises what the client raises."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._channels: list[Any] = []
        self._rest: dict[str, Any] = {"retry": None, "metadata": access.metadata}

    def __enter__(self) -> Self:
        """Make what every run needs, before threads would do it at the same time."""
        _ = self._services, self._revisions, self._secrets
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Close the connections; calls that are still under way end with that."""
        for channel in self._channels:
            channel.close()
        self.__dict__.pop("_session", None)

    def _channel(self, host: str) -> Any:
        if self._access.endpoint:
            import grpc

            channel = grpc.insecure_channel(self._access.endpoint, options=_LOCAL)
        else:
            from google.api_core import grpc_helpers

            channel = grpc_helpers.create_channel(
                f"{host}:443", credentials=self._access.credentials, default_host=host, options=_OPTIONS
            )
        self._channels.append(channel)
        return channel

    @cached_property
    def _run(self) -> Any:
        return self._channel(permissions.RUN)

    @cached_property
    def _services(self) -> Any:
        from google.cloud import run_v2
        from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport

        return run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=self._run)).list_services

    @cached_property
    def _jobs(self) -> Any:
        from google.cloud import run_v2
        from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport

        return run_v2.JobsClient(transport=JobsGrpcTransport(channel=self._run)).list_jobs

    @cached_property
    def _pools(self) -> Any:
        from google.cloud import run_v2
        from google.cloud.run_v2.services.worker_pools.transports import WorkerPoolsGrpcTransport

        return run_v2.WorkerPoolsClient(transport=WorkerPoolsGrpcTransport(channel=self._run)).list_worker_pools

    @cached_property
    def _revisions(self) -> Any:
        from google.cloud import run_v2
        from google.cloud.run_v2.services.revisions.transports import RevisionsGrpcTransport

        return run_v2.RevisionsClient(transport=RevisionsGrpcTransport(channel=self._run))

    @cached_property
    def _secrets(self) -> Any:
        from google.cloud import secretmanager_v1
        from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
            SecretManagerServiceGrpcTransport as Transport,
        )

        return secretmanager_v1.SecretManagerServiceClient(
            transport=Transport(channel=self._channel(permissions.SECRETS))
        )

    @cached_property
    def _project_policy(self) -> Any:
        """Resource Manager has no client among the installed ones, and this method's messages are common to all APIs."""
        from google.api_core import grpc_helpers
        from google.iam.v1 import iam_policy_pb2, policy_pb2

        return grpc_helpers.wrap_errors(
            self._channel(permissions.PROJECTS).unary_unary(
                "/google.cloud.resourcemanager.v3.Projects/GetIamPolicy",
                request_serializer=iam_policy_pb2.GetIamPolicyRequest.SerializeToString,
                response_deserializer=policy_pb2.Policy.FromString,
            )
        )

    @cached_property
    def _session(self) -> Any:
        from google.auth.transport.requests import AuthorizedSession

        session = AuthorizedSession(self._access.credentials)
        if self._access.endpoint:
            session.trust_env = False
        return session

    def locations(self, project: str, token: str, timeout: float) -> Page:
        """The ids of the regions that a project can use Cloud Run in: the v1 API's, as v2 has no such list."""
        base = f"http://{self._access.endpoint}" if self._access.endpoint else f"https://{permissions.RUN}"
        parameters = {"pageSize": "100", **({"pageToken": token} if token else {})}
        answer = self._session.get(
            f"{base}/v1/projects/{project}/locations",
            params=parameters,
            timeout=timeout,
            headers=dict(self._access.metadata),
            allow_redirects=False,
        )
        if answer.status_code != 200:
            from google.api_core import exceptions

            raise exceptions.from_http_response(answer)
        try:
            body = answer.json()
            # Never the name: v1 leaves out its "projects/", and a wrong parent is answered by an empty list.
            return Page([str(item["locationId"]) for item in body.get("locations", ())], body.get("nextPageToken", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise failures.MalformedError from None

    def page(self, sort: str, parent: str, token: str, timeout: float) -> Page:
        """A page of the services, jobs or worker pools (``sort``) in ``projects/P/locations/R``."""
        request = {"parent": parent, "page_size": PAGE, "page_token": token}
        method, field = _LISTS[sort]
        message = self._first(getattr(self, method)(request=request, timeout=timeout, **self._rest))
        return Page(getattr(message, field), message.next_page_token, tuple(getattr(message, "unreachable", ())))

    def revision(self, name: str, timeout: float) -> Any:
        """The revision of that full name."""
        found = self._revisions.get_revision(request={"name": name}, timeout=timeout, **self._rest)
        return type(found).pb(found)

    def secrets(self, project: str, terms: Sequence[str], token: str, timeout: float) -> Page:
        """A page of the secrets whose name has one of ``terms`` in it."""
        request = {
            "parent": f"projects/{project}",
            "page_size": SECRETS_PAGE,
            "page_token": token,
            "filter": " OR ".join(f"name:{term}" for term in terms),
        }
        message = self._first(self._secrets.list_secrets(request=request, timeout=timeout, **self._rest))
        return Page(message.secrets, message.next_page_token)

    @staticmethod
    def _first(pager: Any) -> Any:
        """The page that the call fetched; the next ones are asked for with a timeout of their own."""
        page = next(iter(pager.pages))
        return type(page).pb(page)

    def secret(self, name: str, timeout: float) -> Any:
        """The secret of that full name."""
        found = self._secrets.get_secret(request={"name": name}, timeout=timeout, **self._rest)
        return type(found).pb(found)

    def version(self, name: str, timeout: float) -> Any:
        """The version of that full name, which may end in ``latest`` or an alias."""
        found = self._secrets.get_secret_version(request={"name": name}, timeout=timeout, **self._rest)
        return type(found).pb(found)

    def payload(self, name: str, timeout: float) -> Any:
        """The payload of the version of that full name: bytes, and their checksum."""
        found = self._secrets.access_secret_version(request={"name": name}, timeout=timeout, **self._rest)
        return type(found).pb(found).payload

    def secret_policy(self, name: str, timeout: float) -> Any:
        """The IAM policy of the secret of that full name."""
        request = {"resource": name, "options": {"requested_policy_version": POLICY_VERSION}}
        return self._secrets.get_iam_policy(request=request, timeout=timeout, **self._rest)

    def project_policy(self, project: str, timeout: float) -> Any:
        """The IAM policy of a project."""
        from google.iam.v1 import iam_policy_pb2, options_pb2

        resource = f"projects/{project}"
        request = iam_policy_pb2.GetIamPolicyRequest(
            resource=resource, options=options_pb2.GetPolicyOptions(requested_policy_version=POLICY_VERSION)
        )
        routed = (("x-goog-request-params", f"resource={resource}"), *self._access.metadata)
        return self._project_policy(request, timeout=timeout, metadata=routed)
