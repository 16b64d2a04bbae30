"""google.cloud.secretmanager.v1.SecretManagerService.

Names in answers carry the project's number, whatever was asked for. Wording and numbers are those of recorded traffic
and of error messages in public issues.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from google.cloud import secretmanager_v1 as api
from google.protobuf import empty_pb2

from .errors import RefusedError, invalid, not_found, not_implemented
from .messages import SecretMessage, SecretVersionMessage, raw
from .paging import page
from .state import Project, Secret, State, Version, new_etag, new_time

API = "secretmanager.googleapis.com"
MOST_PER_PAGE = 25_000
MOST_BYTES = 65_536
NAME = re.compile(r"projects/([^/]+)(?:/secrets/([^/]+)(?:/versions/([^/]+))?)?")
ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_Version = Any

_CRC_TABLE: list[int] = []


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum (RFC 3720, appendix B.4), as ``data_crc32c`` has it."""
    if not _CRC_TABLE:
        for byte in range(256):
            value = byte
            for _ in range(8):
                value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
            _CRC_TABLE.append(value)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def parse(name: str) -> tuple[str, str, str]:
    """The project, the secret and the version that a name has; ``""`` for what it has not."""
    match = NAME.fullmatch(name)
    if match is None:
        raise not_implemented()
    return match[1], match[2] or "", match[3] or ""


def secret_name(project: Project, secret: Secret) -> str:
    return f"projects/{project.number}/secrets/{secret.id}"


def version_name(project: Project, secret: Secret, number: int) -> str:
    return f"{secret_name(project, secret)}/versions/{number}"


def find_secret(state: State, name: str) -> tuple[Project, Secret]:
    """The secret of a secret's or a version's name."""
    project_id, secret_id, _ = parse(name)
    project = state.project(project_id, API)
    if secret_id not in project.secrets:
        raise not_found(f"Secret [projects/{project.number}/secrets/{secret_id}] not found.")
    return project, project.secrets[secret_id]


def find_version(state: State, name: str) -> tuple[Project, Secret, int, Version]:
    """The version of a name, ``latest`` and aliases included."""
    project_id, secret_id, asked = parse(name)
    project = state.project(project_id, API)
    secret = project.secrets.get(secret_id)
    if secret is None or not secret.versions:
        raise not_found(f"Secret [projects/{project.number}/secrets/{secret_id}] not found or has no versions.")
    number = secret.number(asked)
    if not number:
        raise not_found(f"Secret Version [{secret_name(project, secret)}/versions/{asked}] not found.")
    return project, secret, number, secret.versions[number - 1]


def secret_message(project: Project, secret: Secret) -> Any:
    made = SecretMessage(
        name=secret_name(project, secret),
        labels=secret.labels,
        annotations=secret.annotations,
        version_aliases=secret.aliases,
        etag=secret.etag,
    )
    made.create_time.FromJsonString(secret.created)
    if secret.expires:
        made.expire_time.FromJsonString(secret.expires)
    if secret.replicas:
        for region in secret.replicas:
            made.replication.user_managed.replicas.add(location=region)
    else:
        made.replication.automatic.SetInParent()
    return made


def version_message(project: Project, secret: Secret, number: int) -> Any:
    version = secret.versions[number - 1]
    made = SecretVersionMessage(
        name=version_name(project, secret, number),
        state=version.state,
        etag=version.etag,
        client_specified_payload_checksum=version.checked,
    )
    made.create_time.FromJsonString(version.created)
    if version.destroyed:
        made.destroy_time.FromJsonString(version.destroyed)
    if secret.replicas:
        for region in secret.replicas:
            made.replication_status.user_managed.replicas.add(location=region)
    else:
        made.replication_status.automatic.SetInParent()
    return made


def list_secrets(state: State, request: Any) -> Any:
    project = state.project(parse(request.parent)[0], API)
    found = [item for item in project.secrets.values() if matches(item, request.filter)]
    found.sort(key=lambda item: item.created, reverse=True)
    shown, token = page(found, request, state.page_size, MOST_PER_PAGE)
    secrets = [secret_message(project, item) for item in shown]
    return raw(api.ListSecretsResponse)(secrets=secrets, next_page_token=token, total_size=len(found))


def matches(secret: Secret, expression: str) -> bool:
    """Whether a filter takes a secret: terms ``name:part`` and ``labels.key=value``, with OR, AND and NOT."""
    if not expression:
        return True
    name = secret.id.lower()
    for part in _parts(expression):  # plain loops: thousands of secrets pass here
        for key, value in part:
            if not (value in name if key == "name" else _labelled(secret, key, value)):
                break
        else:
            return True
    return False


