"""The server itself: a thread on 127.0.0.1, with or without TLS, that can be told to misbehave."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from . import operations

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from .state import State


@dataclass
class Fault:
    """What goes wrong with the next ``times`` questions whose path has ``where`` in it."""

    where: str
    times: int
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    slow: float = 0.0
    drip: bool = False


@dataclass
class Call:
    """A question as it came in."""

    path: str
    query: dict[str, list[str]]
    token: str
    at: float


class SentryServer:
    """``with SentryServer(state) as server:`` serves ``state`` at ``server.url``, below the path ``prefix``."""

    def __init__(self, state: State, *, tls: ssl.SSLContext | None = None, prefix: str = "") -> None:
        self.state, self.prefix, self._tls = state, prefix, tls
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.endless = False
        self._stopping = threading.Event()

    @property
    def port(self) -> int:
        """The port."""
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}{self.prefix}"

    def fault(self, where: str, times: int = 1, **what: Any) -> None:
        """Misbehave as told."""
        self.faults.append(Fault(where, times, **what))

    def asked(self, where: str) -> list[Call]:
        """The questions whose path has ``where`` in it."""
        return [call for call in self.calls if where in call.path]

    def __enter__(self) -> Self:
        self._http = _Threads(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        if self._tls is not None:
            self._http.socket = self._tls.wrap_socket(
                self._http.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._http.serve_forever, args=(0.02,), name="sentry-server", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()

    def pause(self, seconds: float) -> None:
        """Wait, unless the server is to stop."""
        self._stopping.wait(seconds)

    @property
    def stopping(self) -> bool:
        """Whether it is."""
        return self._stopping.is_set()


class _Threads(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of those who hang up, as they do over a certificate."""


class _Handler(BaseHTTPRequestHandler):
    owner: SentryServer
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # headers and body in one packet

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer one question."""
        try:
            self._answer()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.owner.calls.append(Call(parts.path, query, token, time.monotonic()))
        fault = next((item for item in self.owner.faults if item.where in parts.path and item.times), None)
        if fault is not None:
            fault.times -= 1
            if self._misbehave(fault):
                return
        status, body, headers = self._usual(parts.path, query, token)
        self._send(status, json.dumps(body).encode(), headers)

    def _misbehave(self, fault: Fault) -> bool:
        if fault.slow:
            self.owner.pause(fault.slow)
        if fault.drip:
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            while not self.owner.stopping:
                self.wfile.write(b" ")
                self.wfile.flush()
                self.owner.pause(0.05)
            return True
        if fault.status != 200 or fault.body is not None:
            body = fault.body if fault.body is not None else b'{"detail": "It went wrong."}'
            self._send(fault.status, body, fault.headers)
            return True
        return False

    def _usual(self, path: str, query: dict[str, list[str]], token: str) -> tuple[int, Any, dict[str, str]]:
        start = f"{self.owner.prefix}/api/0"
        hit = operations.find(path.removeprefix(start)) if path.startswith(start) else None
        if hit is None:
            return 404, {"detail": "The requested resource does not exist"}, {}
        scopes = self.owner.state.tokens.get(token)
        if scopes is None:
            return 401, {"detail": "Invalid token"}, {}
        operation, names = hit
        if not scopes & operation.scopes:
            return 403, {"detail": "You do not have permission to perform this action."}, {}
        try:
            body = operation.answer(self.owner.state, [unquote(name) for name in names], query)
        except operations.NoSuchError:
            return 404, {"detail": "The requested resource does not exist"}, {}
        except operations.BadError:
            return 400, {"detail": "Invalid query."}, {}
        return self._paged(body, query) if operation.lists else (200, body, {})

    def _paged(self, body: list[Any], query: dict[str, list[str]]) -> tuple[int, Any, dict[str, str]]:
        """docs.sentry.io/api/pagination/: both links are always there, ``results`` says whether they lead to anything."""
        size = self.owner.state.page
        start = int(query.get("cursor", ["0:0:0"])[0].split(":")[1]) if not self.owner.endless else 0
        more = "true" if self.owner.endless or start + size < len(body) else "false"
        number = len(self.owner.calls) if self.owner.endless else start + size
        address = "https://elsewhere.example.com/api/0/next/"
        link = (
            f'<{address}?cursor=0:0:1>; rel="previous"; results="false"; cursor="0:0:1", '
            f'<{address}?cursor=0:{number}:0>; rel="next"; results="{more}"; cursor="0:{number}:0"'
        )
        return 200, body[start : start + size], {"Link": link}

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
