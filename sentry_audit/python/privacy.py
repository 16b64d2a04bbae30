"""What leaves a Python program besides the error itself."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.facts import Privacy
from sentry_audit.python.hooks import function_of, scrubs
from sentry_audit.python.integrations import LLMS, constant_option, integration_calls
from sentry_audit.python.values import place
from sentry_audit.sdk_table import key

if TYPE_CHECKING:
    from collections.abc import Collection

    from sentry_audit.model import Evidence
    from sentry_audit.python.analysis import Analysed, Reached

#: The hooks that see all that is sent but logs: errors, and transactions with their spans.
HOOKS = ("before_send", "before_send_transaction")


def privacy(analysed: Analysed, item: Reached, version: str, installed: Collection[str]) -> Privacy:
    """What is sent besides the error [SENTRY.md §1.4, §4.4: measured on the wire]."""
    options = item.init.options
    pii = constant_option(analysed, item, "send_default_pii")
    collection = "data_collection" in options and key(version) >= (2, 70)
    problem = ""
    if collection:
        problem = f"data_collection is set, which switches the EventScrubber off since 2.70 ({version} resolves)"
        if "event_scrubber" in options:
            problem += "; the event_scrubber that is passed is ignored"
    prompts = [
        place(module, keyword.value)
        for call, module, _ in integration_calls(analysed, item)
        for keyword in call.keywords
        if keyword.arg == "include_prompts" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False
    ]
    uses_llm = any(library in installed for library in LLMS)
    unscrubbed = _unscrubbed(analysed, item)
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
        scrubbing=not unscrubbed,
        unscrubbed=unscrubbed,
        collects_prompts=uses_llm and (pii is True or collection) and not prompts,
        uses_llm=uses_llm,
        problem=problem,
        evidence=evidence,
    )


def _unscrubbed(analysed: Analysed, item: Reached) -> str:
    """What is sent as it is; ``""`` where nothing is, as far as the code says.

    The SDK's own scrubber goes by the names of keys. A hook whose function was not followed is taken to scrub.
    """
    options = item.init.options
    if (
        constant_option(analysed, item, "max_request_body_size") == "never"
        and constant_option(analysed, item, "include_local_variables") is False
    ):
        return ""
    errors, transactions = (_scrubbed(analysed, item, option) for option in HOOKS)
    if errors and (transactions or not options.keys() & {"traces_sample_rate", "traces_sampler"}):
        return ""
    if errors:
        return "before_send scrubs errors; transactions and their spans are sent as they are"
    sent = ["bodies", "query strings"]
    if constant_option(analysed, item, "include_local_variables") is not False:
        sent.insert(1, "local variables")
    names = "key names" if _recursive(analysed, item) else "top-level key names"
    left = f"{', '.join(sent[:-1])} and {sent[-1]} are sent as they are"
    hook = "before_send takes nothing out, and " if "before_send" in options else ""
    return f"{hook}only {names} are scrubbed: {left}"


def _scrubbed(analysed: Analysed, item: Reached, option: str) -> bool:
    """Whether init is given a function as ``option`` that scrubs."""
    value = item.option(option, analysed.resolver)
    if value is None or (value.kind == "literal" and value.literal is None):
        return False
    function, _ = function_of(value, item.init.options[option][1].module)
    return function is None or scrubs(function)


def _recursive(analysed: Analysed, item: Reached) -> bool:
    if "event_scrubber" not in item.init.options:
        return False
    expression, scope = item.init.options["event_scrubber"]
    value = analysed.resolver.value(expression, scope)
    call = expression if isinstance(expression, ast.Call) else value.call
    given = [keyword.value for keyword in call.keywords if keyword.arg == "recursive"] if call is not None else []
    return any(not isinstance(item, ast.Constant) or item.value is True for item in given)
