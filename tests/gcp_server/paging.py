"""Pages: opaque tokens that hold only for the request that they came from."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


def page(items: Sequence[T], request: Any, default: int, most: int) -> tuple[Sequence[T], str]:
    """The items that ``request`` asks for, and the token of the next page (``""`` after the last)."""
    if request.page_size < 0:
        raise invalid("The page size must not be negative.")
    size = min(request.page_size or default, most)
    start = _start(request) if request.page_token else 0
    end = start + size
    return items[start:end], _token(request, end) if end < len(items) else ""


def _token(request: Any, start: int) -> str:
    return base64.urlsafe_b64encode(f"{start}:{_about(request)}".encode()).decode()


def _start(request: Any) -> int:
    try:
        start, _, about = base64.urlsafe_b64decode(request.page_token.encode()).decode().partition(":")
        if about == _about(request):
            return int(start)
    except ValueError:
        pass
    raise invalid("The page token is invalid.")


def _about(request: Any) -> str:
    """What must stay the same from page to page: all but the page's size and token."""
    rest = type(request)()
    rest.CopyFrom(request)
    rest.ClearField("page_token")
    rest.ClearField("page_size")
    return hashlib.sha256(rest.SerializeToString(deterministic=True)).hexdigest()[:12]
