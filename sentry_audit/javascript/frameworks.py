"""Where each framework hands over the errors that it catches itself: Next.js, Vue, SvelteKit, Angular.

Sources: docs.sentry.io/platforms/javascript/guides/{nextjs,vue,sveltekit,angular}/manual-setup, nextjs.org/docs
(error.js, instrumentation.js).
"""

from __future__ import annotations

import re
from posixpath import basename, join
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import ErrorBoundary
from sentry_audit.javascript.captures import Capture
from sentry_audit.javascript.names import SUFFIXES
from sentry_audit.javascript.syntax import line_of, options_of, text_of, walk
from sentry_audit.model import Evidence
from sentry_audit.python.paths import deployed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.captures import Captures
    from sentry_audit.javascript.inits import Init
    from sentry_audit.javascript.syntax import Source

_FILES = tuple(
    stem + suffix for stem in ("error", "global-error", "_error") for suffix in (".tsx", ".jsx", ".js", ".ts")
)
_APP = re.compile(r"^(src/)?app/(.*/)?(error|global-error)\.\w+$")
_PAGE = re.compile(r"^(src/)?pages/_error\.\w+$")
_SHOWN = 3


def boundaries(analysis: Analysis, captures: Captures) -> Iterator[ErrorBoundary]:
    """The boundaries that a framework loads by their names, or is told of."""
    framework = analysis.frontend.framework
    if framework == "nextjs":
        yield from _nextjs(analysis, captures)
    for item in analysis.loaded:
        if item.package == "@sentry/vue":
            yield _vue(captures, item)
        elif item.package == "@sentry/sveltekit":
            yield _sveltekit(captures, item)
        elif item.package.startswith("@sentry/angular"):
            yield _angular(analysis, captures, item)


# --- Next.js --------------------------------------------------------------------------------------


def _nextjs(analysis: Analysis, captures: Captures) -> Iterator[ErrorBoundary]:
    sorts: dict[str, list[tuple[Evidence, Capture]]] = {"route": [], "global-error": [], "page": []}
    for path in sorted(analysis.files.paths):
        if not path.endswith(_FILES) or not analysis.frontend.within(path) or not deployed(path):
            continue
        below = path[len(analysis.frontend.folder) :].lstrip("/")
        sort = "page" if _PAGE.match(below) else "" if not _APP.match(below) else "route"
        if sort == "route" and basename(path).startswith("global-error"):
            sort = "global-error"
        if not sort:
            continue
        source = analysis.source(path)
        capture = captures.of(source.root, source) if source is not None else Capture(None, why="it was not parsed")
        sorts[sort].append((_default(path, source), capture))
    for sort, listed in sorts.items():
        yield from _grouped(sort, listed)
    if analysis.is_app_router:
        if not sorts["global-error"]:
            yield _no_global_error(analysis)
        yield from _requests(analysis, captures)


def _default(path: str, source: Source | None) -> Evidence:
    """The component that a file exports by default, which is what Next.js renders."""
    node = source.default if source is not None else None
    if source is not None and node is not None:
        node = source.functions.get(text_of(node)) or source.classes.get(text_of(node)) or node
    return Evidence(path, line_of(node) if node is not None else None)


def _grouped(sort: str, listed: list[tuple[Evidence, Capture]]) -> Iterator[ErrorBoundary]:
    """One fact for all that capture, one for all that do not: a large application has dozens."""
    for verdict in (True, False, None):
        chosen = [(here, capture) for here, capture in listed if capture.sends is verdict]
        paths = [here.path or "" for here, _ in chosen]
        if not paths:
            continue
        shown = ", ".join(paths[:_SHOWN]) + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")
        saw = "no call of captureException" if verdict is False else ""
        places = tuple(capture.where or Evidence(here.path, here.line, saw=saw) for here, capture in chosen)
        name = basename(paths[0])
        if verdict is None:
            why = next(capture.why for _, capture in listed if capture.sends is None)
            yield ErrorBoundary(name=name, sort=sort, unknown=f"{shown}: {why}", evidence=places)
        else:
            catch = "catches" if len(paths) == 1 else "catch"
            problem = "" if verdict else f"{shown} {catch} what components throw, and Sentry never hears of it"
            yield ErrorBoundary(name=name, sort=sort, captures=verdict, problem=problem, evidence=places)


def _no_global_error(analysis: Analysis) -> ErrorBoundary:
    folder = join(analysis.frontend.folder, "src/app" if _exists(analysis, "src/app/") else "app")
    problem = f"{folder} has no global-error: errors of the root layout are shown, and not sent"
    return ErrorBoundary(
        name="global-error", sort="global-error", present=False, captures=False, problem=problem,
        evidence=(Evidence(folder, saw="no global-error file"),),
    )  # fmt: skip


def _exists(analysis: Analysis, folder: str) -> bool:
    start = join(analysis.frontend.folder, folder)
    return any(path.startswith(start) for path in analysis.files.paths)


