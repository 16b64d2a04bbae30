"""The HTTP client: GET, JSON, pages, patience and its end. Nothing of an answer's body or of the token gets into a message.

Proxies and certificates are those of ``requests``: HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE. Limits and pages are as in
docs.sentry.io/api/ratelimits/ and /api/pagination/.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError
from urllib3.exceptions import TimeoutError as SilentError
from urllib3.util.retry import Retry

from sentry_audit import __version__
from sentry_audit.sentry_project import Unread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from urllib3 import BaseHTTPResponse

T = TypeVar("T")
#: (name, value) of a query; a name may be there twice.
Query = tuple[tuple[str, str], ...]

#: Seconds that one attempt may wait for a connection, and for each part of an answer.
_PATIENCE = 15.0
_TRIES = 3
#: Pages of a hundred; whoever has more keys or projects than that has something else to look at.
_PAGES = 50
_HOPS = 3
_MOST_BYTES = 16 * 1024 * 1024
_HERE = {301, 302, 303, 307, 308}
TOKENS = "make one in Sentry under Settings > Developer Settings > Internal Integrations, or User Auth Tokens"


class RefusedError(Exception):
    """A question that was not answered."""

    def __init__(self, unread: Unread) -> None:
        super().__init__(unread.reason)
        self.unread = unread


class _Bearer(requests.auth.AuthBase):
    """The token as a header. As ``auth`` it comes before what ~/.netrc says, and does not follow to another host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Patient(Retry):
    """Waits as long as the server asks for (Retry-After, else X-Sentry-Rate-Limit-Reset), unless time is over before."""

    left: Callable[[], float] = staticmethod(lambda: _PATIENCE)

    def new(self, **changed: Any) -> Self:
        """Likewise for the next attempt."""
        made = super().new(**changed)
        made.left = self.left
        return made

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """The seconds to wait; None if the server does not say."""
        return wait(response.headers, response.status)

    def increment(self, method: str | None = None, url: str | None = None, *rest: Any, **named: Any) -> Self:
        """One attempt less; raises MaxRetryError also where the next one would come too late."""
        made = super().increment(method, url, *rest, **named)
        response = named.get("response")
        due = (self.get_retry_after(response) or 0) if response is not None else 0
        if max(due, made.get_backoff_time()) >= self.left():
            raise MaxRetryError(named["_pool"], url or "", named.get("error"))
        return made


def wait(headers: Mapping[str, str], status: int) -> float | None:
    """The seconds that an answer asks to wait for; None if it does not say."""
    told = headers.get("Retry-After")
    if told is not None:
        try:
            return max(0.0, float(Retry().parse_retry_after(told)))
        except (InvalidHeader, ValueError, OverflowError):
            return None
    reset = headers.get("X-Sentry-Rate-Limit-Reset", "")
    if status == 429 and reset.isascii() and reset.isdigit() and len(reset) < 12:
        return max(0.0, int(reset) - time.time())
    return None


