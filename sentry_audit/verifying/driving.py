"""Asks a booted application for errors, queries and questions, one connection each, and keeps what it answered."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import secrets
import socket
import struct
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from sentry_audit.model import Evidence
from sentry_audit.seen import Probe, Stop
from sentry_audit.wire import Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sentry_audit.seen import Expected
    from sentry_audit.verifying.booting import Process
    from sentry_audit.verifying.sink import Sink

PREFIX = "/__sentry_audit__/"
#: Own routes that make no error worth a look, by the word that they end in.
_LEFT_OUT = ("docs", "redoc", "openapi.json", "oauth2-redirect", "logout", "signout", "shutdown", "quit")
_MOST_ROUTES = 20
_MOST_SOCKETS = 5
#: The close code of a server that failed (RFC 6455, 7.4.1).
_INTERNAL_ERROR = 1011
_BURST = 10
_LATENCY = 0.07


def canaries() -> dict[str, str]:
    """What no event may contain, made up for this run: each is found again in any form of writing."""
    word = secrets.token_hex
    return {
        "password": f"pw{word(8)}", "nested password": f"np{word(8)}", "e-mail": f"em{word(8)}",
        "phone": f"49{secrets.randbelow(10**12):012}",
        "token in the query": f"tk{word(8)}", "Authorization": f"au{word(8)}", "X-Api-Key": f"ak{word(8)}",
        "session cookie": f"sc{word(8)}", "cookie": f"ck{word(8)}", "prompt": f"pr{word(8)}",
    }  # fmt: skip


class Driver:
    """Asks one ``process`` that listens on ``port``; ``headers`` are the user's own, sent with each request."""

    def __init__(
        self, process: Process, port: int, sink: Sink, key: str, headers: Sequence[tuple[str, str]], root: str
    ) -> None:
        self.process = process
        self.host, self.port = "127.0.0.1", port
        self.sink = sink
        self.key = key
        self.headers = tuple(headers)
        self.root = root
        self.request_id = f"rq-{secrets.token_hex(8)}"
        self.canaries = canaries()
        self.probes: list[Probe] = []
        self.about: dict[str, Any] = {}
        self.closed = ""

    # --- one request --------------------------------------------------------------------------------

    def request(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 15,
    ) -> tuple[int, bytes]:
        """(status, body); status 0 where there was no answer. Raises OSError where nothing listens."""
        status, answer, _ = self._exchange(path, method, body, headers or {}, timeout)
        return status, answer

    def location(self, path: str, timeout: float = 4) -> str:
        """Where a GET of ``path`` is redirected to, ``""`` if it is not. Raises OSError where nothing listens."""
        status, _, place = self._exchange(path, "GET", None, {}, timeout)
        return place if 300 <= status < 400 else ""

    def _exchange(
        self, path: str, method: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> tuple[int, bytes, str]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            sent = {"X-Request-ID": self.request_id, "Connection": "close", **dict(self.headers), **headers}
            connection.request(method, path, body, sent)
            try:
                answer = connection.getresponse()
                return answer.status, answer.read(), answer.headers.get("Location") or ""
            except (http.client.HTTPException, ConnectionError, TimeoutError):
                return 0, b"", ""
        finally:
            connection.close()

    def is_up(self) -> bool:
        """Whether it answers at all; what it says about itself is kept."""
        try:
            status, body = self.request(PREFIX + "about", timeout=5)
        except OSError:
            return False
        if status == 200:
            with contextlib.suppress(ValueError):
                found = json.loads(body)
                self.about = found if isinstance(found, dict) and "framework" in found else {}
        if not self.about:
            refused = f"the application answered {status} to the routes of verify"
            self.closed = refused if status != 404 else "verify has no routes for its framework"
        return status != 0

    def probe(
        self,
        name: str,
        path: str,
        what: str,
        *,
        how: str = "harness",
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        evidence: tuple[Evidence, ...] = (),
        timeout: float = 15,
        method: str = "",
    ) -> Probe:
        """Ask for ``path`` (``{id}`` is the probe's number, there and in ``headers``), as part of a trace of its own, and remember it."""
        number, trace, span = secrets.token_hex(8), secrets.token_hex(16), secrets.token_hex(8)
        address = path.replace("{id}", number) + (f"?{urlencode(query)}" if query else "")
        own = {name: value.replace("{id}", number) for name, value in (headers or {}).items()}
        sent = {**_trace_headers(trace, span), **own}
        data = json.dumps(body).encode() if body is not None else None
        if data is not None:
            sent["Content-Type"] = "application/json"
        self.process.fresh()
        trouble, status, answer = "", 0, b""
        try:
            status, answer = self.request(
                address, method or ("POST" if data is not None else "GET"), data, sent, timeout
            )
        except OSError as error:
            trouble = f"it no longer listens ({error.strerror or type(error).__name__})"
        found = Probe(
            name=name, id=number, trace=trace, span=span, status=status, how=how, what=what, trouble=trouble,
            detail=answer[:200].decode("utf-8", "replace"), records=tuple(self.process.fresh()), evidence=evidence,
        )  # fmt: skip
        self.probes.append(found)
        return found

    # --- everything ---------------------------------------------------------------------------------

    def drive(self, expected: Expected) -> None:
        """All that the application can be asked for, until what it sent has arrived."""
        if self.about:
            self._errors()
            self._others(expected)
        self._own_routes()
        self.settle()

    def _errors(self) -> None:
        self.probe("error", PREFIX + "boom/{id}", "an error that nothing expects")
        for index, item in enumerate(self.about.get("handlers", ())):
            what = f"{item['exception']}, which {item['function']} turns into an answer"
            path = self.relative(item["file"])
            places = (Evidence(path, item["line"], None, None, f"handles {item['exception']}"),) if path else ()
            self.probe("handled", f"{PREFIX}handled/{index}/{{id}}", what, evidence=places)
        if self.about.get("http"):
            self.probe("http", PREFIX + "http/{id}", "an error that is raised as a status of 500")

    def _others(self, expected: Expected) -> None:
        if self.about.get("background"):
            self.probe("background", PREFIX + "bg/{id}", "an error in a background task")
        if self.about.get("sockets"):
            self._websockets()
        for library in expected.databases:
            self.probe("database", f"{PREFIX}db/{library}/{{id}}", f"a query through {library}")
        prompt = {"prompt": self.canaries["prompt"]}
        for library in expected.models:
            self.probe("llm", f"{PREFIX}llm/{library}/{{id}}", f"a question to a model through {library}", body=prompt)
        self._leak()

    def _leak(self) -> None:
        known = self.canaries
        address = f"{known['e-mail']}@mail.example"
        body = {
            "password": known["password"],
            "email": address,
            "phone": f"+{known['phone']}",
            "account": {"password": known["nested password"]},
        }
        headers = {
            "Authorization": f"Bearer {known['Authorization']}",
            "X-Api-Key": known["X-Api-Key"],
            "Cookie": f"sessionid={known['session cookie']}; basket={known['cookie']}",
        }
        mine = {name.lower() for name, _ in self.headers}
        headers = {name: value for name, value in headers.items() if name.lower() not in mine}
        query = {"token": known["token in the query"], "contact": address}
        self.probe(
            "leak", PREFIX + "leak/{id}", "an error in a form that was sent", query=query, body=body, headers=headers
        )

    def _own_routes(self) -> None:
        """Routes of the application's own that answer a GET: those with a status of 5xx are proofs."""
        end = time.monotonic() + 5
        for path in list(self.about.get("routes", ()))[:_MOST_ROUTES]:
            if path.rstrip("/").rsplit("/", 1)[-1] in _LEFT_OUT or time.monotonic() > end:
                continue
            address = quote(_filled(path), safe="/%")
            found = self.probe("own", address, f"GET {path}", how="route", timeout=2)
            if found.status < 500:
                self.probes.pop()

    def relative(self, path: str) -> str:
        """``path`` below the root, ``""`` where it is outside."""
        inside = os.path.relpath(os.path.realpath(path), self.root) if path else ".."
        return "" if inside.startswith("..") else inside.replace(os.sep, "/")

    # --- a WebSocket (RFC 6455), as far as one message needs it ----------------------------------------

    def _websockets(self) -> None:
        """One of the harness, in which an error is raised, and those of its own that end with 1011 at a word they do not know."""
        self._websocket(PREFIX + "ws", "an error in a WebSocket", how="harness")
        end = time.monotonic() + 5
        for path in list(self.about.get("sockets", ()))[:_MOST_SOCKETS]:
            if time.monotonic() < end:
                self._websocket(
                    _filled(path), f"a message to the WebSocket {path}, which closed it with 1011", how="route"
                )

    def _websocket(self, path: str, what: str, *, how: str) -> None:
        number, trace, span = secrets.token_hex(8), secrets.token_hex(16), secrets.token_hex(8)
        self.process.fresh()
        trouble, status, code = "", 0, 0
        try:
            status, code = _talk(self.port, path, number, {**_trace_headers(trace, span), **dict(self.headers)})
            if status != 101:
                trouble = f"the handshake was answered with {status}; its server may have no WebSocket library"
        except OSError as error:
            trouble = f"no answer ({error.strerror or type(error).__name__})"
        if how == "route" and (trouble or code != _INTERNAL_ERROR):
            return
        self.probes.append(
            Probe(
                name="websocket",
                id=number,
                trace=trace,
                span=span,
                what=what,
                how=how,
                trouble=trouble,
                records=tuple(self.process.fresh()),
            )
        )

    # --- what arrived ------------------------------------------------------------------------------------

    def settle(self, timeout: float = 2.0) -> None:
        """Have it send what it holds, and wait for what is still on its way."""
        if self.about:
            with contextlib.suppress(OSError):
                self.request(PREFIX + "flush/now", timeout=8)
        wanted = [item for item in self.probes if not item.trouble and item.name not in {"database", "llm"}]
        wanted = [item for item in wanted if item.status == 0 or item.status >= 500 or item.name == "background"]

        def arrived() -> bool:
            texts = [item.text for item in self.sent() if item.type == "event"]
            return all(any(probe.id in text or probe.trace in text for text in texts) for probe in wanted)

        self.sink.wait(arrived, 1.0 if self.about else timeout)  # at once, if nothing is missing
        self.process.fresh()

    def sent(self) -> tuple[Sent, ...]:
        """The items that arrived from this component."""
        return tuple(
            Sent(item.type, item.data if item.data is not None else {}, item.payload.decode("utf-8", "replace"))
            for item in self.sink.items(key=self.key)
        )

    # --- the end -----------------------------------------------------------------------------------------

    def stop(self, fire: Callable[[str], bool]) -> Stop:
        """Queue errors (``fire`` raises one), send SIGTERM at once, and count what arrives; Sentry is not next door."""
        self.process.fresh()
        self.sink.delay = _LATENCY
        numbers = [secrets.token_hex(8) for _ in range(_BURST)]
        fired = []
        for number in numbers:
            with contextlib.suppress(OSError):
                if fire(number):
                    fired.append(number)
        code = self.process.terminate()
        self.sink.delay = 0.0
        raised = [item for item in self.process.fresh() if item.get("kind") == "captured" and item.get("sent")]
        raised_count = min(len(fired), len(raised))

        def arrived() -> int:
            texts = [item.text for item in self.sent() if item.type == "event"]
            return sum(any(number in text for text in texts) for number in fired)

        self.sink.wait(lambda: arrived() >= raised_count, 0.2)
        return Stop(raised=raised_count, arrived=min(arrived(), raised_count), code=code, killed=self.process.killed)

    def boom(self, number: str) -> bool:
        """Raise one error over HTTP; whether it came to that."""
        trace = {"sentry-trace": f"{secrets.token_hex(16)}-{secrets.token_hex(8)}-0"}  # errors alone fill the queue
        status, _ = self.request(f"{PREFIX}boom/{number}", headers=trace, timeout=5)
        return status == 0 or status >= 500


def _trace_headers(trace: str, span: str) -> dict[str, str]:
    baggage = f"sentry-trace_id={trace},sentry-sampled=true,sentry-sample_rand=0.000001,sentry-sample_rate=1"
    return {"sentry-trace": f"{trace}-{span}-1", "baggage": baggage}


def _filled(path: str) -> str:
    """``/orders/{number}`` → ``/orders/1``, also Flask's and Django's ``<int:number>``."""
    import re

    return re.sub(r"\{[^}]*\}|<[^>]*>", "1", path)


def _talk(port: int, path: str, text: str, headers: Mapping[str, str]) -> tuple[int, int]:
    """Open a WebSocket, say ``text``, and wait a second for its end: (status of the handshake, close code or 0)."""
    key = base64.b64encode(os.urandom(16)).decode()
    own = [f"{name}: {value}" for name, value in headers.items()]
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *own]  # fmt: skip
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = b""
        while b"\r\n\r\n" not in answer and (part := connection.recv(4096)):
            answer += part
        words = answer.split(b" ", 2)
        status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        if status != 101:
            return status, 0
        mask, data = os.urandom(4), text.encode()
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        connection.sendall(struct.pack("!BB", 0x81, 0x80 | len(data)) + mask + masked)
        connection.settimeout(1)
        frames = answer.partition(b"\r\n\r\n")[2]
        with contextlib.suppress(OSError):
            while not _close_code(frames) and (part := connection.recv(4096)):
                frames += part
        return status, _close_code(frames)


def _close_code(frames: bytes) -> int:
    """The code of the close frame among ``frames``, 0 if there is none yet; a server does not mask."""
    while len(frames) >= 2:
        operation, length, start = frames[0] & 0x0F, frames[1] & 0x7F, 2
        if length == 126:
            length, start = int.from_bytes(frames[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(frames[2:10], "big"), 10
        if operation == 8:
            return int.from_bytes(frames[start : start + 2], "big") if length >= 2 else 1005
        frames = frames[start + length :]
    return 0
