"""One call, whichever protocol it came by: who calls, what is injected, what is allowed, what is answered."""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from msgspec import Struct

from . import errors, iam, rollouts, run
from .errors import RefusedError
from .faults import Faults, refusal
from .methods import Method, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .state import State


class Call(Struct, frozen=True, kw_only=True):
    """One line of the journal: never a payload. Times are of time.monotonic, ``code`` is the status."""

    method: str
    identity: str
    resource: str
    started: float
    ended: float
    code: str
    protocol: str


class ResetError(Exception):
    """The connection is to be reset."""

    code = "RESET"


class HangError(Exception):
    """The call is never to be answered."""

    code = "HANG"


class MalformedError(Exception):
    """The answer is to be no message."""

    code = "MALFORMED"


class Calls(Faults):
    """What answers calls from a state, and keeps the journal."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state
        self.methods: dict[str, Method] = table()
        self.calls: list[Call] = []
        self.world = threading.RLock()

    def count(self, method: str = "") -> int:
        """How many calls there were of methods whose full name ends like that."""
        return sum(call.method.endswith(method) for call in self.calls)

    def answer(self, name: str, request: Any, metadata: Mapping[str, str], protocol: str = "grpc") -> Any:
        """The answer's message; raises ``RefusedError``, or what a fault asks for."""
        method = self.methods[name]
        resource = resource_of(method, request)
        started, code, identity = time.monotonic(), "OK", "unknown"
        try:
            if delay := self.delay(name):
                time.sleep(delay)
            identity, allowed = self.caller(method, metadata.get("authorization", ""))
            self.inject(method, resource)
            return self._answer(method, request, resource, allowed, metadata if protocol == "grpc" else None)
        except RefusedError as refused:
            code = refused.code
            raise
        except (ResetError, HangError, MalformedError) as fault:
            code = fault.code
            raise
        finally:
            self.calls.append(
                Call(
                    method=name,
                    identity=identity,
                    resource=resource,
                    started=started,
                    ended=time.monotonic(),
                    code=code,
                    protocol=protocol,
                )
            )

    def inject(self, method: Method, resource: str) -> None:
        """Raise what a fault that hits this call asks for."""
        fault = self.fault(method.name, resource)
        if fault is None:
            return
        kinds: dict[str, type[Exception]] = {"hang": HangError, "malformed": MalformedError, "reset": ResetError}
        if fault.kind in kinds:
            raise kinds[fault.kind]
        raise refusal(fault, method.api, method.permission, resource, self._number(resource))

    def _number(self, resource: str) -> str:
        """The number of the project that a resource is in."""
        project = self.state.find_project(f"{resource}//".split("/")[1])
        return project.number if project else "0"

    def _answer(
        self, method: Method, request: Any, resource: str, allowed: Iterable[str], metadata: Mapping[str, str] | None
    ) -> Any:
        project = self.state.find_project(f"{resource}//".split("/")[1])
        if project is not None and method.api in project.disabled:
            raise errors.api_disabled(method.api, project.number)
        if method.routed and metadata is not None and not is_routed(metadata, resource):
            raise errors.not_implemented()
        if method.permission and allowed != "*" and method.permission not in allowed:
            raise errors.denied(method.permission, resource)
        if method.name.endswith("/WaitOperation"):
            run.wait_until_done(self.state, request.name, run.wait_seconds(request))
        with self.world:
            rollouts.settle_all(self.state, poll=True)
            if method.call is None:
                return iam.test_permissions(allowed, request)
            return detached(method.call(self.state, request))

    def caller(self, method: Method, authorization: str) -> tuple[str, Iterable[str]]:
        """Who calls and what that identity may do, from ``authorization``: a known token, or a JWT."""
        if not authorization:
            if self.state.anonymous is None:
                raise errors.unauthenticated(method.api, method.name)
            return "anonymous", self.state.anonymous
        token = authorization.removeprefix("Bearer ")
        email = self.state.tokens.get(token) or jwt_email(token)
        if not email:
            raise errors.unauthenticated(method.api, method.name)
        return email, self.state.identities.get(email, ())


def resource_of(method: Method, request: Any) -> str:
    found = request
    for part in method.resource.split("."):
        found = getattr(found, part)
    return str(found)


def is_routed(metadata: Mapping[str, str], resource: str) -> bool:
    """Whether the routing header names the region that the resource is in."""
    location = parse_qs(metadata.get("x-goog-request-params", "")).get("location", [""])[0]
    return bool(location) and f"/locations/{location}" in resource


def jwt_email(token: str) -> str:
    """The e-mail address of a JSON Web Token's ``sub`` or ``iss``; ``""`` if it is none. Nobody checks signatures."""
    parts = token.split(".")
    if len(parts) != 3:
        return ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return ""
    return str(claims.get("email") or claims.get("sub") or claims.get("iss") or "")


def detached(message: Any) -> Any:
    """A copy: what the state holds may change before the answer is written."""
    made = type(message)()
    made.CopyFrom(message)
    return made
