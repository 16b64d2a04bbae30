"""The receiver that an application is proven against: what it takes, and how it reads it."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
import zlib
from typing import TYPE_CHECKING

import pytest

from sentry_audit.verifying.sink import Sink, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

PAYLOAD = b'{"message":"one\\ntwo"}'
ENVELOPE = b'{"event_id":"e1"}\n{"type":"event","length":%d}\n%s\n{"type":"session"}\n{"sid":"1"}\n' % (
    len(PAYLOAD),
    PAYLOAD,
)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as receiver:
        yield receiver


def post(sink: Sink, body: bytes, path: str = "/api/1/envelope/", **headers: str) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=5)
    try:
        connection.request("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        answer.read()
        return answer.status, dict(answer.getheaders())
    finally:
        connection.close()


def deflated(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("identity", ENVELOPE),
        ("gzip", gzip.compress(ENVELOPE)),
        ("deflate", zlib.compress(ENVELOPE)),
        ("deflate", deflated(ENVELOPE)),
    ],
    ids=["plain", "gzip", "deflate", "raw-deflate"],
)
def test_every_encoding_gives_the_same_items(sink: Sink, encoding: str, body: bytes) -> None:
    assert post(sink, body, Content_Encoding=encoding, X_Sentry_Auth="Sentry sentry_key=abc, v=7")[0] == 200
    (envelope,) = sink.envelopes
    assert envelope.raw == ENVELOPE
    assert envelope.key == "abc"
    assert [item.type for item in envelope.items] == ["event", "session"]
    assert envelope.items[0].payload == PAYLOAD
    assert envelope.items[1].data == {"sid": "1"}


def test_a_chunked_body_is_put_together(sink: Sink) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=5)
    parts = iter([ENVELOPE[:7], ENVELOPE[7:]])
    connection.request(
        "POST", "/api/1/envelope/?sentry_key=k1", parts, encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
    )
    assert connection.getresponse().status == 200
    connection.close()
    assert sink.envelopes[0].raw == ENVELOPE
    assert sink.envelopes[0].key == "k1"


def test_the_older_address_takes_single_events(sink: Sink) -> None:
    assert post(sink, gzip.compress(PAYLOAD), "/api/7/store/", Content_Encoding="gzip")[0] == 200
    (item,) = sink.items("event")
    assert item.data == {"message": "one\ntwo"}
    assert sink.envelopes[0].project == "7"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"no json", ""), (b'{}\n{"type":"event","length":99}\n{}', ""), (b"x", "gzip"), (b"x", "br"), (b"[]\n", "")],
    ids=["text", "short", "no-gzip", "brotli", "list"],
)
def test_what_cannot_be_read_is_kept_and_refused(sink: Sink, body: bytes, encoding: str) -> None:
    assert post(sink, body, Content_Encoding=encoding)[0] == 400
    assert sink.envelopes[0].problem
    assert not sink.envelopes[0].items


def test_browsers_of_any_origin_may_send(sink: Sink) -> None:
    status, headers = post(sink, ENVELOPE, "/api/1/envelope/?sentry_key=k", Origin="http://localhost:3000")
    assert status == 200
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert post(sink, b"", "/elsewhere")[0] == 404


def test_the_dsn_in_an_envelope_gives_its_key(sink: Sink) -> None:
    head = json.dumps({"dsn": sink.dsn("tunnelled")}).encode()
    post(sink, head + b'\n{"type":"event"}\n{}')
    assert list(sink.items("event", key="tunnelled"))
    assert not list(sink.items("event", key="other"))


def test_waiting_ends_with_the_arrival(sink: Sink) -> None:
    sender = threading.Timer(0.05, post, (sink, ENVELOPE))
    sender.start()
    assert sink.wait(lambda: bool(sink.envelopes), 5)
    sender.join()
    assert not sink.wait(lambda: len(sink.envelopes) > 1, 0.05)


def test_an_item_without_a_length_ends_with_its_line() -> None:
    headers, items = parse(b'{}\n{"type":"a"}\n{"x":1}\n\n{"type":"b","length":0}\n\n')
    assert headers == {}
    assert [(item.type, item.payload) for item in items] == [("a", b'{"x":1}'), ("b", b"")]
