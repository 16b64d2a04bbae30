"""An init for browsers where there is none: in the file that the framework loads first."""

from __future__ import annotations

import re
from posixpath import dirname, join
from typing import TYPE_CHECKING

from sentry_audit.fixers.js_starts import sveltekit, vue
from sentry_audit.fixers.js_web import (
    NotClear,
    Patch,
    analysis_of,
    answered,
    is_typed,
    package_of,
    parsed,
    project_style,
    reads,
    refusing,
)
from sentry_audit.fixing import Edit
from sentry_audit.javascript.syntax import options_of, text_of, walk

if TYPE_CHECKING:
    from typing import Any

    from sentry_audit.fixing import Case, Change
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init

#: What a variable is called where the project has none yet.
DSN, ENVIRONMENT, RATE = "SENTRY_DSN", "SENTRY_ENVIRONMENT", "SENTRY_TRACES_SAMPLE_RATE"
_KEPT = ("dsn", "environment", "release", "tracesSampleRate", "sendDefaultPii")
#: Names that an expression may hold and still mean the same in another file.
_KNOWN = re.compile(r"^(process|env|import|meta|Number|Boolean|undefined|parseFloat|[A-Z][A-Z0-9_]+)$")


def options_text(analysis: Analysis) -> list[str]:
    """The options of an init that is written anew: those of one that is there, as far as they stand for themselves.

    With double quotes, as all that is written anew; how it is written in the end is for the project's style.
    """
    for item in analysis.loaded or analysis.inits:
        options, _ = options_of(item.call) or ({}, True)
        found = {key: text for key in _KEPT if (text := _alone(options.get(key), item))}
        if re.fullmatch(
            r"\d*\.?\d+", rate := found.get("tracesSampleRate", "")
        ):  # one number would be for all environments
            usual = rate if 0 < float(rate) < 1 else "0.1"
            found["tracesSampleRate"] = f'Number({reads(analysis, RATE)} || "{usual}")'
        if "dsn" in found:
            return [f"{key}: {text}" for key, text in found.items()]
    return [
        f"dsn: {reads(analysis, DSN)}",
        f"environment: {reads(analysis, ENVIRONMENT)}",
        f'tracesSampleRate: Number({reads(analysis, RATE)} || "0.1")',
    ]


def _alone(node: Any, item: Init) -> str:
    """An expression that needs nothing else of its file; ``""`` if it does."""
    for _ in range(4):
        if node is not None and node.type in {"identifier", "shorthand_property_identifier"}:
            node = item.source.constants.get(text_of(node))
    if node is None or "\n" in text_of(node):
        return ""
    names = [text_of(part) for part in walk(node) if part.type in {"identifier", "shorthand_property_identifier"}]
    shown = text_of(node).replace("'", '"')
    return shown if all(map(_KNOWN.match, names)) and node.type != "method_definition" else ""


@refusing
def present(case: Case) -> Change:
    """Add an init to the front end, in a file of its own that runs before all else."""
    analysis = analysis_of(case)
    package_of(analysis)
    framework = analysis.frontend.framework
    dead = analysis.inits[0].source.path if analysis.inits else ""
    also = f"; the init in {dead} never runs, and can go" if dead else ""
    if framework == "nextjs":
        from sentry_audit.fixers.js_nextjs import client

        edits = client(analysis)
        if any(edit.path.rpartition("/")[2].startswith("next.config.") for edit in edits[:1]):
            return answered(f"will let withSentryConfig load {dead}", edits, "review")
    elif framework == "sveltekit":
        edits, more = sveltekit(analysis, options_text(analysis))
        also += more
    elif framework in {"vite", "cra", "vue"}:
        edits = _entry(analysis)
    else:
        raise NotClear(
            f"where a {framework} front end starts the SDK is not written by itself",
            f"https://docs.sentry.io/platforms/javascript/guides/{framework}/",
        )
    return answered(f"will initialise the SDK in {edits[0].path}{also}", edits)


def _entry(analysis: Analysis) -> list[Edit]:
    """``instrument`` beside the entry of a single-page application, imported before all else."""
    entries = [path for path in analysis.loading.starts if path in analysis.loading.scripts] or [
        path for path in analysis.loading.starts if re.search(r"(^|/)(index|main)\.\w+$", path)
    ]
    if len(entries) != 1:
        raise NotClear("which module browsers load first was not found")
    entry = entries[0]
    if package_of(analysis) == "@sentry/vue" and (edit := vue(analysis, entry, options_text(analysis))) is not None:
        return [edit]
    style = project_style(analysis, entry)
    path = join(dirname(entry), f"instrument.{'ts' if is_typed(analysis) else 'js'}")
    if path in analysis.files.paths:
        raise NotClear(f"{path} is there already, and initialises nothing")
    rows = [f'import * as Sentry from "{package_of(analysis)}";', "", "Sentry.init({"]
    rows += [f"  {option}," for option in options_text(analysis)]
    rows += ["  integrations: [Sentry.browserTracingIntegration()],", "});", ""]
    patch = Patch(parsed(analysis, entry))
    first = next((node for node in patch.source.root.named_children if node.type != "comment"), None)
    statement = f"import {style.quoted('./instrument')}{patch.style.semicolon}{patch.style.end}"
    patch.insert(first.start_byte if first is not None else 0, statement)
    return [Edit(path, style.written("\n".join(rows))), patch.edit()]


ECOSYSTEM = "npm"
FIXERS = {"frontend-init-present": present}
