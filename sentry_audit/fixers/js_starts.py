"""Where Vue and SvelteKit start the SDK: beside the application that is made, and in the hooks of the kit.

Sources: docs.sentry.io/platforms/javascript/guides/vue (``app`` and ``router`` are given to the SDK),
docs.sentry.io/platforms/javascript/guides/sveltekit/manual-setup (hooks.client, hooks.server).
"""

from __future__ import annotations

import re
from posixpath import join
from typing import TYPE_CHECKING, Any

from sentry_audit.fixers.js_imports import Imports
from sentry_audit.fixers.js_web import NotClear, Patch, is_typed, package_of, parsed, project_style
from sentry_audit.fixing import Edit
from sentry_audit.javascript.syntax import text_of, walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.javascript.analysis import Analysis

_ENDS = (".ts", ".js")
_ERRORS = "export const handleError = Sentry.handleErrorWithSentry();"
_REQUESTS = "export const handle = Sentry.sentryHandle();"


def vue(analysis: Analysis, entry: str, options: Sequence[str]) -> Edit | None:
    """``entry`` with an init behind ``const app = createApp(…)``, which it is given; None where that is not plain.

    Without the application the SDK does not see what components throw.
    """
    patch = Patch(parsed(analysis, entry))
    made = _made(patch)
    if made is None:
        return None
    statement, app = made
    imports = Imports(patch)
    package = package_of(analysis)
    function = imports.of(package, "init")
    router = _router(patch, statement, app)
    tracing = imports.of(package, "browserTracingIntegration")
    given = "{ router }" if router == "router" else f"{{ router: {router} }}" if router else ""
    rows = [f"{function}({{", f"  app{'' if app == 'app' else f': {app}'},", *(f"  {option}," for option in options)]
    rows += [f"  integrations: [{tracing}({given})],", "});"]
    patch.insert(statement.end_byte, patch.style.end * 2 + patch.style.written("\n".join(rows)))
    imports.flush()
    return patch.edit()


def _made(patch: Patch) -> tuple[Any, str] | None:
    """(the statement that makes the application, its name), at the top of the module."""
    found = []
    for statement in patch.source.root.named_children:
        declared = [item for item in statement.named_children if item.type == "variable_declarator"]
        value = declared[0].child_by_field_name("value") if len(declared) == 1 else None
        if value is not None and re.match(r"create(SSR)?App\(", text_of(value)) and value.type == "call_expression":
            if "createApp" in text_of(value.child_by_field_name("function")):
                found.append((statement, text_of(declared[0].child_by_field_name("name"))))
    return found[0] if len(found) == 1 and found[0][1].isidentifier() else None


def _router(patch: Patch, statement: Any, app: str) -> str:
    """The router that the application uses, where it is there before the init; ``""`` else."""
    for node in walk(patch.source.root):
        if node.type != "call_expression" or text_of(node.child_by_field_name("function")) != f"{app}.use":
            continue
        given = node.child_by_field_name("arguments").named_children
        name = text_of(given[0]) if given and given[0].type == "identifier" else ""
        known = patch.source.imports.get(name)
        value = patch.source.constants.get(name)
        if known is not None and re.search(r"(^|/)router\b", known.module):
            return name
        if value is not None and text_of(value).startswith("createRouter(") and value.end_byte < statement.start_byte:
            return name
    return ""


def sveltekit(analysis: Analysis, options: Sequence[str]) -> tuple[list[Edit], str]:
    """(``hooks.client`` with an init, and ``hooks.server`` where there is none, what else is to be said)."""
    folder = join(analysis.frontend.folder, "src")
    end = ".ts" if is_typed(analysis) else ".js"
    here = next((path for end in _ENDS if (path := join(folder, f"hooks.client{end}")) in analysis.files.paths), None)
    server = next((path for end in _ENDS if (path := join(folder, f"hooks.server{end}")) in analysis.files.paths), None)
    rows = ["Sentry.init({", *(f"  {option}," for option in options), "});"]
    top = [f'import * as Sentry from "{package_of(analysis)}";', ""]
    style = project_style(analysis)
    if here is None:
        text = style.written("\n".join([*top, *rows, "", _ERRORS, ""]))
        edits = [Edit(join(folder, f"hooks.client{end}"), text)]
    else:
        edits = [_into(analysis, here, rows)]
    if "@sveltejs/adapter-static" in analysis.frontend.manifest.dependencies:
        return edits, ""
    if server is not None:
        return edits, f"; {server} is left to you: without Sentry's handle, errors of the server are not sent"
    text = style.written("\n".join([*top, *rows, "", _REQUESTS, _ERRORS, ""]))
    return [*edits, Edit(join(folder, f"hooks.server{end}"), text)], ""


def _into(analysis: Analysis, path: str, rows: Sequence[str]) -> Edit:
    """The hooks that are there, with an init behind their imports, and Sentry's handleError where they have none."""
    patch = Patch(parsed(analysis, path))
    imports = Imports(patch)
    if imports.of(package_of(analysis), "init") != "Sentry.init" or not imports.statements:
        raise NotClear(f"{path} is there already: put the init into it", *rows)
    style, end = patch.style, patch.style.end
    patch.insert(imports.statements[-1].end_byte, end * 2 + style.written("\n".join(rows)))
    if "handleError" not in patch.source.text:
        gap = "" if patch.source.text.endswith("\n") else end
        patch.insert(len(patch.bytes), f"{gap}{end}{style.written(_ERRORS)}{end}")
    imports.flush()
    return patch.edit()
