"""The server of a built Next.js application: started with the hook of verify, asked for errors, ended as Cloud Run ends it."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shlex
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from sentry_audit.served import Served
from sentry_audit.verifying.booting import Process, free_port
from sentry_audit.verifying.driving import Driver
from sentry_audit.verifying.nextjs import HOST
from sentry_audit.verifying.variables import process_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from types import TracebackType

    from sentry_audit.seen import Probe, Stop
    from sentry_audit.verifying.nextjs import Build, Route
    from sentry_audit.verifying.running import Wishes
    from sentry_audit.verifying.sink import Sink
    from sentry_audit.verifying.variables import Variables

HOOK = Path(__file__).parent / "_node" / "watch.cjs"
_FAIL = "X-Sentry-Audit-Fail"
_MOST_ROUTES = 20
_MOST_TRIES = 4
_MOST_REDIRECTS = 3
#: What may end something: it is not asked for.
_LEAVES = re.compile(r"/(log-?out|sign-?out|delete|unsubscribe|shutdown|revalidate)\b", re.IGNORECASE)
_REMEDY = "install Node.js, and what the application needs: npm ci"


class Server:
    """``with Server(…) as server:`` starts it; ``failure`` says why it did not, ``address`` where it is."""

    def __init__(self, build: Build, variables: Variables, sink: Sink, wishes: Wishes) -> None:
        self.build, self.variables, self.sink, self.wishes = build, variables, sink, wishes
        self.port = free_port()
        self.address = f"http://{HOST}:{self.port}"
        self.failure, self.remedy = "", ""
        self._secret = secrets.token_hex(8)
        self._process: Process | None = None
        self._driver: Driver | None = None
        self._stop: Stop | None = None
        self._client: dict[str, Any] = {}
        self._places: dict[str, str] = {}
        self._records: list[dict[str, Any]] = []

    def __enter__(self) -> Server:
        self._folder = tempfile.TemporaryDirectory(prefix="sentry-audit-")
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
        self._folder.cleanup()

    def _start(self) -> None:
        words = argv(self.build, self.wishes.command, self.port)
        if not words:
            self.failure, self.remedy = self.build.unknown, _REMEDY
            return
        records = Path(self._folder.name) / "records.jsonl"
        records.touch()
        config = json.dumps({"records": str(records), "port": self.sink.port, "key": self._secret})
        options = f"--require {json.dumps(str(HOOK))}"
        passed = {
            "NODE_ENV": "production", "NEXT_TELEMETRY_DISABLED": "1", **self.variables.values, "HOSTNAME": HOST,
            "NODE_OPTIONS": f"{self.variables.values.get('NODE_OPTIONS', '')} {options}".strip(),
        }  # fmt: skip
        environment = process_environment(passed, config, self.port)
        try:
            self._process = Process(words, self.build.folder, environment, records)
        except OSError as error:
            self.failure, self.remedy = f"{words[0]} cannot be started: {error.strerror}", _REMEDY
            return
        self._driver = Driver(self._process, self.port, self.sink, "", self.wishes.headers, str(self.build.folder))
        self._driver.host = HOST
        self.failure = self._process.wait(lambda: bool(self._state()), self.wishes.timeout)

    def _state(self) -> dict[str, Any]:
        """What the SDK in it says of itself; ``{}`` where it does not answer."""
        assert self._driver is not None
        with contextlib.suppress(OSError, ValueError):
            status, body = self._driver.request(f"/__sentry_audit__/{self._secret}", timeout=5)
            return dict(json.loads(body)) if status == 200 else {}
        return {}

    def page(self) -> str:
        """The address of a page that it answers with HTML; else its first, whatever that answers."""
        assert self._driver is not None
        base = self.build.base
        pages = sorted({item.address for item in self.build.routes if item.kind in {"page", "pages"}}, key=len)
        for path in ["/", *pages][:_MOST_ROUTES]:
            with contextlib.suppress(OSError):
                status, body = self._driver.request(f"{base}{path}")
                if status == 200 and b"<html" in body:
                    return f"{self.address}{base}{path}"
        return f"{self.address}{base}/"

    def drive(self, names: Collection[str]) -> None:
        """Ask for errors, as far as the proofs ``names`` need, and end it."""
        if self.failure or not self.build.routes:
            return
        driver = self._driver
        assert driver is not None
        failing = [
            route for of_kind in targets(self.build.routes) if (route := self._first(driver, of_kind)) is not None
        ]
        self._own(driver)
        driver.settle()
        self._client = self._state()
        if "shutdown" in names and failing:
            self._stop = driver.stop(self._fire(driver, failing[0]))

    def _first(self, driver: Driver, routes: Sequence[Route]) -> Route | None:
        """The first of ``routes`` in which an error can be raised; where it comes to none, the last try is kept."""
        for route in routes[:_MOST_TRIES]:
            probe = self._fail(driver, route)
            if probe.status == 405:  # it answers no GET; to be asked for its methods is what each route answers
                driver.probes.remove(probe)
                probe = self._fail(driver, route, "OPTIONS")
            if any(item.get("kind") == "raised" for item in probe.records):
                return route
            if route is not routes[:_MOST_TRIES][-1]:
                driver.probes.remove(probe)
        return None

    def _settled(self, driver: Driver, path: str) -> str:
        """Where ``path`` leads on this server, as in sites whose first language has no name in its addresses."""
        first = path
        for _ in range(_MOST_REDIRECTS if first not in self._places else 0):
            found = urlsplit(urljoin(f"{self.address}{path}", driver.location(path)))
            if found.netloc != urlsplit(self.address).netloc or found.path == path:
                break
            path = found.path
        return self._places.setdefault(first, path)

    def _fail(self, driver: Driver, route: Route, method: str = "GET") -> Probe:
        known = driver.canaries
        mine = {name.lower() for name, _ in driver.headers}
        headers = {
            "Authorization": f"Bearer {known['Authorization']}", "X-Api-Key": known["X-Api-Key"],
            "Cookie": f"sessionid={known['session cookie']}; basket={known['cookie']}",
        }  # fmt: skip
        headers = {name: value for name, value in headers.items() if name.lower() not in mine}
        what = f"an error in {'the page' if route.kind in {'page', 'pages'} else 'the route'} {route.path}"
        return driver.probe(
            "error", self._settled(driver, f"{self.build.base}{route.address}"), what, query={"token": known["token in the query"]},
            headers={**headers, _FAIL: "sentry-audit {id}"}, method=method,
        )  # fmt: skip

    def _fire(self, driver: Driver, route: Route) -> Callable[[str], bool]:
        address = self._settled(driver, f"{self.build.base}{route.address}")

        def fire(number: str) -> bool:
            headers = {_FAIL: f"sentry-audit {number}"}
            return driver.request(address, headers=headers, timeout=5)[0] >= 500

        return fire

    def _own(self, driver: Driver) -> None:
        """Its own pages and routes by GET: those that answer 5xx are proofs."""
        end = time.monotonic() + 8
        asked = [item for item in self.build.routes if item.rendered and not _LEAVES.search(item.path)]
        for route in asked[:_MOST_ROUTES]:
            if time.monotonic() > end:
                return
            address = self._settled(driver, f"{self.build.base}{route.address}")
            found = driver.probe("own", address, f"GET {route.path}", how="route", timeout=4)
            if found.status < 500:
                driver.probes.pop()

    def seen(self) -> Served:
        """All that was seen of it."""
        process, driver = self._process, self._driver
        if process is not None:
            process.fresh()
        rendered = self.build.renders
        if driver is None or process is None:
            return Served(failure=self.failure, remedy=self.remedy, rendered=rendered)
        return Served(
            failure=self.failure, output=process.output, client=self._client, records=tuple(process.known),
            probes=tuple(driver.probes), sent=driver.sent(), stop=self._stop, rendered=rendered, major=self.build.major, dsn=self._dsn(),
            canaries={name: driver.canaries[name] for name in _TOLD}, given=self.variables.notes, complete=self.variables.complete,
        )  # fmt: skip

    def _dsn(self) -> str:
        """Which variables init's DSN was to come from, where none of them is passed."""
        names = [name for option, name in self.build.reads if option == "dsn"]
        missing = [name for name in names if not self.variables.values.get(name)]
        return f"nothing passes {' or '.join(missing)}" if names and missing == names else ""


_TOLD = ("Authorization", "X-Api-Key", "session cookie", "cookie", "token in the query")


def argv(build: Build, command: str, port: int | str) -> tuple[str, ...]:
    """What is executed to serve ``build`` on ``port``; ``command`` is the user's own."""
    words: Sequence[str] = shlex.split(command) if command else build.argv
    return tuple(word.replace("{port}", str(port)) for word in words)


def targets(routes: Sequence[Route]) -> list[list[Route]]:
    """The pages and routes in which an error can be raised, by kind: what is rendered at each request, parameters last."""
    found: dict[str, list[Route]] = {}
    for route in sorted(routes, key=lambda item: "[" in item.path):
        if route.rendered and route.kind != "api":
            found.setdefault(route.kind, []).append(route)
    return list(found.values())
