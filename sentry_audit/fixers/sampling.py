"""How much of a Python program is traced: a rate from the environment, no probes, the spans of its libraries.

Source: Python does not read SENTRY_TRACES_SAMPLE_RATE by itself, and a string or a sampler's None samples nothing
(sentry_sdk/tracing_utils.py, ``is_valid_sample_rate``).
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit.derive.repository import PROBE_TOKENS, probes_in
from sentry_audit.facts import Dependency, HealthChecks, Tracing
from sentry_audit.fixers._code import analysed
from sentry_audit.fixers._style import reader
from sentry_audit.fixers.common import changed, python_files, version_of
from sentry_audit.fixers.configuring import field_for_rate
from sentry_audit.fixers.listing import list_integrations
from sentry_audit.fixers.privacy import one_init
from sentry_audit.fixers.pycalls import add_arguments, argument, replace_value
from sentry_audit.fixers.pyimports import add_import, sdk
from sentry_audit.fixers.scrubbing import scrub_hooks
from sentry_audit.fixing import Refusal
from sentry_audit.python.hooks import leaves_out
from sentry_audit.python.integrations import LLMS, PACKAGE
from sentry_audit.python.options import DATABASES
from sentry_audit.sdk_table import key

if TYPE_CHECKING:
    from sentry_audit.fixers.pysource import Source
    from sentry_audit.fixing import Case, Change, Fixer
    from sentry_audit.python.inits import InitCall

VARIABLE = "SENTRY_TRACES_SAMPLE_RATE"
#: What the SDK's own guides start production with: a tenth of the transactions.
_RATE = "0.1"
_SAMPLER = "traces_sampler"


def trace(case: Case) -> Change | Refusal:
    """Sample transactions, at a rate that comes from where the project's configuration comes from."""
    found = one_init(case)
    if isinstance(found, Refusal):
        return found
    init, source = found
    if init.open:
        return Refusal(reason=f"{init.module.path}: init is given options that were not followed")
    given = argument(init.call, "traces_sample_rate")
    if given is None and "traces_sample_rate" in init.options:
        return Refusal(reason="traces_sample_rate is given outside the call of init: set it there")
    if given is not None and not isinstance(given.value, ast.Constant):
        written = source.source(given.value)
        return Refusal(reason=f"traces_sample_rate={written} comes from configuration: give it a rate above 0 there")
    if given is not None and (note := _note(source, given.value.lineno)):
        return Refusal(reason=f"{init.module.path}:{given.value.lineno}: a comment says why it is off: {note}")
    more = field_for_rate(case, source, init, VARIABLE, _RATE)
    rate, others = more if more is not None else (_from_environment(source, case, _RATE), [])
    extra = _along(case, source, init)
    if given is not None:
        replace_value(source, init.call, given, rate, extra)
    else:
        add_arguments(source, init.call, [f"traces_sample_rate={rate}", *extra])
    sources = [source, *(item for item in others if item is not source)]
    return changed(
        f"will sample transactions at {VARIABLE} ({_RATE} where it is not set), in {init.module.path}",
        sources,
        safety="safe",
    )


def _note(source: Source, number: int) -> str:
    """The comment on a line, or right above it: it would no longer be true."""
    above = source.line(number - 1).strip() if number > 1 else ""
    return source.line(number).rstrip().partition("  # ")[2] or (above.lstrip("# ") if above.startswith("#") else "")