def _requests(analysis: Analysis, captures: Captures) -> Iterator[ErrorBoundary]:
    """``onRequestError`` of instrumentation: since Next.js 15, without it errors of server components are lost."""
    if analysis.package != "@sentry/nextjs" or analysis.is_static or (analysis.major("next") or 15) < 15:
        return
    name, sort = "onRequestError", "request"
    stems = [join(analysis.frontend.folder, folder, "instrumentation") for folder in ("", "src")]
    path = next((stem + end for stem in stems for end in SUFFIXES if stem + end in analysis.files.paths), None)
    if path is None:
        problem = "there is no instrumentation file with onRequestError: errors of server components are not captured"
        here = Evidence(analysis.frontend.manifest.path, saw="no instrumentation.ts beside it")
        yield ErrorBoundary(name=name, sort=sort, present=False, captures=False, problem=problem, evidence=(here,))
        return
    source = analysis.source(path)
    if source is None:
        yield ErrorBoundary(name=name, sort=sort, unknown=f"{path} was not parsed", evidence=(Evidence(path),))
        return
    exported = re.search(r"\bonRequestError\b", source.text)
    here = Evidence(path, source.text.count("\n", 0, exported.start()) + 1 if exported else None, saw=name)
    if exported is None:
        problem = f"{path} does not export onRequestError: errors of server components are not captured"
        if any(key.startswith("*") for key in source.exported):
            yield ErrorBoundary(
                name=name, sort=sort, unknown=f"what {path} hands on was not followed", evidence=(here,)
            )
            return
        register = source.functions.get("register")
        here = Evidence(path, line_of(register) if register is not None else None, saw="no onRequestError")
        yield ErrorBoundary(name=name, sort=sort, present=False, captures=False, problem=problem, evidence=(here,))
        return
    capture = captures.handed(source.constants.get(name) or source.functions.get(name), source)
    told = capture.sends or bool(re.search(r"captureRequestError", source.text))
    problem = "" if told else f"onRequestError in {path} does not capture"
    yield ErrorBoundary(name=name, sort=sort, captures=told, problem=problem, evidence=(here,))


# --- others ---------------------------------------------------------------------------------------


def _vue(captures: Captures, item: Init) -> ErrorBoundary:
    """Without ``app`` the SDK does not see what components throw; a later errorHandler replaces the SDK's."""
    options, spread = options_of(item.call) or ({}, True)
    evidence = (item.evidence,)
    given = {"app", "Vue"} & options.keys() or "vueIntegration" in item.source.text
    if not given and spread:
        return ErrorBoundary(
            name="Vue", sort="framework", unknown="whether init is given the app was not followed", evidence=evidence
        )
    if not given:
        problem = "init is given no app: what components throw is not captured"
        return ErrorBoundary(name="Vue", sort="framework", captures=False, problem=problem, evidence=evidence)
    for node in walk(item.source.root):
        if node.type == "assignment_expression" and node.start_byte > item.call.end_byte:
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            if text_of(left).endswith(".config.errorHandler") and not captures.handed(right, item.source).sends:
                here = Evidence(item.source.path, line_of(node), saw=text_of(left))
                problem = "errorHandler is set after init, in place of the SDK's, and does not capture"
                return ErrorBoundary(name="Vue", sort="framework", captures=False, problem=problem, evidence=(here,))
    return ErrorBoundary(name="Vue", sort="framework", evidence=evidence)


def _sveltekit(captures: Captures, item: Init) -> ErrorBoundary:
    capture = captures.of(item.source.root, item.source)
    if capture.sends is not False or "handleError" not in item.source.text:
        told = bool(capture.sends)
        problem = (
            "" if told else f"{item.source.path} exports no handleError of Sentry: errors of pages are not captured"
        )
        return ErrorBoundary(
            name="handleError", sort="framework", captures=told, problem=problem, evidence=(item.evidence,)
        )
    problem = f"handleError in {item.source.path} does not capture: wrap it in handleErrorWithSentry"
    return ErrorBoundary(
        name="handleError", sort="framework", captures=False, problem=problem, evidence=(item.evidence,)
    )


def _angular(analysis: Analysis, captures: Captures, item: Init) -> ErrorBoundary:
    for path in analysis.mentioning:
        text = analysis.files.text(path) or ""
        if "ErrorHandler" not in text:
            continue
        source = analysis.source(path)
        if source is not None and (found := _handler(captures, source)) is not None:
            return ErrorBoundary(name="ErrorHandler", sort="framework", evidence=(found,))
    problem = "no ErrorHandler of Sentry is provided: Angular keeps what components throw to itself"
    return ErrorBoundary(
        name="ErrorHandler", sort="framework", captures=False, problem=problem, evidence=(item.evidence,)
    )


def _handler(captures: Captures, source: Any) -> Evidence | None:
    """``createErrorHandler``, the SDK's class, or a class of one's own that captures."""
    for node in walk(source.root):
        text = text_of(node)
        if node.type == "call_expression" and text.endswith(")") and re.match(r"[\w.]*createErrorHandler\(", text):
            return Evidence(source.path, line_of(node), saw=text.partition("\n")[0][:80])
        if node.type in {"member_expression", "identifier"} and re.search(r"\bSentryErrorHandler$", text):
            return Evidence(source.path, line_of(node), saw=text)
    for name, node in source.classes.items():
        if re.search(r"(implements|extends)\s+ErrorHandler\b", text_of(node).partition("{")[0]):
            capture = captures.of(node, source)
            if capture.sends:
                return capture.where or Evidence(source.path, line_of(node), saw=name)
    return None
