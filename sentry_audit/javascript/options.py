"""What the options of a browser's init do: tracing, sampling."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import FrontendTracing
from sentry_audit.javascript.syntax import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sentry_audit.facts import Fact
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init

#: SDKs that add the browser's tracing by themselves.
_TRACES = frozenset({"@sentry/nextjs", "@sentry/nuxt", "@sentry/sveltekit", "@sentry/gatsby", "@sentry/astro"})
_COMMENT = re.compile(r"(?<!:)//[^\n]*|/\*.*?\*/", re.DOTALL)
_ADDED = re.compile(r"addIntegration\([^)]*[tT]racing")


def option_facts(analysis: Analysis, item: Init, options: Mapping[str, Any], spread: bool) -> Iterator[Fact]:
    """The facts about the options of one init. ``spread``: further options come from elsewhere."""
    yield from _tracing(analysis, item, options, spread)


def _tracing(analysis: Analysis, item: Init, options: Mapping[str, Any], spread: bool) -> Iterator[Fact]:
    if not {"tracesSampleRate", "tracesSampler"} & options.keys() or spread:
        return
    if instruments(analysis, item, options):
        yield FrontendTracing(evidence=(item.evidence,))
        return
    package = analysis.package or item.package
    problem = f"a sampling rate is set, but {package} makes no spans without browserTracingIntegration()"
    yield FrontendTracing(effective=False, problem=problem, evidence=(item.evidence,))


def instruments(analysis: Analysis, item: Init, options: Mapping[str, Any]) -> bool:
    """Whether the browser's requests are instrumented: by an integration that is listed, or that the SDK adds itself."""
    text = _COMMENT.sub("", text_of(options.get("integrations")))
    package = analysis.package or item.package
    listed = re.search(r"[tT]racing", text) or (text and not text.startswith("["))
    return package in _TRACES or bool(listed or _ADDED.search(item.source.text))
