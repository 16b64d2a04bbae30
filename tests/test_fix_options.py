"""Options, hooks and handlers of init that are put right."""

# ruff: noqa: E501 - before and after are texts of files, as they are
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.fixing import Refusal
from tests.fixing_python import answer, fixed
from tests.trees import SDK

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "import sentry_sdk\nfrom fastapi import FastAPI\n"
TAIL = "app = FastAPI()\n"

#: check → (requirements, before, after) of main.py.
CASES = {
    "backend-sdk-compatible": [
        ("fastapi\nsentry-sdk==2.14.0\n", HEAD + "sentry_sdk.init(enable_logs=True)\n" + TAIL, HEAD + "sentry_sdk.init()\n" + TAIL),
        (
            SDK,
            "import sentry_sdk\nfrom sentry_sdk.integrations.fastapi import FastApiIntegration\nfrom fastapi import FastAPI\n"
            "sentry_sdk.init(integrations=[FastApiIntegration(auto_enabling=True)])\n" + TAIL,
            "import sentry_sdk\nfrom sentry_sdk.integrations.fastapi import FastApiIntegration\nfrom fastapi import FastAPI\n"
            "sentry_sdk.init(integrations=[FastApiIntegration()])\n" + TAIL,
        ),
        (
            "fastapi\nsentry-sdk==2.14.0\n",
            HEAD + "sentry_sdk.init(\r\n    traces_sample_rate=0.1,\r\n    enable_logs=True,  # new\r\n    debug=False\r\n)\r\n" + TAIL,
            HEAD + "sentry_sdk.init(\r\n    traces_sample_rate=0.1,\r\n    debug=False\r\n)\r\n" + TAIL,
        ),
        (
            "fastapi\nsentry-sdk==2.14.0\n",
            HEAD + 'OPTIONS = {"debug": False, "enable_logs": True}\nsentry_sdk.init(**OPTIONS)\n' + TAIL,
            HEAD + 'OPTIONS = {"debug": False}\nsentry_sdk.init(**OPTIONS)\n' + TAIL,
        ),
        (
            "fastapi\nsentry-sdk==2.14.0\n",
            "import sentry_sdk\nfrom sentry_sdk.integrations.fastapi import FastApiIntegration\n"
            "from sentry_sdk.integrations.mcp import MCPIntegration\nfrom fastapi import FastAPI\n"
            "sentry_sdk.init(integrations=[\n    FastApiIntegration(),\n    MCPIntegration(),\n])\n" + TAIL,
            "import sentry_sdk\nfrom sentry_sdk.integrations.fastapi import FastApiIntegration\nfrom fastapi import FastAPI\n"
            "sentry_sdk.init(integrations=[\n    FastApiIntegration(),\n])\n" + TAIL,
        ),
    ],
    "sample-rates-effective": [
        (
            SDK, "import os\n" + HEAD + "sentry_sdk.init(traces_sample_rate=os.getenv('RATE', '0.1'))\n" + TAIL,
            "import os\n" + HEAD + "sentry_sdk.init(traces_sample_rate=float(os.getenv('RATE', '0.1')))\n" + TAIL,
        ),
        (
            SDK, "import os\n" + HEAD + "sentry_sdk.init(traces_sample_rate=os.getenv('RATE'))\n" + TAIL,
            "import os\n" + HEAD + "sentry_sdk.init(traces_sample_rate=float(os.getenv('RATE') or 0))\n" + TAIL,
        ),
        (SDK, HEAD + "sentry_sdk.init(traces_sample_rate='0.25')\n" + TAIL, HEAD + "sentry_sdk.init(traces_sample_rate=0.25)\n" + TAIL),
        (SDK, HEAD + "sentry_sdk.init(traces_sample_rate=100)\n" + TAIL, HEAD + "sentry_sdk.init(traces_sample_rate=1.0)\n" + TAIL),
        (
            SDK, HEAD + "sentry_sdk.init(sample_rate=0.0, traces_sample_rate=0.1)\n" + TAIL,
            HEAD + "sentry_sdk.init(traces_sample_rate=0.1)\n" + TAIL,
        ),
    ],
    "backend-framework-integration": [
        (SDK, HEAD + "sentry_sdk.init(default_integrations=False)\n" + TAIL, HEAD + "sentry_sdk.init()\n" + TAIL),
        (
            SDK, HEAD + "sentry_sdk.init(debug=False, auto_enabling_integrations=False)\n" + TAIL,
            "import sentry_sdk\nfrom fastapi import FastAPI\nfrom sentry_sdk.integrations.fastapi import FastApiIntegration\n"
            "from sentry_sdk.integrations.starlette import StarletteIntegration\n"
            "sentry_sdk.init(debug=False, auto_enabling_integrations=False, "
            "integrations=[StarletteIntegration(), FastApiIntegration()])\n" + TAIL,
        ),
        (
            SDK,
            "import sentry_sdk\nfrom sentry_sdk.integrations.fastapi import FastApiIntegration\nfrom fastapi import FastAPI\n"
            "sentry_sdk.init(integrations=[FastApiIntegration(failed_request_status_codes={503}, transaction_style='url')])\n" + TAIL,
            "import sentry_sdk\nfrom sentry_sdk.integrations.fastapi import FastApiIntegration\nfrom fastapi import FastAPI\n"
            "sentry_sdk.init(integrations=[FastApiIntegration(transaction_style='url')])\n" + TAIL,
        ),
        (
            SDK,
            "import sentry_sdk\nfrom sentry_sdk.integrations.fastapi import FastApiIntegration\nfrom fastapi import FastAPI\n"
            "sentry_sdk.init(disabled_integrations=[FastApiIntegration()])\n" + TAIL,
            "import sentry_sdk\nfrom sentry_sdk.integrations.fastapi import FastApiIntegration\nfrom fastapi import FastAPI\n"
            "sentry_sdk.init()\n" + TAIL,
        ),
    ],
    "hooks-keep-events": [
        (
            SDK, HEAD + "def scrub(event, hint):\n    event.pop('user', None)\nsentry_sdk.init(before_send=scrub)\n" + TAIL,
            HEAD + "def scrub(event, hint):\n    event.pop('user', None)\n    return event\nsentry_sdk.init(before_send=scrub)\n" + TAIL,
        ),
    ],
    "backend-init-failure-visible": [
        (
            SDK, "import logging\n" + HEAD + "try:\n    sentry_sdk.init()\nexcept Exception as error:\n    logging.warning('no sentry: %s', error)\n" + TAIL,
            "import logging\n" + HEAD + "try:\n    sentry_sdk.init()\nexcept Exception as error:\n    logging.exception('no sentry: %s', error)\n" + TAIL,
        ),
        (
            SDK, HEAD + "try:\n    sentry_sdk.init()\nexcept Exception:\n    pass\n" + TAIL,
            "import logging\n\n" + HEAD + 'try:\n    sentry_sdk.init()\nexcept Exception:\n    logging.exception("Sentry could not be initialised")\n' + TAIL,
        ),
        (
            SDK, "from loguru import logger\n" + HEAD + "try:\n    sentry_sdk.init()\nexcept Exception as e:\n    print(f'no: {e}')\n" + TAIL,
            "from loguru import logger\n" + HEAD + "try:\n    sentry_sdk.init()\nexcept Exception as e:\n    logger.exception(f'no: {e}')\n" + TAIL,
        ),
        (
            SDK, "import warnings\n" + HEAD + "try:\n    sentry_sdk.init()\nexcept Exception as e:\n    warnings.warn(str(e))\n" + TAIL,
            "import logging\nimport warnings\n" + HEAD + "try:\n    sentry_sdk.init()\nexcept Exception as e:\n"
            '    logging.exception("Sentry could not be initialised")\n    warnings.warn(str(e))\n' + TAIL,
        ),
    ],
    "backend-init-once": [
        (
            SDK, "import os\n" + HEAD + "sentry_sdk.init(dsn=os.environ['APP_DSN'])\nsentry_sdk.init(environment='x')\n" + TAIL,
            "import os\n" + HEAD + "sentry_sdk.init(dsn=os.environ['APP_DSN'], environment='x')\n" + TAIL,
        ),
    ],
}  # fmt: skip
FIXED = [
    pytest.param(check, *case, id=f"{check}-{index}")
    for check, cases in CASES.items()
    for index, case in enumerate(cases)
]


