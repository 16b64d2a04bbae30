"""As whom Google Cloud is asked, and what is said where there is nobody. Nothing here reaches a network."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from google.auth.exceptions import TransportError

from sentry_audit.cloud import CloudOptions, Failure, Target
from sentry_audit.sources.gcp import credentials, machine, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USER = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r", "account": "me@x.com"}
AUDIENCE = "//iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/github/providers/repo"
ROBOT = "auditor@shop.iam.gserviceaccount.com"


class Answer(NamedTuple):
    """What a transport of google-auth gives."""

    status: int
    data: bytes
    headers: dict[str, str]


class Internet:
    """Answers by a part of the address; anything else is an error."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, Any]]] = {"oauth2.googleapis.com/token": (200, TOKEN)}
        self.asked: list[str] = []

    def __call__(self, url: str, **_: Any) -> Answer:
        self.asked.append(url)
        status, body = next(answer for part, answer in self.answers.items() if part in url)
        return Answer(status, json.dumps(body).encode(), {})


TOKEN = {"access_token": "t0ken", "expires_in": 3600, "token_type": "Bearer"}


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    made = Internet()
    monkeypatch.setattr(credentials, "_request", lambda options: made)
    return made


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials, and no machine of Google's."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_QUOTA_PROJECT", *machine._SIGNS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setattr(machine, "PRODUCT", tmp_path / "product_name")


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[object], Path]:
    """Puts a credentials file where GOOGLE_APPLICATION_CREDENTIALS points to."""

    def put(content: object) -> Path:
        path = tmp_path / "credentials.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        return path

    return put


def load(**options: Any) -> credentials.Access:
    found = credentials.load(CloudOptions(**options))
    assert isinstance(found, credentials.Access), found
    return found


def refused(**options: Any) -> Failure:
    found = credentials.load(CloudOptions(**options))
    assert isinstance(found, credentials.Denied)
    return found.failure


def test_without_credentials_both_ways_to_get_some_are_told_at_once() -> None:
    started = time.monotonic()
    snapshot = read([Target(component="a", environment="staging", project="p")], CloudOptions())
    assert time.monotonic() - started < 5
    assert snapshot.failure is not None
    assert snapshot.projects == ()
    assert len(snapshot.targets) == 1
    assert snapshot.failure.code == "NO_CREDENTIALS"
    login, actions = snapshot.failure.command.splitlines()
    assert login == "gcloud auth application-default login"
    assert actions.startswith("# in GitHub Actions")
    assert "google-github-actions/auth" in actions


def test_a_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    failure = refused()
    assert failure.code == "NO_CREDENTIALS"
    assert f"{tmp_path}/none.json does not exist" in failure.reason
    assert failure.command.startswith("unset GOOGLE_APPLICATION_CREDENTIALS")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "it is not JSON"),
        ("[]", "its type is none that Google knows"),
        ({"type": "pizza"}, "its type is none that Google knows"),
        ({"type": "authorized_user"}, "it lacks something"),
        ({"type": "service_account", "client_email": "a@b", "token_uri": "x", "private_key": "s3cr3t"}, "it lacks"),
        ({"type": "external_account"}, "it lacks something"),
        ({"type": "impersonated_service_account"}, "it lacks something"),
    ],
)
def test_a_file_that_holds_no_credentials(given: Callable[[object], Path], content: object, why: str) -> None:
    given(content)
    failure = refused()
    assert failure.code == "NO_CREDENTIALS"
    assert why in failure.reason
    assert "s3cr3t" not in failure.reason


def test_a_login_says_who_it_is(tmp_path: Path, internet: Internet) -> None:
    (tmp_path / "gcloud").mkdir()
    (tmp_path / "gcloud/application_default_credentials.json").write_text(json.dumps(USER | {"quota_project_id": "q"}))
    access = load()
    assert (access.identity, access.source) == ("me@x.com", "gcloud auth application-default login")
    assert access.credentials.token == "t0ken"
    assert access.credentials.quota_project_id == "q"
    assert load(quota_project="other").credentials.quota_project_id == "other"


def test_a_login_without_an_address_is_told_by_its_kind(given: Callable[[object], Path], internet: Internet) -> None:
    path = given(USER | {"account": ""})
    access = load()
    assert (access.identity, access.source) == ("user credentials", f"GOOGLE_APPLICATION_CREDENTIALS={path}")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        ({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, "expired"),
        ({"error": "invalid_grant", "error_subtype": "invalid_rapt"}, "log in again"),
        ({"error": "invalid_client"}, "does not know the client"),
        ({"error": "strange"}, "gives no access token"),
    ],
)
def test_a_login_that_is_over(
    given: Callable[[object], Path], internet: Internet, error: dict[str, Any], why: str
) -> None:
    given(USER)
    internet.answers["oauth2.googleapis.com/token"] = (400, error)
    failure = refused()
    assert failure.code == "UNAUTHENTICATED"
    assert why in failure.reason
    assert failure.command == "gcloud auth application-default login"


