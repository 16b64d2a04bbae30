"""What the options of a reached init do: known or not, sampling, hooks, integrations, privacy, release."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.facts import Hook, Integrations, Privacy, Release, SampleRate, SdkSymbol, Tracing
from sentry_audit.python.hooks import hook_problem, sampler_problem
from sentry_audit.python.truth import concrete
from sentry_audit.python.values import Scope, Value, place
from sentry_audit.releases import is_constant, made_from
from sentry_audit.sdk_table import key

if TYPE_CHECKING:
    from collections.abc import Collection

    from sentry_audit.facts import Fact
    from sentry_audit.model import Evidence
    from sentry_audit.python.analysis import Analysed, Reached
    from sentry_audit.python.module import Module
    from sentry_audit.sdk_table import SdkTable

_RATES = ("sample_rate", "traces_sample_rate", "profiles_sample_rate", "profile_session_sample_rate")
_HOOKS = ("before_send", "before_send_transaction", "before_send_log", "before_send_span")
_OWN_INTEGRATION = {
    "fastapi": ("fastapi.FastApiIntegration", "starlette.StarletteIntegration"),
    "starlette": ("starlette.StarletteIntegration",),
    "flask": ("flask.FlaskIntegration",),
    "django": ("django.DjangoIntegration",),
    "quart": ("quart.QuartIntegration",),
    "sanic": ("sanic.SanicIntegration",),
    "litestar": ("litestar.LitestarIntegration",),
}
#: Distribution → the integration that makes its spans; ``""`` when the SDK has none.
_DATABASES = {
    "sqlalchemy": "sqlalchemy.SqlalchemyIntegration",
    "sqlmodel": "sqlalchemy.SqlalchemyIntegration",
    "asyncpg": "asyncpg.AsyncPGIntegration",
    "pymongo": "pymongo.PyMongoIntegration",
    "motor": "pymongo.PyMongoIntegration",
    "redis": "redis.RedisIntegration",
    "aiomysql": "aiomysql.AioMySQLIntegration",
}
_LLMS = {
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
_PACKAGE = "sentry_sdk.integrations."


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
    for option, (expression, scope) in init.options.items():
        if not table.has_option(option, version):
            lives = table.option_lives(option)
            problem = f"sentry-sdk {version} has no option {option}" + (f" (it had it {lives})" if lives else "")
            bad.append(
                SdkSymbol(
                    component=name,
                    name=option,
                    version=version,
                    exists=False,
                    problem=problem,
                    swallowed=caught,
                    evidence=(place(scope.module, expression, f"{option}=…"),),
                )
            )
    for call, module, dotted in _integration_calls(analysed, item):
        short = dotted.rsplit(".", 1)[-1]
        if not table.has_integration(dotted, version):
            if dotted.startswith(_PACKAGE):
                problem = f"sentry-sdk {version} has no {dotted}"
                bad.append(
                    SdkSymbol(
                        component=name,
                        name=dotted,
                        version=version,
                        exists=False,
                        problem=problem,
                        swallowed=caught,
                        evidence=(place(module, call),),
                    )
                )
            continue
        for keyword in call.keywords:
            if keyword.arg and not table.has_argument(dotted, keyword.arg, version):
                lives = table.argument_lives(dotted, keyword.arg)
                problem = f"{short} of sentry-sdk {version} takes no {keyword.arg}" + (
                    f" (it takes it {lives})" if lives else ""
                )
                bad.append(
                    SdkSymbol(
                        component=name,
                        name=f"{short}({keyword.arg})",
                        version=version,
                        exists=False,
                        problem=problem,
                        swallowed=caught,
                        evidence=(place(module, keyword.value, f"{short}({keyword.arg}=…)"),),
                    )
                )
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


def _integration_calls(analysed: Analysed, item: Reached) -> list[tuple[ast.Call, Module, str]]:
    """The integration objects that init is given, with their full class names."""
    if "integrations" not in item.init.options:
        return []
    expression, scope = item.init.options["integrations"]
    found = []
    for node, module in _elements(analysed, expression, scope):
        if isinstance(node, ast.Call) and (name := module.qualify(node.func)).startswith(_PACKAGE):
            found.append((node, module, name))
        elif isinstance(node, ast.Name | ast.Attribute) and (name := module.qualify(node)).startswith(_PACKAGE):
            found.append((ast.Call(node, [], []), module, name))
    return found


def _elements(analysed: Analysed, expression: ast.expr, scope: Scope) -> list[tuple[ast.expr, Module]]:
    """The elements of a list expression, also of a name that holds one, with later ``append``s."""
    found: list[tuple[ast.expr, Module]] = []
    if isinstance(expression, ast.BinOp):
        return _elements(analysed, expression.left, scope) + _elements(analysed, expression.right, scope)
    value = analysed.resolver.value(expression, scope)
    literal = value.literal
    module = scope.module
    if isinstance(literal, ast.List | ast.Tuple):
        if value.trail and value.trail[-1].path != module.path:
            module = analysed.resolver.program.module(value.trail[-1].path or "") or module
        for element in literal.elts:
            found += (
                _elements(analysed, element.value, scope) if isinstance(element, ast.Starred) else [(element, module)]
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
    return {name.removeprefix(_PACKAGE) for _, _, name in _integration_calls(analysed, item)}


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


def _constant(analysed: Analysed, item: Reached, option: str) -> object:
    value = item.option(option, analysed.resolver)
    return concrete(analysed.resolver, value) if value is not None else None


def integrations(analysed: Analysed, item: Reached, listed: set[str]) -> Integrations:
    """Whether the framework's own integration still captures unhandled errors."""
    framework = analysed.service.fact.framework
    own = _OWN_INTEGRATION.get(framework, ())
    problem, where = "", item.init.evidence
    if _constant(analysed, item, "default_integrations") is False and not set(own) & listed:
        problem = (
            "default_integrations=False switches all default integrations off, and the auto-enabled ones with them"
        )
    elif _constant(analysed, item, "auto_enabling_integrations") is False and own and not set(own) & listed:
        problem = f"auto_enabling_integrations=False, and {own[0].rsplit('.', 1)[-1]} is not listed"
    elif off := _disabled(analysed, item, own):
        problem = f"disabled_integrations switches {off} off"
    else:
        for call, module, dotted in _integration_calls(analysed, item):
            for keyword in call.keywords:
                if keyword.arg == "failed_request_status_codes" and dotted.removeprefix(_PACKAGE) in own:
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
    for node, module in _elements(analysed, expression, scope):
        target = node.func if isinstance(node, ast.Call) else node
        name = module.qualify(target).removeprefix(_PACKAGE)
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