class Client:
    """``with Client(token, seconds) as client:`` asks for ``seconds`` at most, and closes its connections."""

    def __init__(self, token: str, source: str, seconds: float) -> None:
        self._end, self._seconds, self._source = time.monotonic() + seconds, seconds, source
        self._organizational = token.startswith("sntrys_")
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        self._session.headers.update({"User-Agent": f"sentry-audit/{__version__}", "Accept": "application/json"})
        retry = _Patient(
            total=_TRIES, connect=1, read=1, status=_TRIES, redirect=0, backoff_factor=0.3, allowed_methods={"GET"},
            status_forcelist={429, 500, 502, 503, 504}, raise_on_status=False,
        )  # fmt: skip
        retry.left = self.left
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def left(self) -> float:
        """The seconds that are left."""
        return max(0.0, self._end - time.monotonic())

    def get(self, base: str, path: str, shape: type[T], scope: str, query: Query = ()) -> T:
        """The answer to one question, as ``shape``; ``scope`` is what it needs. Raises RefusedError."""
        return self._page(base, path, shape, scope, query)[0]

    def all(self, base: str, path: str, shape: type[T], scope: str, query: Query = ()) -> list[T]:
        """All pages of a list of ``shape``. Raises RefusedError, also where there is no end of them."""
        found: list[T] = []
        cursors = {""}
        cursor = ""
        for _ in range(_PAGES):
            asked = (*query, ("cursor", cursor)) if cursor else query
            page, cursor = self._page(base, path, list[shape], scope, asked)  # type: ignore[valid-type]
            found += page
            if not cursor:
                return found
            if cursor in cursors:
                break
            cursors.add(cursor)
        reason = f"{_host(base)} does not come to an end with {path}: {len(found)} entries were read"
        raise RefusedError(Unread(code="MALFORMED", reason=reason))

    def _page(self, base: str, path: str, shape: type[T], scope: str, query: Query) -> tuple[T, str]:
        address, asked = f"{base}/api/0{path}", query
        for _ in range(_HOPS):
            try:
                with self._send(address, asked) as response:
                    if response.status_code not in _HERE:
                        return self._read(response, path, shape, scope), _next(response)
                    address, asked = self._moved(address, response), ()
            except (requests.RequestException, HTTPError) as error:
                raise RefusedError(self._failed(error, base)) from None
        raise RefusedError(Unread(code="REDIRECTED", reason=f"{_host(base)} redirects in circles"))

    def _send(self, address: str, query: Sequence[tuple[str, str]]) -> requests.Response:
        if not self.left():
            raise RefusedError(self._late())
        patience = min(_PATIENCE, max(0.1, self.left()))
        return self._session.get(address, params=list(query), timeout=patience, allow_redirects=False, stream=True)

    def _moved(self, address: str, response: requests.Response) -> str:
        """Where an answer sends to: only within the host that the token is for."""
        target = urljoin(address, response.headers.get("Location", ""))
        old, new = urlsplit(address), urlsplit(target)
        if (old.scheme, old.netloc) == (new.scheme, new.netloc):
            return target
        reason = f"{_host(address)} redirects to {new.hostname or 'nowhere'}, and the token was not sent there"
        hint = f"if that is your Sentry: export SENTRY_URL={new.scheme}://{new.hostname}"
        raise RefusedError(Unread(code="REDIRECTED", reason=reason, hint=hint if new.hostname else ""))

    def _read(self, response: requests.Response, path: str, shape: type[T], scope: str) -> T:
        if response.status_code != 200:
            raise RefusedError(self._refused(response, path, scope))
        body = bytearray()
        while part := response.raw.read1(65_536, decode_content=True):  # read() would wait until there are as many
            body += part
            if not self.left():
                raise RefusedError(self._late())
            if len(body) > _MOST_BYTES:
                raise RefusedError(Unread(code="MALFORMED", reason=f"the answer to {path} is too long"))
        try:
            return msgspec.json.decode(bytes(body), type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            reason = f"{_host(response.url)} answers {path} with something that Sentry does not say"
            hint = "SENTRY_URL has to be the address of Sentry itself, and nothing may ask for a login in front of it"
            raise RefusedError(Unread(code="MALFORMED", reason=reason, hint=hint)) from None

    def _refused(self, response: requests.Response, path: str, scope: str) -> Unread:
        host, status = _host(response.url), response.status_code
        if status == 401:
            reason = f"{host} does not accept the token of {self._source}: it is wrong, has expired, or is for another Sentry"
            return Unread(code="UNAUTHENTICATED", reason=reason, hint=TOKENS)
        if status == 403:
            what = "an organization token has org:ci alone" if self._organizational else f"the token lacks {scope}"
            reason = f"{host} refuses {path}: {what}, or may not see it"
            return Unread(code="PERMISSION_DENIED", reason=reason, scope=scope, hint=f"{TOKENS}, with {scope}")
        if status == 404:
            return Unread(code="NOT_FOUND", reason=f"{host} has no {path}, or does not show it to this token")
        if status == 429:
            seconds = wait(response.headers, status)
            when = f"in {seconds:.0f} seconds" if seconds else "in a minute"
            reason = f"{host} lets no more questions through (HTTP 429)"
            return Unread(code="RESOURCE_EXHAUSTED", reason=reason, hint=f"run it again {when}")
        if status >= 500:
            return Unread(code="UNAVAILABLE", reason=f"{host} is in trouble (HTTP {status} for {path})")
        return Unread(code="REJECTED", reason=f"{host} does not take the question {path} (HTTP {status})")

    def _failed(self, error: requests.RequestException | HTTPError, base: str) -> Unread:
        host = _host(base)
        if isinstance(error, requests.exceptions.SSLError):
            reason = f"the certificate of {host} is not trusted, or it speaks no TLS"
            return Unread(code="UNAVAILABLE", reason=reason, hint="export REQUESTS_CA_BUNDLE=/path/to/your/ca.pem")
        if not self.left():
            return self._late()
        if isinstance(error, requests.Timeout | SilentError):
            return Unread(code="DEADLINE_EXCEEDED", reason=f"{host} gave no answer in {_PATIENCE:g} seconds")
        if isinstance(error, requests.exceptions.ProxyError):
            return Unread(code="UNAVAILABLE", reason=f"the proxy in front of {host} cannot be reached, or refuses")
        return Unread(code="UNAVAILABLE", reason=f"{host} cannot be reached", hint=f"curl -sSI {base}/")

    def _late(self) -> Unread:
        reason = f"--timeout of {self._seconds:g} seconds was reached before Sentry had answered everything"
        return Unread(code="DEADLINE_EXCEEDED", reason=reason, hint=f"allow more: --timeout {self._seconds * 4:.0f}")


def _host(address: str) -> str:
    return urlsplit(address).netloc


def _next(response: requests.Response) -> str:
    """The cursor of the next page: the address in the header is not followed, it may be another host's."""
    link = response.links.get("next", {})
    return link.get("cursor", "") if link.get("results") == "true" else ""
