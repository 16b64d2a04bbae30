"""From what a call raised to a ``Failure``: which status, what could not be seen, and the one thing to do about it.

No text of an answer's body gets in here: a payload could be in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sentry_audit import dsn
from sentry_audit.cloud import Failure
from sentry_audit.sources.gcp import permissions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_audit.sources.gcp.permissions import Question

#: As much of a server's own sentence as is shown.
SHOWN = 200


class MalformedError(Exception):
    """An answer that does not hold together; its text never has a part of the answer."""


def code(error: BaseException) -> str:
    """The name of the gRPC status that an error stands for; MALFORMED and INTERNAL for what has none."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError
    from google.protobuf.message import DecodeError
    from requests.exceptions import Timeout

    if isinstance(error, exceptions.RetryError) and error.cause is not None:
        return code(error.cause)
    if isinstance(error, exceptions.GoogleAPICallError):
        return _status(error)
    if isinstance(error, (TimeoutError, Timeout, exceptions.RetryError)):
        return "DEADLINE_EXCEEDED"
    if isinstance(error, GoogleAuthError):
        return "UNAUTHENTICATED"
    if isinstance(error, (MalformedError, DecodeError, UnicodeError)):
        return "MALFORMED"
    if isinstance(error, OSError):  # those of requests among them
        return "UNAVAILABLE"
    return "INTERNAL"


def _status(error: Any) -> str:
    if error.grpc_status_code is not None:
        name = str(error.grpc_status_code.name)
        message = error.message or ""
        if name == "INTERNAL" and "deserializing" in message:  # grpcio, of an answer that is no such message
            return "MALFORMED"
        if name == "UNAVAILABLE" and message.startswith("Getting metadata from plugin failed"):  # no access token
            return "UNAUTHENTICATED"
        return name
    named = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
    number = int(error.code or 500)
    return named.get(number) or {502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}.get(
        number, "INVALID_ARGUMENT" if 400 <= number < 500 else "INTERNAL"
    )


def retry_after(error: BaseException) -> float:
    """The seconds that the server asks to wait (google.rpc.RetryInfo); 0 if it does not say."""
    for detail in getattr(error, "details", None) or ():
        if isinstance(detail, dict):  # over REST, "1.5s"
            told = str(detail.get("retryDelay", "")).removesuffix("s")
            if told.replace(".", "", 1).isdigit():
                return float(told)
            continue
        delay = getattr(detail, "retry_delay", None)
        if delay is not None:
            return float(delay.seconds) + float(delay.nanos) / 1e9
    return 0.0


def explain(error: BaseException, question: Question, identity: str, waited: float = 0.0) -> Failure:
    """What ``error`` means for ``question``; ``waited``: the seconds that a call without an answer was given."""
    name = code(error)
    cause: Any = getattr(error, "cause", None) or error
    if name == "PERMISSION_DENIED":
        return _denied(cause, question, identity)
    reasons = {
        "NOT_FOUND": "there is no such thing, or its project does not exist",
        "UNAUTHENTICATED": "Google does not accept the credentials",
        "RESOURCE_EXHAUSTED": _wait(cause),
        "UNAVAILABLE": f"{question.rpc.host} cannot be reached or is down",
        "DEADLINE_EXCEEDED": f"{question.rpc.host} gave no answer in {waited:.0f} seconds",
        "MALFORMED": f"the answer cannot be understood ({type(cause).__name__})",
    }
    reason = reasons.get(name) or _other(name, cause)
    commands = {
        "UNAUTHENTICATED": permissions.LOGIN,
        "UNAVAILABLE": f"curl -sSI https://{question.rpc.host}/",
        "DEADLINE_EXCEEDED": f"curl -sSI https://{question.rpc.host}/",
    }
    return Failure(
        code=name, reason=f"{question.unseen}: {reason}", resource=question.resource, command=commands.get(name, "")
    )


def _other(name: str, error: Any) -> str:
    message = getattr(error, "message", None)
    if not isinstance(message, str) or not message:
        return f"{name} ({type(error).__name__})"
    line = dsn.redact(message.splitlines()[0])
    return f"{name}: {line if len(line) <= SHOWN else line[: SHOWN - 1] + '…'}"


def _wait(error: Any) -> str:
    seconds = retry_after(error)
    wait = f"{seconds:.0f} seconds" if seconds >= 1 else "a minute"
    return f"a quota is used up (Secret Manager: 600 reads per minute and project); run it again in {wait}"


def _denied(error: Any, question: Question, identity: str) -> Failure:
    why = str(getattr(error, "reason", None) or "")
    metadata: Mapping[str, str] = getattr(error, "metadata", None) or {}
    if why == "SERVICE_DISABLED":
        service = metadata.get("service") or question.rpc.host
        return Failure(
            code="API_DISABLED",
            reason=f"{question.unseen}: {service} is not enabled in project {question.project}",
            resource=f"projects/{question.project}",
            command=permissions.enable(service, question.project),
        )
    special = _special(why, question)
    if special is not None:
        return special
    permission = metadata.get("permission") or question.rpc.permission
    who = identity if "@" in identity else "the caller"
    return Failure(
        code="PERMISSION_DENIED",
        reason=f"{question.unseen}: {who} lacks {permission}, or it does not exist",
        permission=permission,
        resource=question.resource,
        command=permissions.grant(question, permission, identity),
    )


def _special(why: str, question: Question) -> Failure | None:
    """Refusals that no role heals."""
    told = {
        "USER_PROJECT_DENIED": (
            (
                "the quota project may not be used (serviceusage.services.use is missing, or it does not exist); "
                "name another one with --quota-project"
            ),
            f"gcloud auth application-default set-quota-project {question.project}",
        ),
        "CONSUMER_INVALID": (
            f"there is no project {question.project}, or the caller may not see it",
            f"gcloud projects describe {question.project}",
        ),
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT": (
            "the access token was made without the scope cloud-platform",
            f"{permissions.LOGIN} --scopes=https://www.googleapis.com/auth/cloud-platform",
        ),
        "BILLING_DISABLED": (
            f"billing is off for project {question.project}",
            f"gcloud billing projects describe {question.project}",
        ),
        "SECURITY_POLICY_VIOLATED": (
            "a VPC Service Controls perimeter does not let this machine in",
            "gcloud access-context-manager perimeters list",
        ),
    }
    if why not in told:
        return None
    reason, command = told[why]
    resource = f"projects/{question.project}"
    permission = "serviceusage.services.use" if why == "USER_PROJECT_DENIED" else ""
    return Failure(
        code="PERMISSION_DENIED",
        reason=f"{question.unseen}: {reason}",
        permission=permission,
        resource=resource,
        command=command,
    )


def not_asked(question: Question, seconds: float) -> Failure:
    """The time for the whole run is over before ``question`` was answered."""
    return Failure(
        code="DEADLINE_EXCEEDED",
        reason=f"--timeout of {seconds:g} seconds was reached: {question.what} was not asked to the end",
        resource=question.resource,
        command="sentry-audit check --timeout " + f"{max(60, seconds * 4):.0f}",
    )
