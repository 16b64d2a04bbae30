"""The integrations of a reached init: which are listed, and whether the framework's own captures errors."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.facts import Integrations
from sentry_audit.python.truth import concrete
from sentry_audit.python.values import Scope, place

if TYPE_CHECKING:
    from sentry_audit.python.analysis import Analysed, Reached
    from sentry_audit.python.module import Module

#: Framework → the integrations that capture its unhandled errors: docs.sentry.io/platforms/python/integrations.
OWN_INTEGRATION = {
    "fastapi": ("fastapi.FastApiIntegration", "starlette.StarletteIntegration"),
    "starlette": ("starlette.StarletteIntegration",),
    "flask": ("flask.FlaskIntegration",),
    "django": ("django.DjangoIntegration",),
    "quart": ("quart.QuartIntegration",),
    "sanic": ("sanic.SanicIntegration",),
    "litestar": ("litestar.LitestarIntegration",),
}
#: Libraries that call models → the integration that makes their spans.
LLMS = {
    "openai": "openai.OpenAIIntegration",
    "anthropic": "anthropic.AnthropicIntegration",
    "langchain": "langchain.LangchainIntegration",
    "langgraph": "langgraph.LanggraphIntegration",
    "litellm": "litellm.LiteLLMIntegration",
    "cohere": "cohere.CohereIntegration",
    "huggingface-hub": "huggingface_hub.HuggingfaceHubIntegration",
    "google-genai": "google_genai.GoogleGenAIIntegration",
    "openai-agents": "openai_agents.OpenAIAgentsIntegration",
    "pydantic-ai": "pydantic_ai.PydanticAIIntegration",
}
#: Where the SDK keeps its integrations.
PACKAGE = "sentry_sdk.integrations."


def integration_calls(analysed: Analysed, item: Reached) -> list[tuple[ast.Call, Module, str]]:
    """The integration objects that init is given, with their full class names."""
    if "integrations" not in item.init.options:
        return []
    expression, scope = item.init.options["integrations"]
    found = []
    for node, module in listed_elements(analysed, expression, scope):
        if isinstance(node, ast.Call) and (name := module.qualify(node.func)).startswith(PACKAGE):
            found.append((node, module, name))
        elif isinstance(node, ast.Name | ast.Attribute) and (name := module.qualify(node)).startswith(PACKAGE):
            found.append((ast.Call(node, [], []), module, name))
    return found


def listed_elements(analysed: Analysed, expression: ast.expr, scope: Scope) -> list[tuple[ast.expr, Module]]:
    """The elements of a list expression, also of a name that holds one, with later ``append``s."""
    found: list[tuple[ast.expr, Module]] = []
    if isinstance(expression, ast.BinOp):
        return listed_elements(analysed, expression.left, scope) + listed_elements(analysed, expression.right, scope)
    value = analysed.resolver.value(expression, scope)
    literal = value.literal
    module = scope.module
    if isinstance(literal, ast.List | ast.Tuple):
        if value.trail and value.trail[-1].path != module.path:
            module = analysed.resolver.program.module(value.trail[-1].path or "") or module
        for element in literal.elts:
            found += (
                listed_elements(analysed, element.value, scope)
                if isinstance(element, ast.Starred)
                else [(element, module)]
            )
    if isinstance(expression, ast.Name):
        around: ast.AST = scope.function or scope.module.tree
        for node in ast.walk(around):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in {"append", "extend", "insert"}
            ):
                if isinstance(node.func.value, ast.Name) and node.func.value.id == expression.id and node.args:
                    found.append((node.args[-1], scope.module))
    return found


def listed_integrations(analysed: Analysed, item: Reached) -> set[str]:
    """The short names (``fastapi.FastApiIntegration``) of the integrations that init is given."""
    return {name.removeprefix(PACKAGE) for _, _, name in integration_calls(analysed, item)}


def constant_option(analysed: Analysed, item: Reached, option: str) -> object:
    """What an option of init is in this environment, as ``concrete`` says it; None where it is not given."""
    value = item.option(option, analysed.resolver)
    return concrete(analysed.resolver, value) if value is not None else None


def integrations(analysed: Analysed, item: Reached, listed: set[str]) -> Integrations:
    """Whether the framework's own integration still captures unhandled errors."""
    framework = analysed.service.fact.framework
    own = OWN_INTEGRATION.get(framework, ())
    problem, where = "", item.init.evidence
    if constant_option(analysed, item, "default_integrations") is False and not set(own) & listed:
        problem = (
            "default_integrations=False switches all default integrations off, and the auto-enabled ones with them"
        )
    elif constant_option(analysed, item, "auto_enabling_integrations") is False and own and not set(own) & listed:
        problem = f"auto_enabling_integrations=False, and {own[0].rsplit('.', 1)[-1]} is not listed"
    elif off := _disabled(analysed, item, own):
        problem = f"disabled_integrations switches {off} off"
    else:
        for call, module, dotted in integration_calls(analysed, item):
            for keyword in call.keywords:
                if keyword.arg == "failed_request_status_codes" and dotted.removeprefix(PACKAGE) in own:
                    narrowed = _narrowed(keyword.value)
                    if narrowed:
                        problem, where = narrowed, place(module, keyword.value)
    return Integrations(
        component=analysed.name, framework=framework, active=not problem, problem=problem, evidence=(where,)
    )


def _disabled(analysed: Analysed, item: Reached, own: tuple[str, ...]) -> str:
    if "disabled_integrations" not in item.init.options:
        return ""
    expression, scope = item.init.options["disabled_integrations"]
    for node, module in listed_elements(analysed, expression, scope):
        target = node.func if isinstance(node, ast.Call) else node
        name = module.qualify(target).removeprefix(PACKAGE)
        if name in own:
            return name.rsplit(".", 1)[-1]
    return ""


def _narrowed(node: ast.expr) -> str:
    """Status codes that leave out some of 500–599 (literal sets, lists and ranges only)."""
    codes: set[int] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and ast.unparse(part.func) == "range":
            bounds = [
                item.value for item in part.args if isinstance(item, ast.Constant) and isinstance(item.value, int)
            ]
            if len(bounds) == 2:
                codes |= set(range(bounds[0], bounds[1]))
        elif isinstance(part, ast.Constant) and isinstance(part.value, int) and not isinstance(part.value, bool):
            codes.add(part.value)
    if not codes and not isinstance(node, ast.Set | ast.List | ast.Tuple) and ast.unparse(node) != "set()":
        return ""
    missing = [code for code in (500, 502, 503, 504) if code not in codes]
    return f"failed_request_status_codes leaves out {', '.join(map(str, missing))}" if missing else ""
