"""The files that Next.js loads by their names: instrumentation, instrumentation-client, global-error.

Sources: docs.sentry.io/platforms/javascript/guides/nextjs/manual-setup; nextjs.org/docs (instrumentation,
instrumentation-client, error.js).
"""

from __future__ import annotations

import re
from posixpath import basename, dirname, join, normpath, relpath, splitext
from typing import TYPE_CHECKING

from sentry_audit.fixers.js_imports import Imports
from sentry_audit.fixers.js_inits import options_text
from sentry_audit.fixers.js_web import (
    NotClear,
    Patch,
    analysis_of,
    answered,
    bad_of,
    folder_of_sources,
    is_typed,
    named,
    package_of,
    parsed,
    project_style,
    refusing,
)
from sentry_audit.fixing import Edit
from sentry_audit.javascript.names import SUFFIXES
from sentry_audit.javascript.syntax import string_of, text_of, walk

if TYPE_CHECKING:
    from sentry_audit.fixing import Case, Change
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.syntax import Source

_SDK = "@sentry/nextjs"
_REQUEST = "export const onRequestError = Sentry.captureRequestError;"
#: A rate of traces that holds for every environment and takes all.
_ALL = re.compile(r"^\s*tracesSampleRate:\s*1(\.0*)?\s*(,|\}|$)", re.MULTILINE)
_GLOBAL = """\
"use client";

import * as Sentry from "@sentry/nextjs";
import NextError from "next/error";
import { useEffect } from "react";

export default function GlobalError({ error }SHAPE) {
  useEffect(() => {
    Sentry.captureException(error);
  }, [error]);

  return (
    <html lang="en">
      <body>
        {/* The App Router has no status code to show: 0 gives the page without one. */}
        <NextError statusCode={0} />
      </body>
    </html>
  );
}
"""
_SHAPE = ": { error: Error & { digest?: string } }"


@refusing
def request_errors(case: Case) -> Change:
    """Export ``onRequestError`` from instrumentation, which is made where it is not there."""
    analysis = analysis_of(case)
    if package_of(analysis) != _SDK:
        raise NotClear(f"only {_SDK} takes the errors of requests")
    if _older(analysis, (8, 28)):
        raise NotClear(f"{_SDK} {analysis.version(_SDK)} has no captureRequestError: it is there since 8.28")
    path = _existing(analysis, "instrumentation")
    if path is not None:
        return answered(f"will export onRequestError from {path}", [_exported(analysis, path)])
    edit = _instrumentation(analysis)
    summary = f"will add {edit.path}, which initialises the SDK in the server and exports onRequestError"
    if eager := [item for item in _configurations(analysis).values() if _ALL.search(analysis.files.text(item) or "")]:
        summary += f"; {named(eager)} will then trace every request (tracesSampleRate)"
    return answered(summary, [edit])


def _existing(analysis: Analysis, stem: str, suffixes: tuple[str, ...] = SUFFIXES) -> str | None:
    folder = analysis.frontend.folder
    stems = [join(folder, place, stem) for place in ("", "src")]
    return next((item + end for item in stems for end in suffixes if item + end in analysis.files.paths), None)


def _older(analysis: Analysis, than: tuple[int, int]) -> bool:
    found = re.match(r"(\d+)(?:\.(\d+))?", analysis.version(_SDK))
    return found is not None and found[2] is not None and (int(found[1]), int(found[2])) < than


