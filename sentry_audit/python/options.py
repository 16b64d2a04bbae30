"""What the options of a reached init do: sampling, hooks and tracing; the others have modules of their own."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.facts import Hook, SampleRate, Tracing
from sentry_audit.python.hooks import hook_problem, sampler_problem
from sentry_audit.python.integrations import LLMS, PACKAGE, constant_option, integrations, listed_integrations
from sentry_audit.python.privacy import privacy
from sentry_audit.python.release import release
from sentry_audit.python.symbols import symbols
from sentry_audit.python.truth import concrete
from sentry_audit.python.values import Value, place

if TYPE_CHECKING:
    from collections.abc import Collection

    from sentry_audit.facts import Fact
    from sentry_audit.python.analysis import Analysed, Reached
    from sentry_audit.sdk_table import SdkTable

_RATES = ("sample_rate", "traces_sample_rate", "profiles_sample_rate", "profile_session_sample_rate")
_HOOKS = ("before_send", "before_send_transaction", "before_send_log", "before_send_span")
#: Distribution → the integration that makes its spans; ``""`` when the SDK has none.
DATABASES = {
    "sqlalchemy": "sqlalchemy.SqlalchemyIntegration",
    "sqlmodel": "sqlalchemy.SqlalchemyIntegration",
    "asyncpg": "asyncpg.AsyncPGIntegration",
    "pymongo": "pymongo.PyMongoIntegration",
    "motor": "pymongo.PyMongoIntegration",
    "redis": "redis.RedisIntegration",
    "aiomysql": "aiomysql.AioMySQLIntegration",
}


def option_facts(analysed: Analysed, table: SdkTable, version: str, installed: Collection[str]) -> list[Fact]:
    """All facts about the options of the component's reached init calls.

    ``version`` is the SDK version that resolves; ``installed`` the distributions that are installed.
    """
    found: list[Fact] = []
    for item in analysed.reached:
        found += symbols(analysed, item, table, version)
        found += sample_rates(analysed, item)
        found += hooks(analysed, item)
        listed = listed_integrations(analysed, item)
        found.append(integrations(analysed, item, listed))
        found += tracing(analysed, item, table, version, installed, listed)
        found.append(privacy(analysed, item, version, installed))
        found.append(release(analysed, item))
    return found


def sample_rates(analysed: Analysed, item: Reached) -> list[Fact]:
    """Each sampling option: a string or a number out of range switches tracing off without a word [SENTRY.md §1.3]."""
    found: list[Fact] = []
    for option in _RATES:
        value = item.option(option, analysed.resolver)
        if value is None or (value.kind == "literal" and value.literal is None):
            continue
        problem, unknown = _rate_problem(option, value, analysed)
        expression, scope = item.init.options[option]
        literal = next((leaf.literal for leaf in value.leaves() if leaf.kind == "literal"), None)
        found.append(
            SampleRate(
                component=analysed.name,
                option=option,
                value=scope.module.source(expression, 50),
                effective=not problem,
                problem=problem,
                unknown=unknown,
                per_environment=any(leaf.kind != "literal" for leaf in value.leaves())
                or value.kind == "either"
                or not isinstance(expression, ast.Constant),
                full=isinstance(literal, int | float) and literal >= 1,
                zero=isinstance(expression, ast.Constant) and expression.value == 0,
                evidence=tuple(
                    dict.fromkeys(
                        (
                            place(scope.module, expression, f"{option}={scope.module.source(expression, 50)}"),
                            *value.trail,
                        )
                    )
                ),
            )
        )
    if "traces_sampler" in item.init.options:
        found.append(_sampler(analysed, item))
    return found


def _rate_problem(option: str, value: Value, analysed: Analysed) -> tuple[str, str]:
    for leaf in value.leaves():
        if leaf.kind == "env" and leaf.cast not in {"float", "int"} and option != "sample_rate":
            return (
                f"{leaf.names[0]} is read as a string; the SDK takes a string for no rate at all, so wrap it in float()",
                "",
            )
        if leaf.kind == "dynamic":
            return "", f"{option} could not be followed: {leaf.reason}"
    found = concrete(analysed.resolver, value)
    if isinstance(found, str):
        return (
            (f"{option} is the string {found!r}, which the SDK takes for no rate at all", "")
            if option != "sample_rate"
            else ("", "")
        )
    if isinstance(found, int | float) and not isinstance(found, bool):
        if not 0 <= found <= 1:
            return f"{option} is {found}, outside 0.0 to 1.0: the SDK then samples nothing", ""
        if found == 0 and option == "sample_rate":
            return "sample_rate is 0: every error is dropped", ""
    return "", ""


def _sampler(analysed: Analysed, item: Reached) -> SampleRate:
    expression, scope = item.init.options["traces_sampler"]
    value = item.option("traces_sampler", analysed.resolver)
    assert value is not None
    problem, unknown, evidence = sampler_problem(value, scope.module)
    return SampleRate(
        component=analysed.name, option="traces_sampler", value=scope.module.source(expression, 50), effective=not problem,
        problem=problem, unknown=unknown, per_environment=True, evidence=(place(scope.module, expression, "traces_sampler=…"), *evidence),
    )  # fmt: skip


def hooks(analysed: Analysed, item: Reached) -> list[Fact]:
    """``before_send`` and its like: what returns None, or raises, drops the event."""
    found: list[Fact] = []
    for option in _HOOKS:
        value = item.option(option, analysed.resolver)
        if value is None or (value.kind == "literal" and value.literal is None):
            continue
        expression, scope = item.init.options[option]
        problem, unknown, evidence = hook_problem(value, scope.module)
        found.append(
            Hook(
                component=analysed.name,
                option=option,
                function=scope.module.source(expression, 60),
                keeps_events=not problem,
                problem=problem,
                unknown=unknown,
                evidence=(place(scope.module, expression, f"{option}=…"), *evidence),
            )
        )
    return found


def tracing(
    analysed: Analysed, item: Reached, table: SdkTable, version: str, installed: Collection[str], listed: set[str]
) -> list[Fact]:
    """Whether transactions are sampled at all, and whether installed libraries make spans."""
    name, options = analysed.name, item.init.options
    rate = item.option("traces_sample_rate", analysed.resolver)
    found = concrete(analysed.resolver, rate) if rate is not None else None
    on = (
        "traces_sampler" in options
        or constant_option(analysed, item, "enable_tracing") is True
        or (rate is not None and found != 0 and found is not None)
    )
    problem = (
        ""
        if on
        else (
            "traces_sample_rate is 0"
            if found == 0
            else "traces_sample_rate is None: nothing is traced"
            if rate is not None and found is None
            else "neither traces_sample_rate nor traces_sampler is set; Python does not read SENTRY_TRACES_SAMPLE_RATE"
        )
    )
    unknown = "init is called with ** options that were not followed" if not on and item.init.open else ""
    facts: list[Fact] = [
        Tracing(
            component=name, area="tracing", enabled=on, problem=problem, unknown=unknown, evidence=(item.init.evidence,)
        )
    ]
    for area, libraries in (("database", DATABASES), ("llm", LLMS)):
        for library, integration in libraries.items():
            if library not in installed or not on:
                continue
            dotted = PACKAGE + integration
            active = integration in listed or table.auto_enabled(dotted, version)
            if (
                constant_option(analysed, item, "default_integrations") is False
                or constant_option(analysed, item, "auto_enabling_integrations") is False
            ):
                active = integration in listed
            short = integration.rsplit(".", 1)[-1]
            why = f"{short} is not switched on by itself in sentry-sdk {version}: list it in integrations"
            if not table.has_integration(dotted, version):
                why = f"sentry-sdk {version} has no {short}"
            facts.append(
                Tracing(
                    component=name,
                    area=area,
                    library=library,
                    enabled=active,
                    problem="" if active else why,
                    evidence=(item.init.evidence,),
                )
            )
    return facts