def _along(case: Case, source: Source, init: InitCall) -> list[str]:
    """What init is given together with a rate, which would otherwise be missing as soon as something is traced.

    Probes are left out, the libraries that need it are listed, and transactions are scrubbed like errors are.
    """
    version = version_of(case)
    extra: list[str] = []
    if "before_send" in init.options and "before_send_transaction" not in init.options:
        hooks = scrub_hooks(case, source, init, ("before_send_transaction",))
        extra += [f"{option}={name}" for option, name in hooks.items()] if isinstance(hooks, dict) else []
    used = {fact.name for fact in case.scanned if isinstance(fact, Dependency) and case.component.holds(fact.path)}
    names = [PACKAGE + name for library, name in {**DATABASES, **LLMS}.items() if library in used]
    silent = [
        name
        for name in names
        if case.table.has_integration(name, version) and not case.table.auto_enabled(name, version)
    ]
    listed = list_integrations(case, source, init, dict.fromkeys(silent, "")) if silent else []
    extra += listed if isinstance(listed, list) else []
    probes = dict.fromkeys(
        probe for path in python_files(case, PROBE_TOKENS) for probe, _ in probes_in(case.files.text(path) or "")
    )
    if probes and not leaves_out(init.options, analysed(case).resolver) and key(version) >= (2, 0):
        sampler = _sampler(case, source, init, tuple(probes))
        extra += [sampler] if isinstance(sampler, str) else []
    return extra


def rate_from_variable(case: Case) -> Change | Refusal:
    """Read the rate that is written in the code from a variable; the written one stays the default."""
    found = one_init(case)
    if isinstance(found, Refusal):
        return found
    init, source = found
    given = argument(init.call, "traces_sample_rate")
    if given is None or not isinstance(given.value, ast.Constant) or not isinstance(given.value.value, int | float):
        return Refusal(reason=f"the rate is not written in the call of init: read it from {VARIABLE} where it is")
    written = source.source(given.value)
    more = field_for_rate(case, source, init, VARIABLE, written)
    rate, others = more if more is not None else (_from_environment(source, case, written), [])
    replace_value(source, init.call, given, rate)
    sources = [source, *(item for item in others if item is not source)]
    return changed(
        f"will read the rate from {VARIABLE} ({written} where it is not set), in {init.module.path}",
        sources,
        safety="safe",
    )


def _from_environment(source: Source, case: Case, default: str) -> str:
    """The rate read as the file reads its variables, as a number."""
    how = reader(source.module)
    if how.imports:
        how = replace(how, call=f"{add_import(source, case.program, 'os')}.{how.call.partition('.')[2]}")
    return source.quoted(how.number(VARIABLE, default, '"'))


# --- probes -----------------------------------------------------------------------------------------


def leave_probes(case: Case) -> Change | Refusal:
    """Give init a sampler that leaves the probes out, and keeps the rate for all else."""
    found = one_init(case)
    if isinstance(found, Refusal):
        return found
    init, source = found
    probes = next((fact.probes for fact in case.bad if isinstance(fact, HealthChecks)), ())
    version = version_of(case)
    if not probes or key(version) < (2, 0):
        return Refusal(
            reason=f"sentry-sdk {version} has no get_client: write a traces_sampler that returns 0 for probes"
        )
    if init.open or not _has_rate(init):
        return Refusal(reason="no traces_sample_rate stands in the call of init for the sampler to keep")
    more = _sampler(case, source, init, probes)
    if isinstance(more, Refusal):
        return more
    add_arguments(source, init.call, [more])
    return changed(
        f"will trace no probe ({', '.join(probes)}), by a traces_sampler in {init.module.path}", [source], safety="safe"
    )


def _has_rate(init: InitCall) -> bool:
    """Whether init has a rate in its options: ``enable_tracing=True`` makes one of 1.0 (sentry_sdk/client.py)."""
    tracing = argument(init.call, "enable_tracing")
    return "traces_sample_rate" in init.options or (tracing is not None and ast.unparse(tracing.value) == "True")


