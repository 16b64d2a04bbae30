"""IAM policies: of secrets, of Cloud Run services, of projects."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from google.iam.v1 import iam_policy_pb2, policy_pb2

from .errors import RefusedError, invalid, not_found
from .secret_manager import find_secret
from .state import ACCESSOR, NO_POLICY, Project, Secret, State, new_etag

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Roles that contain secretmanager.versions.access. Editor and Viewer are not among them
#: (cloud.google.com/secret-manager/docs/access-control).
READERS = {ACCESSOR, "roles/secretmanager.admin", "roles/owner"}


def can_read(project: Project, secret: Secret, account: str) -> bool:
    """Whether an account may read the payload; bindings with a condition do not count, nobody evaluates it here."""
    members = {f"serviceAccount:{account}", "allUsers", "allAuthenticatedUsers"}
    return any(
        binding.role in READERS and not binding.HasField("condition") and members & set(binding.members)
        for policy in (secret.policy, project.policy)
        for binding in policy.bindings
    )


def get_secret_policy(state: State, request: Any) -> Any:
    return shown(find_secret(state, request.resource)[1].policy, request)


def set_secret_policy(state: State, request: Any) -> Any:
    return change(find_secret(state, request.resource)[1].policy, request)


def get_service_policy(state: State, request: Any) -> Any:
    """Cloud Run's services keep no policy here: nobody but their owner may call them."""
    for project in state:
        if request.resource in project.services:
            return policy_pb2.Policy(version=1, etag=NO_POLICY)
    raise not_found(f"Resource '{request.resource}' was not found")


def shown(policy: Any, request: Any) -> Any:
    """A copy; a caller that does not ask for version 3 sees a conditional role under another name."""
    made = policy_pb2.Policy()
    made.CopyFrom(policy)
    if request.options.requested_policy_version >= 3:
        return made
    made.version = 1
    for binding in made.bindings:
        if binding.HasField("condition"):
            digest = hashlib.sha256(binding.condition.expression.encode()).hexdigest()[:20]
            binding.role += f"_withcond_{digest}"
            binding.ClearField("condition")
    return made


def change(policy: Any, request: Any) -> Any:
    """Replace a policy, unless somebody else has done so since it was read."""
    wanted = request.policy
    if wanted.etag and wanted.etag != policy.etag:
        raise RefusedError(
            "ABORTED",
            "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
        )
    conditional = any(binding.HasField("condition") for binding in (*wanted.bindings, *policy.bindings))
    if conditional and wanted.version != 3:
        raise invalid("The policy has conditional role bindings: its version must be 3.")
    for binding in wanted.bindings:
        for member in binding.members:
            if ":" not in member and member not in {"allUsers", "allAuthenticatedUsers"}:
                raise invalid(f"Invalid member: {member}")
    policy.CopyFrom(wanted)
    policy.etag = new_etag().encode()
    return policy


def test_permissions(permissions: Iterable[str], request: Any) -> Any:
    """Those of the asked permissions that the caller has."""
    held = [item for item in request.permissions if permissions == "*" or item in permissions]
    return iam_policy_pb2.TestIamPermissionsResponse(permissions=held)
