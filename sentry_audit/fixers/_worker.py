"""The init of a Celery worker whose module the web application imports as well.

A call at the top of that module would run a second time in every web process. Celery's own signal runs in workers only:
docs.sentry.io/platforms/python/integrations/celery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.fixers.common import changed, source_of
from sentry_audit.fixers.pyimports import add_import

if TYPE_CHECKING:
    import ast

    from sentry_audit.fixing import Case, Change, Refusal

_HANDLER = "init_worker"


def on_worker_start(case: Case, path: str, above: ast.stmt, statement: str, call: str) -> Change | Refusal | None:
    """A handler of ``celeryd_init`` above a statement of ``path`` that makes ``call``, whose name ``statement`` imports.

    None where the handler's name is taken, or the file cannot be edited.
    """
    source = source_of(case, path)
    if source is None or _HANDLER in source.names():
        return None
    _, module, _, name = statement.split()
    signal = add_import(source, case.program, "celery.signals", "celeryd_init")
    called = add_import(source, case.program, module, name)
    result = " -> None" if source.annotated and source.module.functions else ""
    options = "**_options: object" if result else "**_options"
    source.define_above(
        above,
        [
            f"@{signal}.connect",
            f"def {_HANDLER}({options}){result}:",
            f'{source.unit}"""Workers are processes of their own: the web application\'s init is not theirs."""',
            f"{source.unit}{call.replace(name, called, 1)}",
        ],
    )
    return changed(f"will initialise Sentry when the worker starts, in {path}", [source], safety="review")
