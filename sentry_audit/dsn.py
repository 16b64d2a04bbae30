"""One DSN type: parse, validate, fingerprint, redact. Nothing else in the product looks into a DSN.

The strict rule is the intersection of what ``sentry_sdk.utils.Dsn`` and JavaScript's ``makeDsn``
accept; see docs.sentry.io/concepts/key-terms/dsn-explainer/.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from sentry_audit import facts

_OTHER_SECRET = re.compile(r"token|auth|hook|client|api[-_]?key|password", re.IGNORECASE)
_PARTS = re.compile(
    r"(?P<scheme>https?)://(?P<key>[^\s:@/\"'<>]*)(?::(?P<secret>[^\s@/\"'<>]*))?@(?P<host>\[[0-9a-fA-F:]+\]|[^\s:/@\"'<>?#,;`\\]+)"
    r"(?::(?P<port>[^\s/\"'<>]*))?(?P<path>/[^\s\"'<>?#,;`\\]*)?",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"\bsntr[a-z]*_[A-Za-z0-9_=+/.-]{6,}")
_NAMED_TOKEN = re.compile(r"(SENTRY_AUTH_TOKEN[\"']?\s*[=:]\s*[\"']?)([^\s\"'${}]{8,})")
_PLACEHOLDER = re.compile(
    r"examplePublicKey|YOUR[_-]|PUBLIC_DSN|<\w*key\w*>|\bxxx|publicKey|^key$|your-|changeme|public_key|abc123|example",
    re.IGNORECASE,
)
_HOST = re.compile(r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")


class DsnValue(Struct, frozen=True):
    """A DSN without its key. ``problem`` is empty when both SDKs accept it as it stands.

    ``fingerprint`` is the first twelve hexadecimal digits of SHA-256 over key, host and project.
    """

    valid: bool
    problem: str
    shown: str
    scheme: str = ""
    host: str = ""
    port: str = ""
    path: str = ""
    project: str = ""
    fingerprint: str = ""
    placeholder: bool = False


def names_dsn(secret: str) -> bool:
    """Whether a secret of that name holds a Sentry DSN, as far as a name can say: no token, no address of a hook."""
    return "sentry" in secret.lower() and not _OTHER_SECRET.search(secret)


def looks_like_dsn(text: str) -> bool:
    """Whether a value is meant as a DSN: ``scheme://something@host``."""
    return _PARTS.search(text) is not None


def parse(text: str) -> DsnValue:
    """What ``text`` is as a DSN; never raises."""
    match = _PARTS.fullmatch(text.strip().strip("\"'"))
    if match is None:
        placeholder = bool(_PLACEHOLDER.search(text)) or text.strip().startswith(("${", "$", "{{", "<"))
        return DsnValue(False, _shape(text), _shown_text(text), placeholder=placeholder)
    key, host = match["key"], match["host"].lower()
    path, _, project = (match["path"] or "").rstrip("\n").rpartition("/")
    shown = _shown(match)
    import hashlib

    digest = hashlib.sha256(f"{key}@{host}/{project}".encode()).hexdigest()[:12]
    placeholder = bool(_PLACEHOLDER.search(f"{key} {host}")) or bool(re.match(r"^o0+\.", host)) or set(project) == {"0"}
    placeholder = placeholder or len(set(key)) <= 2
    problem = _problem(text, match, host, path, project)
    return DsnValue(
        not problem and not placeholder, problem or ("it is a placeholder" if placeholder else ""), shown,
        match["scheme"].lower(), host, match["port"] or "", path, project, digest, placeholder,
    )  # fmt: skip


def _shape(text: str) -> str:
    if not text.strip():
        return "it is empty"
    if text.strip().startswith(("${", "$", "{{")):
        return "it is a variable that was never replaced"
    if "," in text:
        return "it is more than one value"
    if re.match(r"^\s*https?://[^@]*$", text):
        return "it has no public key in front of an @"
    return "it does not have the form https://KEY@HOST/PROJECT"


def _problem(text: str, match: re.Match[str], host: str, path: str, project: str) -> str:
    checks = (
        (text != text.strip(), "it has white space or a newline around it, which the secret store keeps"),
        (text.strip()[:1] in {'"', "'"}, "it is quoted, and the quotes are part of the value"),
        (not match["key"], "it has no public key"),
        (not re.fullmatch(r"\w+", match["key"], re.ASCII), "its key has characters that the browser SDK rejects"),
        (match["scheme"] != match["scheme"].lower(), "its scheme is in capitals, which the browser SDK rejects"),
        (not _HOST.match(host) and not host.startswith("["), "its host is not a host name"),
        (host.startswith("["), "the Python SDK builds a broken address from an IPv6 host"),
        (match["port"] is not None and not _port(match["port"]), f"{match['port']} is not a port"),
        (not re.fullmatch(r"[1-9]\d*", project), "it does not end in a project number"),
        (not re.fullmatch(r"(/[\w.-]+)*", path), "its path has characters that the SDKs reject"),
        (match["scheme"].lower() == "http" and not is_private(host), "it uses http: events would travel unencrypted"),
    )
    return next((problem for wrong, problem in checks if wrong), "")


def _port(text: str) -> bool:
    return text.isdigit() and 0 < int(text) < 65536


def is_private(host: str) -> bool:
    """Whether a host is only reached from inside a network: an address of one, or a name that no public DNS has."""
    if (
        host == "localhost"
        or "." not in host
        or host.endswith((".local", ".internal", ".localhost", ".svc", ".lan", ".test"))
    ):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _shown(match: re.Match[str]) -> str:
    port = f":{match['port']}" if match["port"] else ""
    key = match["key"]
    shown_already = key[:1] == "…" and len(key) <= 5
    tail = key[1:] if shown_already else key[-4:] if len(key) >= 16 else ""
    return f"{match['scheme'].lower()}://…{tail}@{match['host']}{port}{(match['path'] or '').rstrip()}"


def _shown_text(text: str) -> str:
    plain = redact(text.strip())
    return plain if len(plain) <= 40 else plain[:39] + "…"


def redact(text: str) -> str:
    """``text`` with the key of every DSN, well-formed or not, and every auth token taken out."""
    if "@" in text and "://" in text:
        text = _PARTS.sub(_shown, text)
    if "sntr" in text:
        text = _TOKEN.sub("sntr…", text)
    if "SENTRY_AUTH_TOKEN" in text:
        text = _NAMED_TOKEN.sub(lambda match: f"{match[1]}…", text)
    return text


def find(text: str) -> list[tuple[int, DsnValue]]:
    """Every Sentry-shaped DSN inside a text, with its offset: a key of 16 or more, or an ingest host."""
    found = []
    for match in _PARTS.finditer(text):
        project = (match["path"] or "").rpartition("/")[2]
        if "ingest" in match["host"] or "sentry" in match["host"] or (len(match["key"]) == 32 and project.isdigit()):
            found.append((match.start(), parse(match[0])))
    return found


def fact(value: DsnValue, **fields: Any) -> facts.Dsn:
    """The fact that a DSN stands somewhere; ``fields`` are those of ``facts.Dsn`` that ``value`` does not give."""
    return facts.Dsn(
        shown=value.shown, valid=value.valid, problem=value.problem, fingerprint=value.fingerprint, project=value.project,
        host=value.host, placeholder=value.placeholder, **fields,
    )  # fmt: skip
