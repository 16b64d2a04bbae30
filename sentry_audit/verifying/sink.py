"""A Sentry on this machine: takes envelopes on a loopback port and keeps them, as they came and read.

It speaks the ingest protocol as far as SDKs use it: ``/api/<project>/envelope/`` (gzip, deflate, chunked, items with and
without ``length``), the older ``/store/`` of single events, and CORS for browsers. Format: https://develop.sentry.dev/sdk/foundations/transport/envelopes/.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

_PATH = re.compile(r"^(?P<prefix>.*)/api/(?P<project>[^/]+)/(?P<endpoint>envelope|store)/?$")
_KEY = re.compile(r"sentry_key=([^,\s]+)")
_CORS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "POST, OPTIONS"),
    ("Access-Control-Allow-Headers", "*"),
    ("Access-Control-Max-Age", "600"),
)


class Item(Struct, frozen=True):
    """One item of an envelope: its ``type``, its headers, its ``payload`` as it came, and ``data`` if that is JSON."""

    type: str
    headers: dict[str, Any]
    payload: bytes
    data: Any = None


class Envelope(Struct, frozen=True):
    """What one request brought.

    ``key`` is the public key that it was sent with (the header's, the query's, or the DSN's in the envelope), ``project``
    that of the address; ``raw`` is the body after decompression, ``headers`` the envelope's, ``http`` the request's in
    lower case. ``received`` is seconds on the monotonic clock. ``problem`` says why it could not be read, ``""`` if it was.
    """

    key: str
    project: str
    raw: bytes
    received: float
    headers: dict[str, Any] = field(default_factory=dict)
    items: tuple[Item, ...] = ()
    http: dict[str, str] = field(default_factory=dict)
    problem: str = ""


def parse(raw: bytes) -> tuple[dict[str, Any], tuple[Item, ...]]:
    """The headers and the items of the envelope ``raw``. Raises ValueError where it is none."""
    first, _, rest = raw.partition(b"\n")
    headers = _object(first)
    items: list[Item] = []
    while rest:
        line, _, rest = rest.partition(b"\n")
        if not line.strip():
            continue
        head = _object(line)
        length = head.get("length")
        if isinstance(length, int):
            payload, rest = rest[:length], rest[length:]
            if len(payload) < length:
                raise ValueError(f"an item of {length} bytes ends after {len(payload)}")
            rest = rest.removeprefix(b"\n")
        else:
            payload, _, rest = rest.partition(b"\n")
        items.append(Item(str(head.get("type", "")), head, payload, _json(payload)))
    return headers, tuple(items)


def _object(line: bytes) -> dict[str, Any]:
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError("a header is no JSON object")  # noqa: TRY004 - of the text, not of an argument
    return value


def _json(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return None


class Sink:
    """The receiver. ``with Sink() as sink:`` starts it on a free port, and ends it.

    ``delay`` is how long each answer takes, in seconds: Sentry is not next door. ``envelopes`` are those that came, in order.
    """

    def __init__(self, *, delay: float = 0.0, port: int = 0) -> None:
        self.delay = delay
        self.envelopes: list[Envelope] = []
        self._arrived = threading.Condition()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.sink = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sink", daemon=True)

    def __enter__(self) -> Sink:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take no more, and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def dsn(self, key: str, project: int = 1) -> str:
        """The DSN that leads here, with the public ``key`` of the sender's own."""
        return f"http://{key}@127.0.0.1:{self.port}/{project}"

    def take(self, envelope: Envelope) -> None:
        """Keep ``envelope``, and wake those who wait."""
        with self._arrived:
            self.envelopes.append(envelope)
            self._arrived.notify_all()

    def items(self, *types: str, key: str = "") -> Iterator[Item]:
        """The items of these types (all, without any) that were sent with ``key`` (any, without one), in order."""
        with self._arrived:
            known = tuple(self.envelopes)
        for envelope in known:
            if not key or envelope.key == key:
                yield from (item for item in envelope.items if not types or item.type in types)

    def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Whether ``condition`` came true within ``timeout`` seconds; it is asked again at each arrival."""
        end = time.monotonic() + timeout
        with self._arrived:
            while not condition():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._arrived.wait(left)
        return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    sink: Sink

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a sender that is killed breaks its connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library calls it by
        """Say nothing."""

    def do_OPTIONS(self) -> None:
        """Let browsers of any origin send."""
        self._answer(204, b"")

    def do_GET(self) -> None:
        """Tell that it is up."""
        self._answer(200, b"{}")

    def do_POST(self) -> None:
        """Take an envelope, or an event of the older kind."""
        try:
            body = self._body()
        except (ValueError, OSError):
            self.close_connection = True
            return
        address = urlsplit(self.path)
        found = _PATH.match(address.path)
        if found is None:
            self._answer(404, b'{"detail":"no such address"}')
            return
        http = {name.lower(): value for name, value in self.headers.items()}
        envelope = _read(body, found["project"], found["endpoint"], http, parse_qs(address.query))
        self.server.sink.take(envelope)
        if self.server.sink.delay:
            time.sleep(self.server.sink.delay)
        if envelope.problem:
            self._answer(400, json.dumps({"detail": envelope.problem}).encode())
        else:
            self._answer(200, json.dumps({"id": envelope.headers.get("event_id", "")}).encode())

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        for name, value in _CORS:
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _read(body: bytes, project: str, endpoint: str, http: dict[str, str], query: dict[str, list[str]]) -> Envelope:
    received = time.monotonic()
    key = next(iter(query.get("sentry_key", ())), "")
    if found := _KEY.search(http.get("x-sentry-auth", "")):
        key = found[1]
    try:
        raw = _plain(body, http.get("content-encoding", "").lower())
        if endpoint == "store":
            event = _object(raw)
            return Envelope(key, project, raw, received, {}, (Item("event", {}, raw, event),), http)
        headers, items = parse(raw)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        return Envelope(key, project, body, received, http=http, problem=str(error) or type(error).__name__)
    if not key and isinstance(dsn := headers.get("dsn"), str):
        key = urlsplit(dsn).username or ""
    return Envelope(key, project, raw, received, headers, items, http)


def _plain(body: bytes, encoding: str) -> bytes:
    if encoding in {"", "identity"}:
        return body
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "deflate":
        try:
            return zlib.decompress(body)
        except zlib.error:
            return zlib.decompress(body, -zlib.MAX_WBITS)
    raise ValueError(f"the content encoding {encoding} is not understood here")