def test_a_token_endpoint_that_says_nothing(given: Callable[[object], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    given(USER)
    monkeypatch.setattr(credentials, "PREFLIGHT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        failure = refused()
    assert time.monotonic() - started < 10
    assert failure.code == "UNAVAILABLE"
    assert "gave no answer" in failure.reason


def test_a_service_accounts_key_asks_nobody(given: Callable[[object], Path], internet: Internet) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    uri = "https://oauth2.googleapis.com/token"
    info = {"type": "service_account", "client_email": ROBOT, "token_uri": uri, "private_key": pem.decode()}
    given(info | {"private_key_id": "1"})
    access = load()
    assert access.identity == ROBOT
    assert internet.asked == []
    headers: dict[str, str] = {}
    access.credentials.before_request(internet, "GET", "https://run.googleapis.com/v1/x", headers)
    assert headers["authorization"].startswith("Bearer ")
    assert internet.asked == []


def test_impersonation(given: Callable[[object], Path], internet: Internet) -> None:
    given(USER)
    body = {"accessToken": "other", "expireTime": "2100-01-01T00:00:00Z"}
    internet.answers[f"{ROBOT}:generateAccessToken"] = (200, body)
    access = load(impersonate=ROBOT)
    assert access.identity == ROBOT
    assert access.source.startswith("impersonated by me@x.com, GOOGLE_APPLICATION_CREDENTIALS=")
    assert access.credentials.token == "other"


def test_impersonation_that_is_denied(given: Callable[[object], Path], internet: Internet) -> None:
    given(USER)
    error = {"error": {"code": 403, "message": "Permission 'iam.serviceAccounts.getAccessToken' denied"}}
    internet.answers[f"{ROBOT}:generateAccessToken"] = (403, error)
    failure = refused(impersonate=ROBOT)
    assert failure.code == "PERMISSION_DENIED"
    assert failure.permission == "iam.serviceAccounts.getAccessToken"
    assert failure.resource == ROBOT
    assert failure.command == (
        f"gcloud iam service-accounts add-iam-policy-binding {ROBOT} --member=user:me@x.com "
        "--role=roles/iam.serviceAccountTokenCreator"
    )


@pytest.fixture
def workload(given: Callable[[object], Path], tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "subject").write_text("jwt")
    info = {
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": str(tmp_path / "subject")},
    }
    given(info)
    return info


def test_workload_identity_federation(workload: dict[str, Any], internet: Internet) -> None:
    internet.answers["sts.googleapis.com"] = (200, TOKEN | {"issued_token_type": "x"})
    access = load()
    assert (access.identity, access.credentials.token) == ("workload identity federation", "t0ken")
    assert internet.asked == ["https://sts.googleapis.com/v1/token"]


def test_a_workload_that_the_provider_refuses(workload: dict[str, Any], internet: Internet) -> None:
    internet.answers["sts.googleapis.com"] = (400, {"error": "invalid_target", "error_description": "no"})
    failure = refused()
    assert failure.code == "UNAUTHENTICATED"
    assert failure.resource == AUDIENCE
    assert failure.command == (
        "gcloud iam workload-identity-pools providers describe repo --workload-identity-pool=github --location=global "
        "--project=42"
    )


def test_a_workload_without_its_token(workload: dict[str, Any], internet: Internet, tmp_path: Path) -> None:
    (tmp_path / "subject").unlink()
    failure = refused()
    assert "after the checkout" in failure.reason


def test_a_workload_that_may_not_act_as_its_account(
    workload: dict[str, Any], internet: Internet, given: Callable[[object], Path]
) -> None:
    url = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{ROBOT}:generateAccessToken"
    given(workload | {"service_account_impersonation_url": url})
    internet.answers["sts.googleapis.com"] = (200, TOKEN | {"issued_token_type": "x"})
    internet.answers["generateAccessToken"] = (403, {"error": {"code": 403, "message": "denied"}})
    failure = refused()
    assert failure.code == "PERMISSION_DENIED"
    assert failure.resource == ROBOT
    assert "--role=roles/iam.workloadIdentityUser" in failure.command
    internet.answers["generateAccessToken"] = (200, {"accessToken": "x", "expireTime": "2100-01-01T00:00:00Z"})
    assert load().identity == ROBOT


def test_a_transport_that_breaks(given: Callable[[object], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    given(USER)

    def broken(url: str, **_: Any) -> Answer:
        raise TransportError("Connection refused")

    monkeypatch.setattr(credentials, "_request", lambda options: broken)
    assert refused().code == "UNAVAILABLE"


@pytest.mark.parametrize("sign", ["K_SERVICE", "CLOUD_RUN_JOB", "GCE_METADATA_HOST", "BUILDER_OUTPUT"])
def test_a_machine_of_googles_is_known_by_its_variables(monkeypatch: pytest.MonkeyPatch, sign: str) -> None:
    assert not machine.is_googles()
    monkeypatch.setenv(sign, "x")
    assert machine.is_googles()
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    assert not machine.is_googles()


def test_a_machine_of_googles_is_known_by_its_firmware(tmp_path: Path) -> None:
    (tmp_path / "product_name").write_text("Google Compute Engine\n")
    assert machine.is_googles()
    (tmp_path / "product_name").write_text("Virtual Machine\n")
    assert not machine.is_googles()
