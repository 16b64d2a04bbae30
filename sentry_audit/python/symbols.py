"""Whether the version of the SDK that is installed has the options, integrations and names that are in use."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.facts import SdkSymbol
from sentry_audit.python.integrations import PACKAGE, integration_calls
from sentry_audit.python.values import place

if TYPE_CHECKING:
    from sentry_audit.facts import Fact
    from sentry_audit.model import Evidence
    from sentry_audit.python.analysis import Analysed, Reached
    from sentry_audit.sdk_table import SdkTable


def _swallowed(analysed: Analysed, item: Reached) -> bool:
    from sentry_audit.facts import SdkInit

    return any(
        isinstance(fact, SdkInit) and fact.swallowed and item.init.evidence in fact.evidence for fact in analysed.facts
    )


def symbols(analysed: Analysed, item: Reached, table: SdkTable, version: str) -> list[Fact]:
    """Every option and integration argument in use that the resolved version does not know.

    An unknown one raises ``TypeError`` inside init. One fact says that all are known when none is.
    """
    init, name = item.init, analysed.name
    bad: list[SdkSymbol] = []
    caught = _swallowed(analysed, item)

    def missing(what: str, problem: str, evidence: Evidence) -> None:
        bad.append(
            SdkSymbol(
                component=name,
                name=what,
                version=version,
                exists=False,
                problem=problem,
                swallowed=caught,
                evidence=(evidence,),
            )
        )

    for option, (expression, scope) in init.options.items():
        if not table.has_option(option, version):
            lives = table.option_lives(option)
            problem = f"sentry-sdk {version} has no option {option}" + (f" (it had it {lives})" if lives else "")
            missing(option, problem, place(scope.module, expression, f"{option}=…"))
    for call, module, dotted in integration_calls(analysed, item):
        short = dotted.rsplit(".", 1)[-1]
        if not table.has_integration(dotted, version):
            if dotted.startswith(PACKAGE):
                problem = f"sentry-sdk {version} has no {dotted}"
                missing(dotted, problem, place(module, call))
            continue
        for keyword in call.keywords:
            if keyword.arg and not table.has_argument(dotted, keyword.arg, version):
                lives = table.argument_lives(dotted, keyword.arg)
                problem = f"{short} of sentry-sdk {version} takes no {keyword.arg}" + (
                    f" (it takes it {lives})" if lives else ""
                )
                missing(f"{short}({keyword.arg})", problem, place(module, keyword.value, f"{short}({keyword.arg}=…)"))
    bad += _names(analysed, table, version)
    if bad:
        return list(bad)
    return [SdkSymbol(component=name, name="all", version=version, exists=True, evidence=(init.evidence,))]


def _names(analysed: Analysed, table: SdkTable, version: str) -> list[SdkSymbol]:
    """``sentry_sdk.X`` and ``from sentry_sdk import X`` that the version does not have."""
    found: dict[str, SdkSymbol] = {}
    files = analysed.resolver.program.files
    for path in files.search(["sentry_sdk"], ".py"):
        if path not in analysed.closure:
            continue
        module = analysed.resolver.program.module(path)
        if module is None:
            continue
        used: list[tuple[str, ast.AST]] = []
        for node in module.nodes:
            if isinstance(node, ast.ImportFrom) and node.module == "sentry_sdk" and not node.level:
                used += [(alias.name, node) for alias in node.names]
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and module.qualify(node.value) == "sentry_sdk"
            ):
                used.append((node.attr, node))
        for name, node in used:
            if (
                name.startswith("_")
                or name in {"*", "VERSION", "__version__"}
                or table.has_export(name, version)
                or name in found
            ):
                continue
            lives = table.export_lives(name)
            if not lives:
                continue
            problem = f"sentry-sdk {version} has no sentry_sdk.{name} (it has it {lives})"
            found[name] = SdkSymbol(
                component=analysed.name,
                name=name,
                version=version,
                exists=False,
                problem=problem,
                evidence=(place(module, node),),
            )
    return list(found.values())
