"""The variable of a browser's DSN, under the prefix that its bundler compiles in. Source: vite.dev, nextjs.org (env)."""

from __future__ import annotations

import re
from posixpath import basename, dirname
from typing import TYPE_CHECKING

from sentry_audit.facts import FrontendDsn
from sentry_audit.fixers.js_web import NotClear, analysis_of, answered, bad_of, reads, refusing
from sentry_audit.fixing import Edit
from sentry_audit.javascript.names import CODE, is_test
from sentry_audit.javascript.syntax import Source

if TYPE_CHECKING:
    from sentry_audit.fixing import Case, Change

_SERVER = re.compile(
    r"(^|/)(sentry\.(edge|server)\.config|instrumentation|middleware|proxy)\.\w+$|\.config\.\w+$|(^|/)(server|api)/"
)
_DOCUMENTS = (".md", ".mdx", ".rst", ".txt")


@refusing
def public(case: Case) -> Change:
    """Read the DSN from a variable with the bundler's prefix, if nothing but the browser's code uses the one without."""
    analysis = analysis_of(case)
    name = next((fact.variable for fact in bad_of(case) if isinstance(fact, FrontendDsn)), "")
    if not name:
        raise NotClear(case.finding.message, f"dsn: {reads(analysis, 'SENTRY_DSN')},")
    new = reads(analysis, name)
    owner, _, variable = new.rpartition(".")
    here = re.compile(rf"(?<![\w$]){re.escape(name)}(?![\w$])")
    read = re.compile(rf"(?:import\.meta\.env|(?:globalThis\.)?process\.env)\.{re.escape(name)}(?![\w$])")
    edits = []
    for path in case.files.search([name]):
        text = case.files.text(path) or ""
        if not here.search(text) or path.endswith(_DOCUMENTS):
            continue
        if path.endswith(CODE) and analysis.owns(path) and not _SERVER.search(path) and not is_test(path):
            after = here.sub(variable, read.sub(f"{owner}.{variable}", text))
            if Source(path, after).error_line() is not None:
                raise NotClear(f"{path} would not parse after the edit")
        elif basename(path).startswith(".env") and dirname(path) == analysis.frontend.folder:
            after = re.sub(rf"(?m)^(\s*(?:export\s+)?){re.escape(name)}(?=\s*=)", rf"\g<1>{variable}", text)
        else:
            raise NotClear(
                f"{path} uses {name} too: browsers need one of their own, which the build must be given",
                f"dsn: {new},",
            )
        edits.append(Edit(path, after))
    if not edits:
        raise NotClear(f"what reads {name} was not found again")
    return answered(
        f"will read {variable} in place of {name}, which browsers never see; the build must be given it",
        edits,
        "review",
    )


ECOSYSTEM = "npm"
FIXERS = {"frontend-dsn-public": public}
