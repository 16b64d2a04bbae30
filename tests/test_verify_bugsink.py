"""What verify receives is what a Sentry takes: the same envelopes, sent to a server that is none of ours, and read back.

Bugsink keeps errors only, and answers each envelope with a rate limit for transactions and spans. It is installed by
``make interop``, into an environment of its own; without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sentry_audit.auditing import Request
from sentry_audit.verifying import running
from sentry_audit.verifying.sink import Sink
from tests.verifying import QUICK, copied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.verifying.sink import Envelope

BIN = Path(__file__).parent.parent / ".venv-bugsink" / "bin"
pytestmark = pytest.mark.skipif(not (BIN / "bugsink-manage").exists(), reason="Bugsink is not installed: make interop")
_PATIENCE = 60.0


class Bugsink:
    """A server with one project."""

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"
        team = self._ask("POST", "teams/", {"name": "audit"})["id"]
        self.project = self._ask("POST", "projects/", {"team": team, "name": "proof"})["id"]
        dsn = self._ask("GET", f"projects/{self.project}/")["dsn"]
        self.key = dsn.partition("://")[2].partition("@")[0]
        self.dsn = dsn

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._session.request(method, f"{self.address}/api/canonical/0/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def send(self, envelope: Envelope) -> int:
        """Send an envelope on, as it came but for the DSN in it; gives the status."""
        first, _, rest = envelope.raw.partition(b"\n")
        head = json.dumps(json.loads(first) | {"dsn": self.dsn}).encode()
        answer = requests.post(
            f"{self.address}/api/{self.project}/envelope/",
            data=head + b"\n" + rest,
            headers={
                "X-Sentry-Auth": f"Sentry sentry_key={self.key}, sentry_version=7",
                "Content-Type": "application/x-sentry-envelope",
            },
            timeout=30,
        )
        return answer.status_code

    def events(self) -> list[dict[str, Any]]:
        """All events of the project, whole."""
        found = []
        for issue in self._all(f"issues/?project={self.project}"):
            for event in self._all(f"events/?issue={issue['id']}"):
                found.append(self._ask("GET", f"events/{event['id']}/")["data"])
        return found

    def _all(self, path: str) -> list[dict[str, Any]]:
        page = self._ask("GET", path)
        rows = list(page["results"])
        while page.get("next"):
            page = self._ask("GET", page["next"].partition("/api/canonical/0/")[2])
            rows += page["results"]
        return rows


@pytest.fixture(scope="module")
def bugsink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bugsink]:
    home = tmp_path_factory.mktemp("bugsink")
    with Sink() as free:
        port = free.port
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}

    def manage(*arguments: str) -> str:
        done = subprocess.run(
            [str(BIN / "bugsink-manage"), *arguments],
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    create = [str(BIN / "bugsink-create-conf"), "--template=local", "--host=127.0.0.1", f"--port={port}"]
    subprocess.run(create, cwd=home, env=environment, check=True, capture_output=True)
    manage("migrate")
    manage("migrate", "--database=snappea")
    server = subprocess.Popen(
        [str(BIN / "gunicorn"), *f"--bind 127.0.0.1:{port} --workers 1 --threads 4 --graceful-timeout 2".split(), "bugsink.wsgi"],
        cwd=home, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address)
        yield Bugsink(address, manage("create_auth_token").split()[-1])
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait(address: str) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            if requests.get(f"{address}/health/ready", timeout=2).ok:
                return
        except requests.RequestException:
            pass
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["fastapi", "flask", "django"])
def test_a_server_that_is_none_of_ours_takes_the_same_events(name: str, tmp_path: Path, bugsink: Bugsink) -> None:
    root = copied(name, tmp_path)
    wishes = running.Wishes(python=sys.executable)
    (subject,) = running.prepare(Request(root=root, environments=("staging",), proofs=True), wishes).subjects
    with Sink() as sink:
        running.observe(subject, root, sink, wishes, QUICK)
        carrying = [envelope for envelope in sink.envelopes if any(item.type == "event" for item in envelope.items)]
    assert carrying
    assert [bugsink.send(envelope) for envelope in carrying] == [200] * len(carrying)
    sent = {
        item.data["event_id"]: item.data for envelope in carrying for item in envelope.items if item.type == "event"
    }
    kept = {event["event_id"].replace("-", ""): event for event in bugsink.events()}
    assert sent.keys() <= kept.keys()
    for number, event in sent.items():
        assert kept[number]["environment"] == event["environment"] == "staging"
        assert kept[number]["release"] == event["release"]
        assert kept[number].get("tags") == event.get("tags")
        assert _types(kept[number]) == _types(event)


def _types(event: dict[str, Any]) -> list[str]:
    values = event.get("exception") or {}
    return [item["type"] for item in (values["values"] if isinstance(values, dict) else values)]


def test_a_key_that_is_none_of_its_is_refused(bugsink: Bugsink, tmp_path: Path) -> None:
    """Or the test above would say nothing."""
    first = json.dumps({"event_id": "0" * 32, "dsn": bugsink.dsn.replace(bugsink.key, "f" * 32)})
    answer = requests.post(
        f"{bugsink.address}/api/{bugsink.project}/envelope/",
        data=f'{first}\n{{"type": "event"}}\n{{}}\n',
        headers={"X-Sentry-Auth": f"Sentry sentry_key={'f' * 32}, sentry_version=7"},
        timeout=30,
    )
    assert answer.status_code in {401, 403}
