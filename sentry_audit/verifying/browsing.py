"""A built page, opened in a headless Chromium that reaches nothing outside this machine, and made to fail.

What the SDK sends is taken from the browser itself, whatever host it goes to: no address of a real Sentry gets a byte.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from sentry_audit.browsed import OWN, Browsed, Call
from sentry_audit.verifying.sink import parse
from sentry_audit.wire import Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_REMEDY = "pip install 'sentry-audit[browser]', and a Chromium: apt-get install chromium"
_QUIET = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*", "Access-Control-Allow-Methods": "*"}
_STATIC = "/_next/static/"
#: Seconds that an SDK gets to start, and an event to arrive.
_START, _ARRIVAL = 5.0, 4.0

#: Each init gives its client to the current scope of the carrier (@sentry/core sdk.ts, setCurrentClient).
_WATCH = """
(() => {
  const told = window.__sentryAudit = {violations: [], inits: []};
  document.addEventListener('securitypolicyviolation', (event) =>
    told.violations.push(`${event.effectiveDirective} ${event.blockedURI.split('?')[0]}`));
  const known = new WeakSet();
  const watch = (scope) => {
    if (!scope || typeof scope.setClient !== 'function' || known.has(scope)) return;
    known.add(scope);
    const own = scope.setClient;
    scope.setClient = function (client) {
      if (client) told.inits.push(!!(client.getDsn && client.getDsn()));
      return own.apply(this, arguments);
    };
  };
  let carrier;
  Object.defineProperty(globalThis, '__SENTRY__', {configurable: true, enumerable: true,
    get() {
      const own = carrier && carrier[carrier.version];
      if (own) { watch(own.defaultCurrentScope); try { watch(own.stack.getScope()); } catch { /* not made yet */ } }
      return carrier;
    },
    set(value) { carrier = value; }});
})();
"""
#: The SDK keeps its client in a carrier: by version since 8 (@sentry/core carrier.ts), in a hub before.
_CLIENT = """() => {
  const carrier = globalThis.__SENTRY__;
  if (!carrier) return {sdk: false};
  const own = carrier[carrier.version] || carrier;
  const ways = [() => own.stack.getStackTop().scope.getClient(), () => own.stack.getScope().getClient(),
    () => own.defaultCurrentScope.getClient(), () => own.hub.getClient(), () => carrier.hub.getClient()];
  let client;
  for (const way of ways) { try { client = client || way(); } catch { /* another version */ } }
  if (!client) return {sdk: true, client: false};
  const options = client.getOptions();
  const sdk = (options._metadata && options._metadata.sdk) || {};
  const transport = client.getTransport && client.getTransport();
  return {sdk: true, client: true, transport: !!transport, dsn: !!client.getDsn(), enabled: options.enabled,
    version: sdk.version || carrier.version || '', sampleRate: options.sampleRate,
    inits: window.__sentryAudit.inits, integrations: Object.keys(client._integrations || {}),
    outcomes: {...(client._outcomes || {})}};
}"""
_FILL = """(values) => {
  const pick = (name) => name === 'password' ? values.password : /mail/.test(name) ? values.email : values.phone;
  let filled = 0;
  for (const field of document.querySelectorAll('input, textarea')) {
    if (['checkbox', 'radio', 'submit', 'button', 'file', 'hidden'].includes(field.type)) continue;
    const words = `${field.type} ${field.name} ${field.id} ${field.placeholder}`.toLowerCase();
    field.value = field.type === 'password' ? values.password : pick(/mail/.test(words) ? 'email' : 'phone');
    field.dispatchEvent(new Event('input', {bubbles: true}));
    filled += 1;
  }
  return filled;
}"""


def browse(page: str, apis: Sequence[str], files: Path | None = None, timeout: float = 30.0) -> Browsed:
    """Open the ``page`` (its address on this machine), make it fail, let it ask each of ``apis``.

    ``files`` is what Next.js serves below ``/_next/static``, wherever the page looks for it. ``timeout`` is how many seconds
    it may take to load. What cannot be done here is told in ``failure``; nothing is raised.
    """
    browser = next((found for name in NAMES if (found := shutil.which(name))), "")
    if not browser:
        return Browsed(failure="there is no Chromium on this machine to open it in", remedy=_REMEDY)
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        return Browsed(failure="playwright, which drives the browser, is not installed", remedy=_REMEDY)
    root = [] if not hasattr(os, "geteuid") or os.geteuid() else ["--no-sandbox"]  # Chromium's sandbox refuses root
    with sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=browser, args=[*_QUIET, *root])
        except Error as error:
            return Browsed(failure=f"{browser} did not start: {str(error).splitlines()[0]}", remedy=_REMEDY)
        try:
            return _Visit(opened.new_page(), page, files, timeout).made(apis)
        except Error as error:
            return Browsed(failure=f"the page did not open: {str(error).splitlines()[0]}", address=page)
        finally:
            opened.close()


class _Visit:
    """One page, from its first byte to its error."""

    def __init__(self, page: Any, address: str, files: Path | None, timeout: float) -> None:
        self.page, self.address, self.files, self.timeout = page, address, files, timeout
        place = urlsplit(address)
        self.origin = f"{place.scheme}://{place.netloc}"
        self.sent: list[Sent] = []
        self.blocked: dict[str, None] = {}
        self.errors: list[str] = []
        self.headers: dict[str, dict[str, str]] = {}
        page.add_init_script(_WATCH)
        page.route("**/*", self._answer)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _answer(self, route: Any) -> None:
        from playwright.sync_api import Error

        try:
            self._answered(route)
        except (
            Error
        ):  # the page has gone, or asks for what is no address: it gets no answer then, and nobody waits for one
            with contextlib.suppress(Error):
                route.abort()

    def _answered(self, route: Any) -> None:
        request = route.request
        place = urlsplit(request.url)
        body = request.post_data_buffer if request.method == "POST" else None
        if body and self._take(body):
            route.fulfill(status=200, body="{}", headers=_CORS, content_type="application/json")
        elif (file := self._built(place.path)) is not None:
            route.fulfill(path=file, headers=_CORS)
        elif request.url.startswith((f"{self.origin}/", "data:", "blob:")) and "__sentry_audit__" not in place.path:
            self._note(request, place.path)
            route.continue_()
        elif "__sentry_audit__" in place.path or request.method == "OPTIONS":
            if request.method != "OPTIONS":
                self.headers[f"{place.scheme}://{place.netloc}"] = request.headers
            route.fulfill(status=200, body="{}", headers=_CORS, content_type="application/json")
        else:
            if request.resource_type in {"fetch", "xhr"}:
                self.headers.setdefault(f"{place.scheme}://{place.netloc}", request.headers)
            self.blocked[place.netloc] = None
            route.abort()

    def _built(self, path: str) -> Path | None:
        """The file of the build that ``path`` names, also where pages look for it on a host of its own (assetPrefix)."""
        if self.files is None or _STATIC not in path:
            return None
        file = self.files / unquote(path.partition(_STATIC)[2])
        return file if file.is_file() and file.resolve().is_relative_to(self.files.resolve()) else None

    def _note(self, request: Any, path: str) -> None:
        """Remember a request of the page's own code to where it came from."""
        if request.resource_type in {"fetch", "xhr"} and "_next/" not in path and "rsc" not in request.headers:
            self.headers.setdefault(self.origin, request.headers)

    def _take(self, body: bytes) -> bool:
        """Whether ``body`` is an envelope, which is kept then."""
        try:
            head, items = parse(body)
        except ValueError:
            return False
        if not {"sent_at", "dsn", "event_id", "trace", "sdk"} & head.keys() or not items:
            return False
        for item in items:
            data = item.data if isinstance(item.data, dict) else {}
            self.sent.append(Sent(item.type, data, item.payload.decode("utf-8", "replace")))
        return True

    def made(self, apis: Sequence[str]) -> Browsed:
        """All that comes of it."""
        word = os.urandom(6).hex()
        canaries = {
            "password": f"Pw-{word}-{os.urandom(4).hex()}",
            "email": f"canary.{word}@example.org",
            "phone": f"+4479{int(word, 16) % 10**8:08d}",
        }
        self.page.goto(self.address, wait_until="load", timeout=self.timeout * 1000)
        client = self._until(self._client, lambda found: bool(found.get("client")), _START)
        self.page.wait_for_timeout(200)  # a second init comes after the first
        client = self._client()
        before = tuple(self.errors)
        self.page.evaluate(_FILL, canaries)
        marker = f"sentry-audit {os.urandom(8).hex()}"
        self.page.evaluate("text => { setTimeout(() => { throw new Error(text); }); }", marker)
        if client.get("client"):
            self._until(lambda: any(marker in item.text for item in self.sent), bool, _ARRIVAL)
        calls = [self._call(api) for api in apis] if client.get("client") else []
        calls += [self._seen(origin) for origin in self.headers if origin not in apis]
        violations = self.page.evaluate("() => window.__sentryAudit.violations")
        outcomes = self._client().get("outcomes") or {}
        return Browsed(
            address=self.address, client=client, outcomes=outcomes, sent=tuple(self.sent), marker=marker, violations=tuple(violations),
            blocked=tuple(self.blocked), errors=before, calls=tuple(calls), canaries=canaries,
        )  # fmt: skip

    def _client(self) -> dict[str, Any]:
        return dict(self.page.evaluate(_CLIENT))

    def _call(self, api: str) -> Call:
        """Ask an API as the page's own code would."""
        url = f"{api.rstrip('/')}/__sentry_audit__"
        asked = self.page.evaluate(
            "url => fetch(url, {signal: AbortSignal.timeout(4000)}).then(() => true, () => false)", url
        )
        place = urlsplit(url)
        found = self._seen(f"{place.scheme}://{place.netloc}")
        return replace(found, url=found.url if found.known else api, asked=bool(asked), known=True)

    def _seen(self, origin: str) -> Call:
        headers = self.headers.get(origin, {})
        own = origin == self.origin
        return Call(OWN if own else origin, "sentry-trace" in headers, "baggage" in headers, known=own)

    def _until(self, look: Callable[[], Any], good: Callable[[Any], bool], seconds: float) -> Any:
        end = time.monotonic() + seconds
        while not good(found := look()) and time.monotonic() < end:
            self.page.wait_for_timeout(50)
        return found
