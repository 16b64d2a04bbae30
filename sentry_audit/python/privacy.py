"""What leaves a Python program besides the error itself."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sentry_audit.facts import Privacy
from sentry_audit.python.integrations import LLMS, constant_option, integration_calls
from sentry_audit.python.values import place
from sentry_audit.sdk_table import key

if TYPE_CHECKING:
    from collections.abc import Collection

    from sentry_audit.model import Evidence
    from sentry_audit.python.analysis import Analysed, Reached


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
    hooked = {"before_send", "before_send_transaction"} <= set(options) or (
        "before_send" in options and "traces_sample_rate" not in options and "traces_sampler" not in options
    )
    strict = (
        constant_option(analysed, item, "max_request_body_size") == "never"
        and constant_option(analysed, item, "include_local_variables") is False
    )
    prompts = [
        place(module, keyword.value)
        for call, module, _ in integration_calls(analysed, item)
        for keyword in call.keywords
        if keyword.arg == "include_prompts" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False
    ]
    uses_llm = any(library in installed for library in LLMS)
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