def _sampler(case: Case, source: Source, init: InitCall, probes: tuple[str, ...]) -> str | Refusal:
    """Write the sampler above the statement that calls init; returns the argument that passes it."""
    where = _path(case.component.framework)
    if where is None:
        return Refusal(reason=f"where {case.component.framework} puts a request's path for a sampler was not measured")
    taken = source.names()
    name = next(item for item in (_SAMPLER, "leave_probes_out", "sample_traces") if item not in taken)
    constant = next(
        item for item in ("HEALTH_CHECKS", "HEALTH_CHECK_PATHS", "_HEALTH_CHECK_PATHS") if item not in taken
    )
    local = _imported_beside(init)
    sdk_name = local or sdk(source, case.program).name
    arguments, result = "sampling_context", ""
    if source.annotated:
        any_ = add_import(source, case.program, "typing", "Any", init.call)
        arguments, result = f"sampling_context: dict[str, {any_}]", " -> float"
    paths = _tuple(source, constant, [f'"{probe}"' for probe in probes])
    step = source.unit
    lines = [
        "#: Paths that only ask whether the service is up.",
        *paths,
        "",
        "",
        f"def {name}({arguments}){result}:",
        f'{step}"""Leave health checks out; else follow the caller\'s decision, or the rate."""',
        *([f"{step}import sentry_sdk{'' if local == 'sentry_sdk' else f' as {local}'}", ""] if local else []),
        *(step + line for line in where),
        f"{step}if path.endswith({constant}):",
        f"{step}{step}return 0.0",
        f'{step}parent = sampling_context.get("parent_sampled")',
        f"{step}if parent is not None:",
        f"{step}{step}return float(parent)",
        f'{step}return float({sdk_name}.get_client().options["traces_sample_rate"] or 0)',
    ]
    source.define_above(init.call, [_quoted(source, line) for line in lines], constants=True)
    return f"traces_sampler={name}"


def _imported_beside(init: InitCall) -> str:
    """What the SDK is called in the function that calls init, where it is imported there and not for the module."""
    known = init.module.aliases.get("sentry_sdk")
    named = [item for item in init.module.imports if item.module == "sentry_sdk" and not item.name]
    if not named or any(not item.in_function for item in named):
        return ""
    return known.alias if known is not None else named[0].alias


def _quoted(source: Source, line: str) -> str:
    return line if '"""' in line else source.quoted(line)


def _tuple(source: Source, name: str, items: list[str]) -> list[str]:
    comma = "," if len(items) == 1 else ""
    flat = f"{name} = ({', '.join(items)}{comma})"
    if len(flat) <= source.length:
        return [flat]
    return [f"{name} = (", *(f"{source.unit}{item}," for item in items), ")"]


def _path(framework: str) -> list[str] | None:
    """The lines that take the path out of what a sampler is told: it differs between ASGI and WSGI."""
    asgi = 'sampling_context.get("asgi_scope")'
    wsgi = 'sampling_context.get("wsgi_environ")'
    if framework in {"fastapi", "starlette", "quart", "litestar"}:
        return [f'path = ({asgi} or {{}}).get("path", "")']
    if framework == "flask":
        return [f'path = ({wsgi} or {{}}).get("PATH_INFO", "")']
    if framework == "django":
        return [
            f"scope = {asgi} or {{}}",
            f"environ = {wsgi} or {{}}",
            'path = scope.get("path") or environ.get("PATH_INFO", "")',
        ]
    return None


# --- spans ------------------------------------------------------------------------------------------


def list_library(case: Case) -> Change | Refusal:
    """List the integration that makes the spans of a library."""
    found = one_init(case)
    if isinstance(found, Refusal):
        return found
    init, source = found
    version = version_of(case)
    wanted: dict[str, str] = {}
    for fact in case.bad:
        if isinstance(fact, Tracing) and fact.library in {**DATABASES, **LLMS}:
            dotted = PACKAGE + {**DATABASES, **LLMS}[fact.library]
            if case.table.has_integration(dotted, version):
                wanted[dotted] = ""
    if not wanted:
        return Refusal(
            reason=f"sentry-sdk {version} has no integration for it: a newer one may",
            commands=("pip install --upgrade sentry-sdk",),
        )
    more = list_integrations(case, source, init, wanted)
    if isinstance(more, Refusal):
        return more
    add_arguments(source, init.call, more)
    names = ", ".join(name.rsplit(".", 1)[-1] for name in wanted)
    return changed(f"will list {names} in {init.module.path}", [source], safety="review")


FIXERS: dict[str, Fixer] = {
    "backend-tracing": trace,
    "sampling-per-environment": rate_from_variable,
    "noise-health-checks": leave_probes,
    "database-spans": list_library,
    "llm-spans": list_library,
}
