"""What Google Cloud answers instead of an answer: a status, a sentence in Google's wording, and typed details."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

TITLES = {
    "secretmanager.googleapis.com": "Secret Manager API",
    "run.googleapis.com": "Cloud Run Admin API",
    "cloudresourcemanager.googleapis.com": "Cloud Resource Manager API",
}


class RefusedError(Exception):
    """A status other than OK; ``code`` is its name, ``details`` are protobuf messages."""

    def __init__(self, code: str, message: str, details: Iterable[Any] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = tuple(details)

    @property
    def grpc_code(self) -> grpc.StatusCode:
        return grpc.StatusCode[self.code]

    def status(self) -> Any:
        """The same as google.rpc.Status."""
        packed = []
        for detail in self.details:
            packed.append(any_pb2.Any())
            packed[-1].Pack(detail)
        return status_pb2.Status(code=code_pb2.Code.Value(self.code), message=self.message, details=packed)


def error_info(reason: str, domain: str = "googleapis.com", **metadata: str) -> Any:
    return error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)


def retry_info(seconds: float) -> Any:
    delay = duration_pb2.Duration()
    delay.FromMilliseconds(int(seconds * 1000))
    return error_details_pb2.RetryInfo(retry_delay=delay)


def not_found(message: str) -> RefusedError:
    return RefusedError("NOT_FOUND", message)


def invalid(message: str) -> RefusedError:
    return RefusedError("INVALID_ARGUMENT", message)


def denied(permission: str, resource: str) -> RefusedError:
    """The caller lacks ``permission``; each API has its own sentence for that."""
    if permission.startswith("run."):
        message = f"Permission '{permission}' denied on resource '{resource}' (or resource may not exist)."
    elif permission.startswith("resourcemanager."):
        resource = f"//cloudresourcemanager.googleapis.com/{resource}"
        message = f"Permission '{permission}' denied on resource '{resource}' (or it may not exist)."
    else:
        message = f"Permission '{permission}' denied for resource '{resource}' (or it may not exist)."
    info = error_info("IAM_PERMISSION_DENIED", "iam.googleapis.com", permission=permission, resource=resource)
    return RefusedError("PERMISSION_DENIED", message, [info])


def unauthenticated(api: str, method: str) -> RefusedError:
    message = (
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
    )
    info = error_info("ACCESS_TOKEN_TYPE_UNSUPPORTED", service=api, method=method.replace("/", "."))
    return RefusedError("UNAUTHENTICATED", message, [info])


def api_disabled(api: str, number: str) -> RefusedError:
    title = TITLES.get(api, api)
    url = f"https://console.developers.google.com/apis/api/{api}/overview?project={number}"
    message = (
        f"{title} has not been used in project {number} before or it is disabled. Enable it by visiting {url} then "
        "retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and "
        "retry."
    )
    link = error_details_pb2.Help.Link(description="Google developers console API activation", url=url)
    info = error_info(
        "SERVICE_DISABLED",
        service=api,
        consumer=f"projects/{number}",
        serviceTitle=title,
        containerInfo=number,
        activationUrl=url,
    )
    return RefusedError("PERMISSION_DENIED", message, [info, error_details_pb2.Help(links=[link])])


def no_project(api: str, project: str) -> RefusedError:
    info = error_info("CONSUMER_INVALID", service=api, consumer=f"projects/{project}")
    return RefusedError("PERMISSION_DENIED", f"Permission denied on resource project {project}.", [info])


def exhausted(api: str, number: str, retry_after: float) -> RefusedError:
    message = (
        "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' of service "
        f"'{api}' for consumer 'project_number:{number}'."
    )
    info = error_info("RATE_LIMIT_EXCEEDED", service=api, consumer=f"projects/{number}", quota_unit="1/min/{project}")
    return RefusedError("RESOURCE_EXHAUSTED", message, [info, retry_info(retry_after)])


def not_implemented() -> RefusedError:
    return RefusedError("UNIMPLEMENTED", "Operation is not implemented, or supported, or enabled.")
