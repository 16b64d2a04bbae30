"""Where access tokens come from: oauth2.googleapis.com, sts.googleapis.com, iamcredentials.googleapis.com.

Every token is made up, and ``state.tokens`` says whose it is.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from . import errors
from .calls import Call, jwt_email
from .state import rfc3339

if TYPE_CHECKING:
    from .calls import Calls

ACCOUNT = re.compile(r"/v1/projects/-/serviceAccounts/([^/:]+)(:generateAccessToken|/allowedLocations)")
IMPERSONATE = "iam.serviceAccounts.getAccessToken"
#: How long a token is said to hold, in seconds.
LIFETIME = 3600


def answer(calls: Calls, verb: str, path: str, headers: dict[str, str], body: bytes) -> Any:
    """The JSON of a request for a token; None if it is none."""
    started = time.monotonic()
    if verb == "POST" and path in {"/token", "/v1/token"}:
        name, email, made = "Token/Exchange", *_exchange(calls, body)
    elif match := ACCOUNT.fullmatch(path):
        name, email, made = f"IAMCredentials/{match[2][1:]}", *_impersonate(calls, match, headers)
    else:
        return None
    ended = time.monotonic()
    line = Call(method=name, identity=email, resource=path, started=started, ended=ended, code="OK", protocol="rest")
    calls.calls.append(line)
    return made


def _exchange(calls: Calls, body: bytes) -> tuple[str, Any]:
    """OAuth 2: a signed assertion (RFC 7523), a refresh token, or another provider's token (RFC 8693)."""
    text = body.decode()
    form = json.loads(text) if text.startswith("{") else {key: value[0] for key, value in parse_qs(text).items()}
    given = form.get("assertion") or form.get("refresh_token") or form.get("subject_token") or form.get("subjectToken")
    email = calls.state.tokens.get(given or "") or jwt_email(given or "")
    if not email:
        raise errors.RefusedError("INVALID_ARGUMENT", "invalid_grant")
    token = _token(calls, email)
    kind = "urn:ietf:params:oauth:token-type:access_token"
    return email, {
        "access_token": token,
        "expires_in": LIFETIME,
        "token_type": "Bearer",
        "issued_token_type": kind,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
    }


def _impersonate(calls: Calls, match: re.Match[str], headers: dict[str, str]) -> tuple[str, Any]:
    """A token for another service account, if the caller may have one."""
    if match[2] == "/allowedLocations":
        return "unknown", {"locations": [], "encodedLocations": "0x0"}
    token = headers.get("authorization", "").removeprefix("Bearer ")
    email = calls.state.tokens.get(token) or jwt_email(token)
    allowed = calls.state.identities.get(email, ())
    if allowed != "*" and IMPERSONATE not in allowed:
        info = errors.error_info("IAM_PERMISSION_DENIED", "iam.googleapis.com", permission=IMPERSONATE)
        message = f"Permission '{IMPERSONATE}' denied on resource (or it may not exist)."
        raise errors.RefusedError("PERMISSION_DENIED", message, [info])
    expires = rfc3339(time.time() + LIFETIME)
    return email, {"accessToken": _token(calls, match[1]), "expireTime": expires}


def _token(calls: Calls, email: str) -> str:
    token = f"ya29.fictitious-{len(calls.state.tokens)}"
    calls.state.tokens[token] = email
    return token