def _exported(analysis: Analysis, path: str) -> Edit:
    source = parsed(analysis, path)
    patch = Patch(source)
    imports = Imports(patch)
    style = patch.style
    known = source.functions.get("onRequestError")
    if known is not None:
        body, listed = known.child_by_field_name("body"), known.child_by_field_name("parameters")
        names = [re.split(r"[:=?]", text_of(item))[0].strip() for item in listed.named_children] if listed else []
        if (
            body is None
            or body.type != "statement_block"
            or len(names) != 3
            or any(not name.isidentifier() for name in names)
        ):
            raise NotClear(f"onRequestError in {path} does not take what it would hand on", _REQUEST)
        from sentry_audit.fixers.js_boundaries import first_statement

        call = f"{imports.of(_SDK, 'captureRequestError')}({', '.join(names)})"
        first_statement(patch, body, f"{call}{style.semicolon}")
    elif re.search(r"\bonRequestError\b", source.text) or "module.exports" in source.text:
        raise NotClear(f"what {path} exports as onRequestError was not followed", _REQUEST)
    else:
        value = imports.of(_SDK, "captureRequestError")
        text = f"export const onRequestError = {value}{style.semicolon}"
        whole = patch.bytes.decode()
        gap = "" if whole.endswith(("\n", "\r")) else style.end
        patch.insert(len(patch.bytes), f"{gap}{style.end}{text}{style.end}")
    imports.flush()
    return patch.edit()


def _configurations(analysis: Analysis) -> dict[str, str]:
    """The configurations of the server by runtime, which nothing but instrumentation loads."""
    stems = (("nodejs", "sentry.server.config"), ("edge", "sentry.edge.config"))
    return {runtime: found for runtime, stem in stems if (found := _existing(analysis, stem)) is not None}


def _instrumentation(analysis: Analysis) -> Edit:
    folder = folder_of_sources(analysis)
    style = project_style(analysis)
    path = join(folder, f"instrumentation.{'ts' if is_typed(analysis) else 'js'}")
    rows = ['import * as Sentry from "@sentry/nextjs";', ""]
    configs = _configurations(analysis)
    if configs:
        rows.append("export async function register() {")
        for runtime, config in configs.items():
            module = relpath(splitext(config)[0], folder or ".")
            module = module if module.startswith(".") else f"./{module}"
            rows += [f'  if (process.env.NEXT_RUNTIME === "{runtime}") {{', f'    await import("{module}");', "  }"]
        rows.append("}")
    else:
        rows += ["export function register() {", "  Sentry.init({"]
        rows += [f"    {option}," for option in options_text(analysis)]
        rows += ["  });", "}"]
    return Edit(path, style.written("\n".join([*rows, "", _REQUEST, ""])))


@refusing
def global_error(case: Case) -> Change:
    """Add ``app/global-error``, as the documentation of the SDK has it."""
    analysis = analysis_of(case)
    package = package_of(analysis)
    folder = next((here.path for fact in bad_of(case) for here in fact.evidence if here.path), None)
    if folder is None:
        raise NotClear("the folder of the app was not found again")
    layout = next(
        (path for path in analysis.loading.code if dirname(path) == folder and basename(path).startswith("layout.")),
        "",
    )
    typed = is_typed(analysis)
    end = splitext(layout)[1] or (".tsx" if typed else ".jsx")
    path = join(folder, f"global-error{end}")
    text = _GLOBAL.replace(_SDK, package).replace("SHAPE", _SHAPE if end == ".tsx" else "")
    text = project_style(analysis, layout or path).written(text.rstrip("\n")) + project_style(analysis).end
    return answered(f"will add {path}, which captures errors of the root layout", [Edit(path, text)])


