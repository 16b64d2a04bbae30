"""The same methods over REST: paths, query parameters and JSON bodies to messages, and back.

The rules are those of the APIs' ``google.api.http`` annotations.
"""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from google.protobuf import json_format
from msgspec import Struct

from . import tokens
from .calls import HangError, MalformedError, ResetError
from .errors import RefusedError, invalid
from .methods import LOCATIONS, OPERATIONS, PROJECTS, RUN, SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .calls import Calls

HTTP_CODES = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ABORTED": 409, "ALREADY_EXISTS": 409, "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
}  # fmt: skip
#: Parameters of every Google API, which are no fields of a request.
SYSTEM = {"alt", "key", "fields", "prettyPrint", "quotaUser", "userIp", "uploadType", "access_token", "callback"}
FLAGS = {"validateOnly", "allowMissing", "showDeleted", "forceNewRevision"}

_SECRET, _VERSION = "projects/*/secrets/*", "projects/*/secrets/*/versions/*"
_REGION = "projects/*/locations/*"
#: HTTP method, path, the method's full name, the field that the body fills ("*": the whole request).
RULES = (
    ("GET", "/v1/{parent=projects/*}/secrets", f"{SECRETS}/ListSecrets", ""),
    ("POST", "/v1/{parent=projects/*}/secrets", f"{SECRETS}/CreateSecret", "secret"),
    ("GET", f"/v1/{{name={_SECRET}}}", f"{SECRETS}/GetSecret", ""),
    ("PATCH", f"/v1/{{secret.name={_SECRET}}}", f"{SECRETS}/UpdateSecret", "secret"),
    ("DELETE", f"/v1/{{name={_SECRET}}}", f"{SECRETS}/DeleteSecret", ""),
    ("POST", f"/v1/{{parent={_SECRET}}}:addVersion", f"{SECRETS}/AddSecretVersion", "*"),
    ("GET", f"/v1/{{parent={_SECRET}}}/versions", f"{SECRETS}/ListSecretVersions", ""),
    ("GET", f"/v1/{{name={_VERSION}}}", f"{SECRETS}/GetSecretVersion", ""),
    ("GET", f"/v1/{{name={_VERSION}}}:access", f"{SECRETS}/AccessSecretVersion", ""),
    ("POST", f"/v1/{{name={_VERSION}}}:enable", f"{SECRETS}/EnableSecretVersion", "*"),
    ("POST", f"/v1/{{name={_VERSION}}}:disable", f"{SECRETS}/DisableSecretVersion", "*"),
    ("POST", f"/v1/{{name={_VERSION}}}:destroy", f"{SECRETS}/DestroySecretVersion", "*"),
    ("GET", f"/v1/{{resource={_SECRET}}}:getIamPolicy", f"{SECRETS}/GetIamPolicy", ""),
    ("POST", f"/v1/{{resource={_SECRET}}}:setIamPolicy", f"{SECRETS}/SetIamPolicy", "*"),
    ("POST", f"/v1/{{resource={_SECRET}}}:testIamPermissions", f"{SECRETS}/TestIamPermissions", "*"),
    ("GET", "/v1/{name=projects/*}/locations", f"{LOCATIONS}/ListLocations", ""),
    ("POST", "/v1/{resource=projects/*}:getIamPolicy", f"{PROJECTS}/GetIamPolicy", "*"),
    ("POST", "/v1/{resource=projects/*}:setIamPolicy", f"{PROJECTS}/SetIamPolicy", "*"),
    ("POST", "/v1/{resource=projects/*}:testIamPermissions", f"{PROJECTS}/TestIamPermissions", "*"),
    ("GET", "/v3/{name=projects/*}", f"{PROJECTS}/GetProject", ""),
    ("POST", "/v3/{resource=projects/*}:getIamPolicy", f"{PROJECTS}/GetIamPolicy", "*"),
    ("POST", "/v3/{resource=projects/*}:setIamPolicy", f"{PROJECTS}/SetIamPolicy", "*"),
    ("POST", "/v3/{resource=projects/*}:testIamPermissions", f"{PROJECTS}/TestIamPermissions", "*"),
    ("GET", f"/v2/{{parent={_REGION}}}/services", f"{RUN}.Services/ListServices", ""),
    ("POST", f"/v2/{{parent={_REGION}}}/services", f"{RUN}.Services/CreateService", "service"),
    ("GET", f"/v2/{{name={_REGION}/services/*}}", f"{RUN}.Services/GetService", ""),
    ("PATCH", f"/v2/{{service.name={_REGION}/services/*}}", f"{RUN}.Services/UpdateService", "service"),
    ("DELETE", f"/v2/{{name={_REGION}/services/*}}", f"{RUN}.Services/DeleteService", ""),
    ("GET", f"/v2/{{resource={_REGION}/services/*}}:getIamPolicy", f"{RUN}.Services/GetIamPolicy", ""),
    ("POST", f"/v2/{{resource={_REGION}/services/*}}:testIamPermissions", f"{RUN}.Services/TestIamPermissions", "*"),
    ("GET", f"/v2/{{parent={_REGION}/services/*}}/revisions", f"{RUN}.Revisions/ListRevisions", ""),
    ("GET", f"/v2/{{name={_REGION}/services/*/revisions/*}}", f"{RUN}.Revisions/GetRevision", ""),
    ("GET", f"/v2/{{parent={_REGION}}}/jobs", f"{RUN}.Jobs/ListJobs", ""),
    ("GET", f"/v2/{{name={_REGION}/jobs/*}}", f"{RUN}.Jobs/GetJob", ""),
    ("PATCH", f"/v2/{{job.name={_REGION}/jobs/*}}", f"{RUN}.Jobs/UpdateJob", "job"),
    ("GET", f"/v2/{{parent={_REGION}}}/workerPools", f"{RUN}.WorkerPools/ListWorkerPools", ""),
    ("GET", f"/v2/{{name={_REGION}/workerPools/*}}", f"{RUN}.WorkerPools/GetWorkerPool", ""),
    ("PATCH", f"/v2/{{worker_pool.name={_REGION}/workerPools/*}}", f"{RUN}.WorkerPools/UpdateWorkerPool", "worker_pool"),
    ("GET", f"/v2/{{name={_REGION}/operations/*}}", f"{OPERATIONS}/GetOperation", ""),
    ("POST", f"/v2/{{name={_REGION}/operations/*}}:wait", f"{OPERATIONS}/WaitOperation", "*"),
)  # fmt: skip


