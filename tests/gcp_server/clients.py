"""The real clients of google-cloud-run and google-cloud-secret-manager, pointed at a server here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud import run_v2, secretmanager_v1
from google.iam.v1 import iam_policy_pb2, policy_pb2

if TYPE_CHECKING:
    from types import TracebackType

CLASSES = {
    "secrets": secretmanager_v1.SecretManagerServiceClient,
    "services": run_v2.ServicesClient,
    "revisions": run_v2.RevisionsClient,
    "jobs": run_v2.JobsClient,
    "pools": run_v2.WorkerPoolsClient,
}


class Clients:
    """``with Clients(endpoint) as clients: clients.secrets.list_secrets(…)``; ``rest`` takes that transport."""

    def __init__(self, endpoint: str, *, rest: bool = False, token: str = "") -> None:
        self._endpoint, self._rest = endpoint, rest
        self._channel = grpc.insecure_channel(endpoint)
        self._with_token = grpc.intercept_channel(self._channel, _Token(token)) if token else self._channel
        self._made: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        """The client of that name, made when it is first used: that takes a while."""
        if name not in CLASSES:
            raise AttributeError(name)
        if name not in self._made:
            self._made[name] = self._make(CLASSES[name])
        return self._made[name]

    def _make(self, client: Any) -> Any:
        if self._rest:
            options = {"api_endpoint": f"http://{self._endpoint}"}
            return client(credentials=AnonymousCredentials(), transport="rest", client_options=options)
        return client(transport=client.get_transport_class("grpc")(channel=self._with_token))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._made.values():
            client.transport.close()
        self._channel.close()

    def project_policy(self, project: str, version: int = 3) -> Any:
        """A project's IAM policy, over gRPC and without a routing header."""
        call = self._channel.unary_unary(
            "/google.cloud.resourcemanager.v3.Projects/GetIamPolicy",
            request_serializer=iam_policy_pb2.GetIamPolicyRequest.SerializeToString,
            response_deserializer=policy_pb2.Policy.FromString,
        )
        options = {"requested_policy_version": version}
        return call(iam_policy_pb2.GetIamPolicyRequest(resource=f"projects/{project}", options=options), timeout=5)


class _Token(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # grpc comes without types
    """Sends an access token, as channel credentials would over TLS."""

    def __init__(self, token: str) -> None:
        self._token = token

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        metadata = [*(details.metadata or ()), ("authorization", f"Bearer {self._token}")]
        return continuation(details._replace(metadata=metadata), request)
