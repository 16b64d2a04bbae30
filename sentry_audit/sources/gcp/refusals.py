"""Why there is nobody to ask Google Cloud as: one reason, and one command.

The text of an error is only looked at, never repeated: a key or a token could be in it.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from sentry_audit.cloud import Failure
from sentry_audit.sources.gcp import permissions

if TYPE_CHECKING:
    from pathlib import Path

NO_CREDENTIALS = "NO_CREDENTIALS"
_TOKEN_CREATOR = "roles/iam.serviceAccountTokenCreator"  # noqa: S105 - a role
_WORKLOAD_USER = "roles/iam.workloadIdentityUser"
_GET_TOKEN = "iam.serviceAccounts.getAccessToken"  # noqa: S105 - a permission
_PROVIDER = re.compile(
    r"//iam\.googleapis\.com/projects/([^/]+)/locations/([^/]+)/workloadIdentityPools/([^/]+)/providers/([^/]+)"
)
_IMPERSONATED = re.compile(r"/serviceAccounts/([^/:]+):generateAccessToken")
_ACTIONS = (
    "in GitHub Actions, give the job `permissions: id-token: write` and run google-github-actions/auth with "
    "workload_identity_provider after the checkout"
)


def none() -> Failure:
    """No credentials anywhere."""
    return Failure(
        code=NO_CREDENTIALS,
        reason="there are no Google credentials on this machine",
        command=f"{permissions.LOGIN}\n# {_ACTIONS}",
    )


def no_file(path: Path, source: str, error: OSError) -> Failure:
    """A credentials file that cannot be opened."""
    why = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
    return Failure(
        code=NO_CREDENTIALS,
        reason=f"the credentials file {path} {why} ({source}); {_ACTIONS}",
        resource=str(path),
        command=_without_variable(source),
    )


def bad_file(path: Path, source: str, why: str) -> Failure:
    """A credentials file that holds none."""
    return Failure(
        code=NO_CREDENTIALS,
        reason=f"the credentials file {path} cannot be used: {why} ({source})",
        resource=str(path),
        command=_without_variable(source),
    )


def unusable(source: str, error: Exception) -> Failure:
    """Credentials that the installed google-auth cannot work with."""
    return Failure(
        code=NO_CREDENTIALS,
        reason=f"the credentials cannot be used ({type(error).__name__}; {source})",
        command=permissions.LOGIN,
    )


def _without_variable(source: str) -> str:
    named = source.startswith("GOOGLE_APPLICATION_CREDENTIALS")
    return f"unset GOOGLE_APPLICATION_CREDENTIALS; {permissions.LOGIN}" if named else permissions.LOGIN


def refresh(error: Exception, kind: str, credentials: Any) -> Failure:
    """No token for credentials that look right; ``kind`` is what they are, in words."""
    text = str(error)
    if _silent(error):
        return _no_answer()
    url = str(getattr(credentials, "_service_account_impersonation_url", None) or "")
    target = getattr(credentials, "service_account_email", None) or ""
    if _impersonates(text):
        match = _IMPERSONATED.search(url)
        return impersonation(
            error, match[1] if match else str(target), "", role=_WORKLOAD_USER if url else _TOKEN_CREATOR
        )
    if kind == "workload identity federation":
        return _federation(text, credentials)
    if "invalid_rapt" in text or "eauthentication" in text:
        reason = "Google wants you to log in again (the organization limits how long a login lasts)"
    elif "invalid_grant" in text:
        reason = "the login has expired or was revoked"
    elif "invalid_client" in text:
        reason = "Google does not know the client that made the login"
    else:
        reason = f"Google gives no access token for them ({type(error).__name__})"
    return Failure(code="UNAUTHENTICATED", reason=f"the {kind} cannot be used: {reason}", command=permissions.LOGIN)


def _silent(error: Exception) -> bool:
    from google.auth.exceptions import TimeoutError as AuthTimeoutError
    from google.auth.exceptions import TransportError

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (TransportError, AuthTimeoutError, OSError)):
            return True
        cause = cause.__cause__
    return False


def _no_answer() -> Failure:
    return Failure(
        code="UNAVAILABLE",
        reason="the place that gives out access tokens gave no answer within 5 seconds: is there a network, a proxy "
        "(HTTPS_PROXY), a firewall?",
        resource="oauth2.googleapis.com",
        command="curl -sSI -m 5 https://oauth2.googleapis.com/token",
    )


def _impersonates(text: str) -> bool:
    return "getAccessToken" in text or "impersonated credentials" in text


def impersonation(error: Exception, target: str, identity: str, role: str = _TOKEN_CREATOR) -> Failure:
    """``identity`` may not act as the service account ``target``."""
    if _silent(error):
        return _no_answer()
    member = permissions.member(identity)
    if role == _WORKLOAD_USER:
        member = "principalSet://iam.googleapis.com/YOUR_POOL/attribute.repository/OWNER/REPOSITORY"
    who = identity or "the caller"
    if "SERVICE_DISABLED" in str(error) or "has not been used in project" in str(error):
        return Failure(
            code="API_DISABLED",
            reason=f"{who} cannot act as {target}: iamcredentials.googleapis.com is not enabled",
            resource=target,
            command=permissions.enable("iamcredentials.googleapis.com", _project(target)),
        )
    return Failure(
        code="PERMISSION_DENIED",
        reason=f"{who} cannot act as {target}: {_GET_TOKEN} is missing, or there is no such service account",
        permission=_GET_TOKEN,
        resource=target,
        command=f"gcloud iam service-accounts add-iam-policy-binding {shlex.quote(target)} "
        f"--member={shlex.quote(member)} --role={role}",
    )


def _project(account: str) -> str:
    domain = account.partition("@")[2]
    return domain.removesuffix(".iam.gserviceaccount.com") if domain.endswith(".iam.gserviceaccount.com") else "PROJECT"


def _federation(text: str, credentials: Any) -> Failure:
    audience = str(getattr(credentials, "_audience", None) or "")
    match = _PROVIDER.fullmatch(audience)
    command = permissions.LOGIN
    if match:
        command = (
            f"gcloud iam workload-identity-pools providers describe {match[4]} --workload-identity-pool={match[3]} "
            f"--location={match[2]} --project={match[1]}"
        )
    if "was not found" in text:
        return Failure(
            code="UNAUTHENTICATED",
            reason="the file with the token of the workload is not there: google-github-actions/auth has to run in "
            "the same job, after the checkout",
            resource=audience,
            command=command,
        )
    return Failure(
        code="UNAUTHENTICATED",
        reason="the workload identity provider refuses the token of this workload: its issuer, its audience or its "
        "attribute condition does not fit",
        resource=audience,
        command=command,
    )
