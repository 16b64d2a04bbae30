"""Application Default Credentials, found and tried out before anything is asked with them.

An expired login would else show as a service that is down, after ten seconds of retries, and a silent token endpoint
as a minute of nothing. The order is google-auth's: cloud.google.com/docs/authentication/application-default-credentials.
"""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.sources.gcp import machine, permissions, refusals

if TYPE_CHECKING:
    from sentry_audit.cloud import CloudOptions, Failure

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
#: Seconds that the token endpoint gets.
PREFLIGHT = 5.0
#: The access token that the local cloud knows callers by.
LOCAL_TOKEN = "SENTRY_AUDIT_GCP_TOKEN"  # noqa: S105 - the name of a variable
_AWS = "urn:ietf:params:aws:token-type:aws4_request"


class Access(Struct, frozen=True):
    """As whom Google is asked: ``identity`` says who that is, ``source`` where it came from."""

    credentials: Any
    identity: str
    source: str
    metadata: tuple[tuple[str, str], ...] = ()
    endpoint: str = ""


class Denied(Struct, frozen=True):
    """There is nobody to ask as: ``failure`` says why."""

    failure: Failure
    identity: str = ""
    source: str = ""


def local(endpoint: str) -> Access:
    """Access to a local cloud: no credentials, at most a token that it tells callers apart by."""
    from google.auth.credentials import AnonymousCredentials

    token = os.environ.get(LOCAL_TOKEN, "")
    return Access(
        AnonymousCredentials(),
        f"anonymous (local cloud at {endpoint})",
        LOCAL_TOKEN if token else "no credentials",
        (("authorization", f"Bearer {token}"),) if token else (),
        endpoint,
    )


def load(options: CloudOptions) -> Access | Denied:
    """Find the credentials, and get a token with them within a few seconds; never raises."""
    found = _find()
    if isinstance(found, Denied):
        return found
    credentials, identity, source = found
    kind = _kind(credentials)
    try:
        if options.quota_project:
            credentials = credentials.with_quota_project(options.quota_project)
        credentials = _own_token(credentials)
        failure = _try_out(credentials, kind, options)
        if failure is not None:
            return Denied(failure, identity, source)
        identity = _identity(credentials) or identity
        if not options.impersonate:
            return Access(credentials, identity, source)
        return _impersonate(credentials, identity, source, options)
    except Exception as error:  # noqa: BLE001 - credentials of any kind, from files of any content
        return Denied(refusals.unusable(source, error), identity, source)


def _impersonate(source_credentials: Any, identity: str, source: str, options: CloudOptions) -> Access | Denied:
    from google.auth import impersonated_credentials

    target = options.impersonate
    credentials = impersonated_credentials.Credentials(
        source_credentials=source_credentials,
        target_principal=target,
        target_scopes=list(SCOPES),
        quota_project_id=options.quota_project or None,
    )
    source = f"impersonated by {identity}, {source}"
    try:
        credentials.refresh(_request(options))
    except Exception as error:  # noqa: BLE001 - as above
        return Denied(refusals.impersonation(error, target, identity), target, source)
    return Access(credentials, target, source)


def _request(options: CloudOptions) -> Any:
    """The transport that fetches tokens; by itself it would wait for two minutes."""
    from google.auth.transport.requests import Request

    return partial(Request(), timeout=min(PREFLIGHT, options.timeout))


def _try_out(credentials: Any, kind: str, options: CloudOptions) -> Failure | None:
    if kind == "service account key":  # signs its own tokens: nothing to fetch
        return None
    try:
        credentials.refresh(_request(options))
    except Exception as error:  # noqa: BLE001 - as above
        return refusals.refresh(error, kind, credentials)
    return None


def _own_token(credentials: Any) -> Any:
    """Let a service account's key sign its own tokens, as Google's clients do."""
    if hasattr(credentials, "with_always_use_jwt_access"):
        return credentials.with_always_use_jwt_access(True)
    return credentials