def tracing(
    analysed: Analysed, item: Reached, table: SdkTable, version: str, installed: Collection[str], listed: set[str]
) -> list[Fact]:
    """Whether transactions are sampled at all, and whether installed libraries make spans."""
    name, options = analysed.name, item.init.options
    rate = item.option("traces_sample_rate", analysed.resolver)
    found = concrete(analysed.resolver, rate) if rate is not None else None
    on = (
        "traces_sampler" in options
        or _constant(analysed, item, "enable_tracing") is True
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
    for area, libraries in (("database", _DATABASES), ("llm", _LLMS)):
        for library, integration in libraries.items():
            if library not in installed or not on:
                continue
            dotted = _PACKAGE + integration
            active = integration in listed or table.auto_enabled(dotted, version)
            if (
                _constant(analysed, item, "default_integrations") is False
                or _constant(analysed, item, "auto_enabling_integrations") is False
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


def privacy(analysed: Analysed, item: Reached, version: str, installed: Collection[str]) -> Privacy:
    """What is sent besides the error [SENTRY.md §1.4, §4.4: measured on the wire]."""
    options = item.init.options
    pii = _constant(analysed, item, "send_default_pii")
    collection = "data_collection" in options and key(version) >= (2, 70)
    problem = ""
    if collection:
        problem = f"data_collection is set, which switches the EventScrubber off since 2.70 ({version} resolves)"
        if "event_scrubber" in options:
            problem += "; the event_scrubber that is passed is ignored"
    hooked = {"before_send", "before_send_transaction"} <= set(options) or (
        "before_send" in options and "traces_sample_rate" not in options and "traces_sampler" not in options
    )
    strict = (
        _constant(analysed, item, "max_request_body_size") == "never"
        and _constant(analysed, item, "include_local_variables") is False
    )
    prompts = [
        place(module, keyword.value)
        for call, module, _ in _integration_calls(analysed, item)
        for keyword in call.keywords
        if keyword.arg == "include_prompts" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False
    ]
    uses_llm = any(library in installed for library in _LLMS)
    where = options["send_default_pii"][0] if "send_default_pii" in options else None
    evidence: tuple[Evidence, ...] = (item.init.evidence,)
    if where is not None:
        evidence = (
            place(
                options["send_default_pii"][1].module, where, f"send_default_pii={item.init.module.source(where, 40)}"
            ),
        )
    return Privacy(
        component=analysed.name,
        send_default_pii=pii is True,
        pii="send_default_pii is True: cookies, headers, addresses and LLM prompts are sent" if pii is True else "",
        scrubber_active=not collection,
        scrubbing=hooked or strict or _recursive(analysed, item),
        unscrubbed="only top-level key names are scrubbed: bodies, local variables and query strings are sent as they are",
        collects_prompts=uses_llm and (pii is True or collection) and not prompts,
        uses_llm=uses_llm,
        problem=problem,
        evidence=evidence,
    )


def _recursive(analysed: Analysed, item: Reached) -> bool:
    if "event_scrubber" not in item.init.options:
        return False
    expression, scope = item.init.options["event_scrubber"]
    value = analysed.resolver.value(expression, scope)
    call = expression if isinstance(expression, ast.Call) else value.call
    return call is not None and any(keyword.arg == "recursive" for keyword in call.keywords)


def release(analysed: Analysed, item: Reached) -> Release:
    """The release that events carry, as far as the code says: what its variables hold is for the environment to say.

    Source: sentry_sdk/utils.py ``get_default_release``: SENTRY_RELEASE, git, then platform variables.
    """
    name = analysed.name
    code = item.init.options.get("release")
    value = item.option("release", analysed.resolver)
    values = [analysed.resolver.value(node, code[1]) for node in _assigned(*code)] if code is not None else []
    values = values or ([value] if value is not None else [])
    leaves = [leaf for each in values for leaf in each.leaves()]
    leaves = [leaf for leaf in leaves if leaf.kind != "literal" or leaf.literal is not None]
    if not leaves:
        return Release(component=name, variables=("SENTRY_RELEASE",), evidence=(item.init.evidence,))
    evidence = tuple(dict.fromkeys((item.init.evidence, *(place_ for leaf in leaves for place_ in leaf.trail))))
    shown = code[1].module.source(code[0], 60) if code is not None else ""
    if len(leaves) == 1 and leaves[0].kind == "literal" and isinstance(leaves[0].literal, str):
        text = leaves[0].literal
        if code is not None and isinstance(code[0], ast.Call) and is_constant(text):
            reason = f"what {shown} returns was not followed in all its branches"
            return Release(component=name, unknown=reason, evidence=evidence)
        problem = f"release is the constant {text!r}" if is_constant(text) else ""
        made = made_from(shown)
        return Release(
            component=name, is_set=not problem, source=shown, problem=problem, made_from=made, evidence=evidence
        )
    variables = tuple(dict.fromkeys(name for leaf in leaves for name in leaf.names))
    ends = [*leaves, *(leaf.default for leaf in leaves if leaf.default is not None)]
    texts = [leaf.literal for leaf in ends if isinstance(leaf.literal, str) and leaf.literal]
    other = any(leaf.kind not in {"env", "literal", "unfilled"} for leaf in leaves)
    if not texts and not other:
        variables = tuple(dict.fromkeys((*variables, "SENTRY_RELEASE")))  # None: the SDK looks further by itself
    return Release(
        component=name, is_set=other or bool(texts and not is_constant(texts[-1])), source=shown, variables=variables,
        constant=texts[-1] if texts else "", made_from=made_from(f"{shown} {' '.join(variables)}"), evidence=evidence,
    )  # fmt: skip


def _assigned(node: ast.expr, scope: Scope) -> list[ast.expr]:
    """What a name is given in its module, where that is more than once: any of it may be what is sent."""
    if not isinstance(node, ast.Name):
        return []
    found = [
        item.value
        for item in ast.walk(scope.function or scope.module.tree)
        if isinstance(item, ast.Assign | ast.AnnAssign) and item.value is not None
        for target in (item.targets if isinstance(item, ast.Assign) else [item.target])
        if isinstance(target, ast.Name) and target.id == node.id
    ]
    return found if len(found) > 1 else []