@cache
def _parts(expression: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    """A filter's alternatives: keys (``name``, or ``labels.`` and a label's) and values. Read once, not per secret."""
    return tuple(
        tuple(_term(term.strip()) for term in re.split(r"\s+AND\s+|\s+(?!OR\b)", part.strip()) if term)
        for part in re.split(r"\s+OR\s+", expression)
    )


def _term(term: str) -> tuple[str, str]:
    if match := re.fullmatch(r'name[:=]"?([A-Za-z0-9_/-]+)"?', term):
        return "name", match[1].lower()
    if match := re.fullmatch(r'labels\.([a-z0-9_-]+)[:=]"?([a-z0-9_*-]*)"?', term):
        return f"labels.{match[1]}", match[2]
    raise invalid(f"Invalid filter: {term}")


def _labelled(secret: Secret, key: str, value: str) -> bool:
    label = key.removeprefix("labels.")
    return label in secret.labels and value in {"*", secret.labels[label]}


def get_secret(state: State, request: Any) -> Any:
    return secret_message(*find_secret(state, request.name))


def create_secret(state: State, request: Any) -> Any:
    project = state.project(parse(request.parent)[0], API)
    if not ID.fullmatch(request.secret_id):
        raise invalid(f"The secret ID must match {ID.pattern}: {request.secret_id}")
    if request.secret_id in project.secrets:
        name = f"projects/{project.number}/secrets/{request.secret_id}"
        raise RefusedError("ALREADY_EXISTS", f"Secret [{name}] already exists.")
    kind = request.secret.replication.WhichOneof("replication")
    if kind is None:
        raise invalid("Secret.replication must be provided.")
    replicas = tuple(item.location for item in request.secret.replication.user_managed.replicas)
    secret = project.add_secret(request.secret_id, replicas=replicas)
    secret.labels = dict(request.secret.labels)
    secret.annotations = dict(request.secret.annotations)
    return secret_message(project, secret)


def update_secret(state: State, request: Any) -> Any:
    project, secret = find_secret(state, request.secret.name)
    _check_etag(request.secret.etag, secret.etag)
    if not request.update_mask.paths:
        raise invalid("Update mask must be provided.")
    for path in request.update_mask.paths:
        if path == "labels":
            secret.labels = dict(request.secret.labels)
        elif path == "annotations":
            secret.annotations = dict(request.secret.annotations)
        elif path in {"version_aliases", "versionAliases"}:
            secret.aliases = dict(request.secret.version_aliases)
        else:
            raise invalid(f"Invalid update mask: {path}")
    secret.etag = new_etag()
    return secret_message(project, secret)


def delete_secret(state: State, request: Any) -> Any:
    project, secret = find_secret(state, request.name)
    _check_etag(request.etag, secret.etag)
    del project.secrets[secret.id]
    return empty_pb2.Empty()


def add_version(state: State, request: Any) -> Any:
    project, secret = find_secret(state, request.parent)
    payload = request.payload
    if not 0 < len(payload.data) <= MOST_BYTES:
        raise invalid(f"The secret payload must be between 1 and {MOST_BYTES} bytes.")
    checked = payload.HasField("data_crc32c")
    if checked and payload.data_crc32c != crc32c(payload.data):
        raise invalid("The checksum of the payload does not match the supplied data_crc32c.")
    secret.add(payload.data).checked = checked
    return version_message(project, secret, len(secret.versions))


def list_versions(state: State, request: Any) -> Any:
    project, secret = find_secret(state, request.parent)
    asked = re.fullmatch(r"(?:state[:=]\s*\"?(ENABLED|DISABLED|DESTROYED)\"?)?", request.filter.strip(), re.IGNORECASE)
    if asked is None:
        raise invalid(f"Invalid filter: {request.filter}")
    wanted = (asked[1] or "").upper()
    numbers = range(len(secret.versions), 0, -1)
    found = [number for number in numbers if wanted in {"", secret.versions[number - 1].state}]
    shown, token = page(found, request, state.page_size, MOST_PER_PAGE)
    versions = [version_message(project, secret, number) for number in shown]
    return raw(api.ListSecretVersionsResponse)(versions=versions, next_page_token=token, total_size=len(found))


def get_version(state: State, request: Any) -> Any:
    project, secret, number, _ = find_version(state, request.name)
    return version_message(project, secret, number)


def access_version(state: State, request: Any) -> Any:
    project, secret, number, version = find_version(state, request.name)
    name = version_name(project, secret, number)
    if version.state != "ENABLED":
        raise RefusedError("FAILED_PRECONDITION", f"Secret Version [{name}] is in {version.state} state.")
    payload = {"data": version.payload, "data_crc32c": crc32c(version.payload)}
    return raw(api.AccessSecretVersionResponse)(name=name, payload=payload)


def enable_version(state: State, request: Any) -> Any:
    return _change(state, request, "ENABLED")


def disable_version(state: State, request: Any) -> Any:
    return _change(state, request, "DISABLED")


def destroy_version(state: State, request: Any) -> Any:
    return _change(state, request, "DESTROYED")


def _change(state: State, request: Any, wanted: str) -> Any:
    project, secret, number, version = find_version(state, request.name)
    _check_etag(request.etag, version.etag)
    if version.state == "DESTROYED":
        raise RefusedError(
            "FAILED_PRECONDITION",
            f"Secret Version [{version_name(project, secret, number)}] is in DESTROYED state.",
        )
    version.state = wanted
    version.etag = new_etag()
    if wanted == "DESTROYED":
        version.payload, version.destroyed = b"", new_time()
    return version_message(project, secret, number)


def _check_etag(given: str, current: str) -> None:
    """Secret Manager answers a stale etag with FAILED_PRECONDITION (cloud.google.com/secret-manager/docs/etags)."""
    if given and given != current:
        raise RefusedError(
            "FAILED_PRECONDITION", f"The etag provided {given} does not match the current etag {current}."
        )