def _find() -> tuple[Any, str, str] | Denied:
    """The credentials that are there, who they are as far as that shows, and where they come from."""
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    if named:
        return _from_file(Path(named), f"GOOGLE_APPLICATION_CREDENTIALS={named}")
    kept = _well_known()
    if kept is not None and kept.is_file():
        return _from_file(kept, permissions.LOGIN)
    if not machine.is_googles():
        return Denied(refusals.none())
    import warnings

    import google.auth
    from google.auth.exceptions import GoogleAuthError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            credentials, _ = google.auth.default(scopes=list(SCOPES))
    except GoogleAuthError:
        return Denied(refusals.none())
    return credentials, _identity(credentials) or "the machine's service account", "the metadata server"


def _well_known() -> Path | None:
    """Where gcloud keeps what ``application-default login`` made; asking gcloud itself takes a second."""
    if folder := os.environ.get("CLOUDSDK_CONFIG"):
        base = Path(folder)
    elif os.name == "nt":
        base = Path(os.environ.get("APPDATA") or os.environ.get("SYSTEMDRIVE", "C:")) / "gcloud"
    else:
        try:
            base = Path.home() / ".config" / "gcloud"
        except RuntimeError:
            return None
    return base / "application_default_credentials.json"


def _from_file(path: Path, source: str) -> tuple[Any, str, str] | Denied:
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return Denied(refusals.no_file(path, source, error), source=source)
    except ValueError:
        return Denied(refusals.bad_file(path, source, "it is not JSON"), source=source)
    kind = info.get("type") if isinstance(info, dict) else None
    try:
        credentials = _build(info, str(kind))
    except Exception as error:  # noqa: BLE001 - each kind raises its own
        return Denied(refusals.bad_file(path, source, f"it lacks something ({type(error).__name__})"), source=source)
    if credentials is None:
        return Denied(refusals.bad_file(path, source, "its type is none that Google knows"), source=source)
    if hasattr(credentials, "with_quota_project_from_environment"):
        credentials = credentials.with_quota_project_from_environment()
    return credentials, _identity(credentials) or _kind(credentials), source


def _build(info: dict[str, Any], kind: str) -> Any:
    """Credentials from the content of a file, None if its type is unknown.

    google-auth's own loader asks Resource Manager for the project of an external account while it loads.
    """
    scopes = list(SCOPES)
    if kind == "authorized_user":
        from google.oauth2 import credentials

        return credentials.Credentials.from_authorized_user_info(info, scopes=scopes)
    if kind == "service_account":
        from google.oauth2 import service_account

        return service_account.Credentials.from_service_account_info(info, scopes=scopes)
    if kind == "impersonated_service_account":
        from google.auth import impersonated_credentials

        return impersonated_credentials.Credentials.from_impersonated_service_account_info(info, scopes=scopes)
    if kind == "external_account_authorized_user":
        from google.auth import external_account_authorized_user

        return external_account_authorized_user.Credentials.from_info(info, scopes=scopes)
    if kind == "external_account":
        return _external(info, scopes)
    return None


def _external(info: dict[str, Any], scopes: list[str]) -> Any:
    from google.auth import aws, identity_pool, pluggable

    if info.get("subject_token_type") == _AWS:
        return aws.Credentials.from_info(info, scopes=scopes)
    if (info.get("credential_source") or {}).get("executable") is not None:
        return pluggable.Credentials.from_info(info, scopes=scopes)
    return identity_pool.Credentials.from_info(info, scopes=scopes)


_KINDS = {
    "google.oauth2.credentials": "user credentials",
    "google.oauth2.service_account": "service account key",
    "google.auth.impersonated_credentials": "impersonated service account",
    "google.auth.external_account_authorized_user": "workforce identity",
    "google.auth.compute_engine.credentials": "the machine's service account",
}


def _kind(credentials: Any) -> str:
    return _KINDS.get(type(credentials).__module__, "workload identity federation")


def _identity(credentials: Any) -> str:
    """The address of who this is; ``""`` where the credentials do not say."""
    address = getattr(credentials, "service_account_email", None) or getattr(credentials, "account", None)
    return address if isinstance(address, str) and "@" in address else ""
