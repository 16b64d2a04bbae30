"""What stands in the files of a built front end: the SDK, the DSN, the release. Pure.

Bundlers put the values of variables into the files that browsers load, so what is not in there is not there at all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit import dsn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_audit.dsn import DsnValue

#: What every version of the SDK for browsers leaves in a bundle, minified or not (@sentry/core: carrier.ts, sdkMetadata.ts).
_SDK = re.compile(r"__SENTRY__|sentry\.javascript\.")
#: What Sentry's bundler plugins put in: the release, and the id that a map is found by.
_RELEASE = re.compile(r"SENTRY_RELEASE\s*=\s*\{\s*id\s*:\s*([\"'])(.{1,200}?)\1")
_DEBUG_ID = re.compile(r"_sentryDebugIds?\b")


class Bundle(Struct, frozen=True, kw_only=True):
    """The scripts of a built front end. ``sdk`` and ``dsns`` are as (path, what was seen); ``maps`` are served beside."""

    scripts: int = 0
    sdk: tuple[str, ...] = ()
    dsns: tuple[tuple[str, DsnValue], ...] = ()
    releases: tuple[str, ...] = ()
    debug_ids: bool = False
    maps: tuple[str, ...] = ()


def scan(scripts: Mapping[str, str], maps: tuple[str, ...] = ()) -> Bundle:
    """What stands in ``scripts`` (text by path)."""
    dsns: dict[str, tuple[str, DsnValue]] = {}
    releases: dict[str, None] = {}
    sdk, debug_ids = [], False
    for path, text in sorted(scripts.items()):
        if _SDK.search(text):
            sdk.append(path)
        for _, value in dsn.find(text):
            dsns.setdefault(value.fingerprint or value.shown, (path, value))
        releases |= dict.fromkeys(found[2] for found in _RELEASE.finditer(text))
        debug_ids = debug_ids or bool(_DEBUG_ID.search(text))
    return Bundle(
        scripts=len(scripts),
        sdk=tuple(sdk),
        dsns=tuple(dsns.values()),
        releases=tuple(releases),
        debug_ids=debug_ids,
        maps=maps,
    )