class Rule(Struct, frozen=True):
    """A rule with its path as a pattern; ``field`` is the request's field that the path's name goes to."""

    verb: str
    pattern: re.Pattern[str]
    field: str
    method: str
    body: str


def rules() -> tuple[Rule, ...]:
    """The table, compiled."""
    made = []
    for verb, path, method, body in RULES:
        before, field, name, after = re.fullmatch(r"(.*)\{(.*)=(.*)\}(.*)", path).groups()  # type: ignore[union-attr]
        pattern = re.compile(f"{before}({name.replace('*', '[^/:]+')}){after}")
        made.append(Rule(verb, pattern, field, method, body))
    return tuple(made)


class Rest:
    """Answers REST requests from the same calls as gRPC."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._rules = rules()

    def answer(self, verb: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """The HTTP status and the JSON; raises ``ResetError`` or ``HangError``."""
        parts = urlsplit(target)
        try:
            found = tokens.answer(self._calls, verb, parts.path, headers, body)
            return 200, json.dumps(self._json(verb, parts, headers, body) if found is None else found).encode()
        except MalformedError:
            return 200, b'{"name": '
        except RefusedError as refused:
            return error(refused)

    def _json(self, verb: str, parts: Any, headers: dict[str, str], body: bytes) -> Any:
        for rule in self._rules:
            match = rule.pattern.fullmatch(unquote(parts.path))
            if match and rule.verb == verb:
                break
        else:
            raise RefusedError("NOT_FOUND", f"The requested URL {parts.path} was not found on this server.")
        query = parse_qsl(parts.query, keep_blank_values=True)
        request = self._request(rule, match[1], query, body)
        message = self._calls.answer(rule.method, request, headers, "rest")
        numbers = ("$alt", "json;enum-encoding=int") in query
        return json_format.MessageToDict(message, use_integers_for_enums=numbers)

    def _request(self, rule: Rule, name: str, query: list[tuple[str, str]], body: bytes) -> Any:
        request = self._calls.methods[rule.method].request()
        data: dict[str, Any] = {}
        for key, value in query:
            if key not in SYSTEM and not key.startswith("$"):
                _put(data, key, value)
        try:
            json_format.ParseDict(data, request)
        except json_format.ParseError as problem:
            raise invalid(f"Invalid JSON payload received. {problem}: Cannot bind query parameter.") from problem
        if rule.body:
            sent = request if rule.body == "*" else getattr(request, rule.body)
            try:
                json_format.Parse(body or b"{}", sent)
            except json_format.ParseError as problem:
                raise invalid(f"Invalid JSON payload received. {problem}") from problem
        *owners, last = rule.field.split(".")
        owner = request
        for part in owners:
            owner = getattr(owner, part)
        setattr(owner, last, name)
        return request


def _put(data: dict[str, Any], key: str, value: str) -> None:
    """Set a query parameter: dots go into sub-messages, a repeated one makes a list."""
    *owners, last = key.split(".")
    for part in owners:
        data = data.setdefault(part, {})
    data[last] = value == "true" if last in FLAGS else value


def error(refused: RefusedError) -> tuple[int, bytes]:
    """A refusal as Google's JSON."""
    code = HTTP_CODES.get(refused.code, 500)
    made: dict[str, Any] = {"code": code, "message": refused.message, "status": refused.code}
    details = json_format.MessageToDict(refused.status()).get("details")
    if details:
        made["details"] = details
    return code, json.dumps({"error": made}).encode()


def http_server(rest: Rest, reset: Callable[[int], None], wait: Callable[[], Any]) -> ThreadingHTTPServer:
    """An HTTP/1.1 server on a free port; ``reset`` gets the caller's port, ``wait`` returns when the server stops."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        #: A header and a body in two segments would wait for each other (Nagle, delayed ACK).
        wbufsize = -1

        def respond(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                code, body = rest.answer(self.command, self.path, headers, self.rfile.read(length))
            except (ResetError, HangError) as fault:
                self.close_connection = True
                if isinstance(fault, ResetError):
                    reset(self.client_address[1])
                wait()
                return
            self.send_response(code)
            self.send_header("content-type", "application/json; charset=UTF-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = respond  # noqa: N815  (http.server looks for these names)

        def log_message(self, *args: Any) -> None:
            """Nothing: the journal has it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server