@pytest.mark.parametrize(("check", "requirements", "before", "after"), FIXED)
def test_what_is_wrong_is_put_right(tmp_path: Path, check: str, requirements: str, before: str, after: str) -> None:
    assert fixed(tmp_path, {"requirements.txt": requirements, "main.py": before}, check) == {"main.py": after}


REFUSED = {
    "a scrubber": ("backend-sdk-compatible", "sentry_sdk.init(data_collection={})\n"),
    "which rate": ("sample-rates-effective", "sentry_sdk.init(traces_sample_rate=20)\n"),
    "a rate that is no number": ("sample-rates-effective", "sentry_sdk.init(traces_sample_rate='all')\n"),
    "a filter": ("hooks-keep-events", "def f(event, hint):\n    if hint:\n        return None\n    return None\nsentry_sdk.init(before_send=f)\n"),
    "a generator": ("hooks-keep-events", "def f(event, hint):\n    yield event\nsentry_sdk.init(before_send=f)\n"),
    "a key": ("hooks-keep-events", "def f(event, hint):\n    event['user'].pop('id')\n    return event\nsentry_sdk.init(before_send=f)\n"),
    "two that disagree": (
        "backend-init-once", "import os\nsentry_sdk.init(dsn=os.environ['APP_DSN'], debug=True)\nsentry_sdk.init(debug=False)\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_certain_is_left(tmp_path: Path, name: str) -> None:
    check, code = REFUSED[name]
    requirements = "fastapi\nsentry-sdk==2.14.0\n" if check == "backend-sdk-compatible" else SDK
    found = answer(tmp_path, {"requirements.txt": requirements, "main.py": HEAD + code + TAIL}, check)
    assert isinstance(found, Refusal)
    assert found.reason
