"""Where a browser sends its trace to: the API's origin among the targets of init, and a rate where there is none.

Source: docs.sentry.io/platforms/javascript/tracing/distributed-tracing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import TracePropagation
from sentry_audit.fixers.js_imports import Imports
from sentry_audit.fixers.js_inits import RATE
from sentry_audit.fixers.js_web import (
    NotClear,
    Patch,
    add_entry,
    analysis_of,
    answered,
    bad_of,
    options_node,
    pair_of,
    reads,
    refusing,
)
from sentry_audit.javascript.following import Leading
from sentry_audit.javascript.options import instruments
from sentry_audit.javascript.origins import bases
from sentry_audit.javascript.propagation import PLACEHOLDER
from sentry_audit.javascript.syntax import options_of, text_of

if TYPE_CHECKING:
    from sentry_audit.fixing import Case, Change
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init
    from sentry_audit.javascript.origins import Base

_CORS = ("CORSMiddleware", "flask_cors", "corsheaders", "CORS_ALLOW")
_LOCAL = re.compile(r"https?://(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]|host\.docker\.internal)\b")
_OPEN = re.compile(r"sentry-trace|allow_headers\s*=\s*[\[(]\s*[\"']\*|allow_headers\s*=\s*[\"']\*")


@refusing
def fix(case: Case) -> Change:
    """Name the API among the targets of the trace, or let the browser sample."""
    analysis = analysis_of(case)
    facts = [fact for fact in bad_of(case) if isinstance(fact, TracePropagation)]
    item = next((one for one in analysis.loaded if options_of(one.call) is not None), None)
    if not facts or item is None:
        raise NotClear("the init that sends no trace was not found again")
    fact = facts[0]
    if fact.side == "tracing":
        return _sampled(analysis, item)
    if fact.side != "targets":
        raise NotClear(fact.problem)
    _let_through(case)
    target = _target(analysis, fact, item)
    patch = Patch(item.source)
    _listed(patch, item, target)
    return answered(f"will send the trace to {target} from {item.source.path}", [patch.edit()], "review")


def _sampled(analysis: Analysis, item: Init) -> Change:
    options, _ = options_of(item.call) or ({}, True)
    patch = Patch(item.source)
    node = options_node(item)
    rate = f"Number({reads(analysis, RATE)} || {patch.style.quoted('0.1')})"
    entries: list[str] = []
    if "tracesSampleRate" in options:
        if re.fullmatch(r"0(\.0*)?", text_of(options["tracesSampleRate"])):
            patch.replace(options["tracesSampleRate"], rate)
    else:
        entries.append(f"tracesSampleRate: {rate}")
    if not instruments(analysis, item, options):
        if "integrations" in options:
            raise NotClear(
                f"integrations at {item.evidence} lack the browser's tracing",
                "integrations: [Sentry.browserTracingIntegration()],",
            )
        imports = Imports(patch)
        entries.append(f"integrations: [{imports.of(item.package, 'browserTracingIntegration')}()]")
        imports.flush()
    if entries:
        children = [child for child in node.named_children if child.type != "comment"]
        lined = bool(children) and children[-1].start_point[0] != node.start_point[0]
        gap = f",{patch.style.end}{patch.indent_of(children[-1])}" if lined else ", "
        add_entry(patch, node, gap.join(entries))
    return answered(f"will sample traces of browsers in {item.source.path}", [patch.edit()], "review")


def _let_through(case: Case) -> None:
    """Raises NotClear while a back end of the repository would refuse requests that carry a trace."""
    texts = [(path, case.files.text(path) or "") for path in case.files.search(_CORS, ".py")]
    if texts and not any(
        _OPEN.search(text) or ("flask_cors" in text and "allow_headers" not in text) for _, text in texts
    ):
        raise NotClear(
            f"{texts[0][0]} does not let the headers of a trace through: requests would be refused; allow them first",
            'allow_headers=[..., "sentry-trace", "baggage"]',
        )


def _target(analysis: Analysis, fact: TracePropagation, item: Init) -> str:
    """The API's address as code writes it: the variable that gives it, else the text."""
    leading = Leading(analysis)
    base = next((one for one in bases(leading) if one.evidence in fact.evidence), None)
    if base is None or len(base.parts) > 2:
        raise NotClear(
            f"how the front end knows {fact.address or 'its API'} was not followed",
            "tracePropagationTargets: [API_URL],",
        )
    style = Patch(item.source).style
    urls = [part.text for part in base.parts if part.kind == "literal" and re.match(r"https?://[^/]", part.text)]
    urls = [url for url in urls if not _LOCAL.match(url)]
    if base.variable:
        return _variable(base, urls, item, style.quote)
    if len(urls) == 1:
        origin = re.match(r"https?://[^/]+", urls[0])
        return style.quoted(origin[0] if origin else urls[0])
    raise NotClear(
        f"how the front end knows {fact.address or 'its API'} was not followed", "tracePropagationTargets: [API_URL],"
    )


def _variable(base: Base, urls: list[str], item: Init, quote: str) -> str:
    part = next(part for part in base.parts if part.kind == "env")
    read = f"{part.how}.{part.text}"
    if urls and len(base.parts) == 2:
        return f"{read} || {quote}{urls[0]}{quote}"
    # An empty text would match every address: without one of its own, the variable stands alone.
    return f"{read}!" if item.source.path.endswith((".ts", ".tsx")) and part.how.endswith("process.env") else read


def _listed(patch: Patch, item: Init, target: str) -> None:
    node = options_node(item)
    pair = pair_of(node, "tracePropagationTargets")
    if pair is None:
        if "tracePropagationTargets" in text_of(node):
            raise NotClear(
                f"the targets at {item.evidence} are those of an integration", f"tracePropagationTargets: [{target}],"
            )
        add_entry(patch, node, f"tracePropagationTargets: [{target}]", "tracesSampleRate")
        return
    value: Any = pair.child_by_field_name("value") if pair.type == "pair" else None
    if value is None or value.type != "array":
        raise NotClear(f"tracePropagationTargets at {item.evidence} is no list that could be added to", target)
    children = [child for child in value.named_children if child.type != "comment"]
    examples = [child for child in children if PLACEHOLDER.search(text_of(child))]
    if examples:
        patch.replace(examples[0], target)
    elif children:
        patch.insert(children[-1].end_byte, f", {target}")
    else:
        patch.replace(value, f"[{target}]")


ECOSYSTEM = "npm"
FIXERS = {"trace-propagation": fix}