@refusing
def moved(case: Case) -> Change:
    """Move ``sentry.client.config`` to ``instrumentation-client``, which every bundler of Next.js loads."""
    analysis = analysis_of(case)
    inits = [item for item in analysis.inits if basename(item.source.path).startswith("sentry.client.config.")]
    paths = list(dict.fromkeys(item.source.path for item in inits))
    if len(paths) != 1:
        raise NotClear("which sentry.client.config is meant is not clear")
    taken = _existing(analysis, "instrumentation-client")
    if users := analysis.loading.importers(paths[0]):
        raise NotClear(f"{users[0]} imports {paths[0]}")
    source = parsed(analysis, paths[0])
    target = taken or join(folder_of_sources(analysis), f"instrumentation-client{splitext(paths[0])[1]}")
    folder = dirname(target)
    rest = _rest(analysis, taken, source) if taken is not None else ""
    patch = Patch(source)
    for node in walk(source.root):
        value = string_of(node) if node.type == "string" else None
        if value and value.startswith(".") and node.parent is not None and _is_import(node.parent):
            there = relpath(normpath(join(dirname(paths[0]), value)), folder or ".")
            there = there if there.startswith(".") else f"./{there}"
            if there != value:
                patch.replace(node, text_of(node)[0] + there + text_of(node)[-1])
    imports = Imports(patch)
    if "onRouterTransitionStart" not in source.text + rest and not _older(analysis, (9, 12)):
        value = imports.of(_SDK, "captureRouterTransitionStart")
        rest += f"export const onRouterTransitionStart = {value}{patch.style.semicolon}"
    if rest:
        gap, end = "" if source.text.endswith("\n") else patch.style.end, patch.style.end
        patch.insert(len(patch.bytes), f"{gap}{end}{rest}{end}")
    imports.flush()
    edits = [Edit(target, patch.edit().after), Edit(paths[0], None)]
    verb = "move" if taken is None else "put the init of"
    return answered(
        f"will {verb} {paths[0]} {'to' if taken is None else 'into'} {target}, which Turbopack loads", edits
    )


def _rest(analysis: Analysis, taken: str, source: Source) -> str:
    """What ``instrumentation-client`` has but imports that ``source`` has too. Raises NotClear where it is more."""
    refused = NotClear(f"{taken} is there already: put the init of {source.path} into it")
    there = parsed(analysis, taken)
    if splitext(taken)[1] != splitext(source.path)[1] or any(item.source.path == taken for item in analysis.inits):
        raise refused
    if any(source.imports.get(name) != known for name, known in there.imports.items()):
        raise refused
    if (there.constants.keys() | there.functions.keys()) & (source.constants.keys() | source.functions.keys()):
        raise refused
    last = max((node.end_byte for node in there.root.named_children if node.type == "import_statement"), default=0)
    return there.text.encode()[last:].decode().strip()


def _is_import(node: object) -> bool:
    kind = getattr(node, "type", "")
    if kind == "arguments":
        function = node.parent.child_by_field_name("function")  # type: ignore[attr-defined]
        return text_of(function) in {"require", "import"}
    return kind in {"import_statement", "export_statement"}


def client(analysis: Analysis) -> list[Edit]:
    """``instrumentation-client`` with an init of its own, and what loads it in older versions. Raises NotClear."""
    taken = _existing(analysis, "instrumentation-client")
    starts = any(item.source.path == taken for item in analysis.inits)
    more: list[Edit] = []
    version = re.match(r"(\d+)\.(\d+)", analysis.version("next"))
    if version is not None and (int(version[1]), int(version[2])) < (15, 3) and (starts or taken is None):
        if not any(item.name == "withSentryConfig" for item in analysis.plugins):
            from sentry_audit.fixers.js_plugins import plugged

            more, _ = plugged(analysis)  # before 15.3 only the SDK's own configuration loads the file
    if taken is not None:
        if not more:
            raise NotClear(f"{taken} is there, and no init of it runs")
        return more
    path = join(folder_of_sources(analysis), f"instrumentation-client.{'ts' if is_typed(analysis) else 'js'}")
    rows = ['import * as Sentry from "@sentry/nextjs";', "", "Sentry.init({"]
    rows += [f"  {option}," for option in options_text(analysis)]
    rows += ["});"]
    if not _older(analysis, (9, 12)):
        rows += ["", "export const onRouterTransitionStart = Sentry.captureRouterTransitionStart;"]
    text = "\n".join([*rows, ""]).replace(_SDK, package_of(analysis))
    if package_of(analysis) != _SDK:
        text = text.partition("\n\nexport const")[0] + "\n"
    return [Edit(path, project_style(analysis).written(text)), *more]


ECOSYSTEM = "npm"
FIXERS = {
    "frontend-request-errors-captured": request_errors,
    "frontend-global-error-present": global_error,
    "frontend-init-ignored-by-bundler": moved,
}
