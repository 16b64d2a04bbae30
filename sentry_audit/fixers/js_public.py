"""The variable of a browser's DSN, under the prefix that its bundler compiles in. Source: vite.dev, nextjs.org (env)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.facts import FrontendDsn
from sentry_audit.fixers.js_web import NotClear, analysis_of, answered, bad_of, reads, refusing
from sentry_audit.fixers.renaming import dotenv, renamed
from sentry_audit.fixing import Edit, Refusal
from sentry_audit.javascript.names import CODE, is_test
from sentry_audit.javascript.syntax import Source

if TYPE_CHECKING:
    from sentry_audit.fixing import Case, Change

_SERVER = re.compile(
    r"(^|/)(sentry\.(edge|server)\.config|instrumentation|middleware|proxy)\.\w+$|(?<!sentry\.client)\.config\.\w+$|(^|/)(server|api)/"
)
#: Code of a server that may stand in the same folder, with the same dotenv files.
_OTHERS = (".py", ".go", ".rb", ".java", ".kt", ".php", ".cs", ".rs")


@refusing
def public(case: Case) -> Change:
    """Read the DSN from a variable with the bundler's prefix, and let what gives the old one give that.

    Code of the server goes on to read the old one, and is left what gives it.
    """
    analysis = analysis_of(case)
    name = next((fact.variable for fact in bad_of(case) if isinstance(fact, FrontendDsn)), "")
    if not name:
        raise NotClear(case.finding.message, f"dsn: {reads(analysis, 'SENTRY_DSN')},")
    new = reads(analysis, name)
    variable = new.rpartition(".")[2]
    edits, readers = _code(case, name, new)
    if not edits:
        raise NotClear(f"what reads {name} was not found again")
    for path in case.files.search([name]):
        given = dotenv(case, path, name, variable, kept=bool(readers))
        if given is not None and given.after != case.files.text(path):
            edits.append(given)
    if not readers:
        more = renamed(case, name, variable)
        if isinstance(more, Refusal):
            raise NotClear(more.reason, f"dsn: {new},")
        edits += more
    also = f" ({readers[0]} goes on to read {name})" if readers else ""
    return answered(
        f"will read {variable} in place of {name}, which browsers never see{also}; the build must be given it",
        edits,
        "review",
    )


def _code(case: Case, name: str, new: str) -> tuple[list[Edit], list[str]]:
    """(the browser's code, edited; the server's code of the same package that reads the variable too)."""
    analysis = analysis_of(case)
    owner, _, variable = new.rpartition(".")
    here = re.compile(rf"(?<![\w$]){re.escape(name)}(?![\w$])")
    read = re.compile(rf"(?:import\.meta\.env|(?:globalThis\.)?process\.env)\.{re.escape(name)}(?![\w$])")
    edits, readers = [], []
    for path in case.files.search([name]):
        text = case.files.text(path) or ""
        if not here.search(text) or not path.endswith((*CODE, *_OTHERS)) or is_test(path) or not analysis.owns(path):
            continue
        if _SERVER.search(path) or path.endswith(_OTHERS):
            readers.append(path)
            continue
        after = here.sub(variable, read.sub(f"{owner}.{variable}", text))
        if Source(path, after).error_line() is not None:
            raise NotClear(f"{path} would not parse after the edit")
        edits.append(Edit(path, after))
    return edits, readers


ECOSYSTEM = "npm"
FIXERS = {"frontend-dsn-public": public}
