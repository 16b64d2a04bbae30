"""Edits that follow how a project has written its code: its order of imports, its comments, its paragraphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.fixers.templates import with_names
from sentry_audit.fixing import Refusal
from tests.fixing_python import answer, fixed
from tests.trees import SDK

if TYPE_CHECKING:
    from pathlib import Path


def test_an_import_stands_beside_its_package_where_imports_have_no_order(tmp_path: Path) -> None:
    code = (
        "from sentry_sdk.integrations.fastapi import FastApiIntegration\n"
        "from sentry_sdk.types import Event\n"
        "from fastapi import FastAPI\n"
        "from anyio import sleep\n\n"
        "import sentry_sdk\n\n"
        "sentry_sdk.init(integrations=[FastApiIntegration()])\n"
        "app = FastAPI()\n"
    )
    found = fixed(tmp_path, {"requirements.txt": SDK, "main.py": code}, "privacy-scrubbing")
    assert found["main.py"].startswith(
        "import re\n"
        "from typing import Any\n\n"
        "from sentry_sdk.integrations.fastapi import FastApiIntegration\n"
        "from sentry_sdk.scrubber import EventScrubber\n"
        "from sentry_sdk.types import Event\n"
    )


def test_a_rate_of_0_that_a_comment_explains_is_left(tmp_path: Path) -> None:
    for number, row in enumerate(
        (
            "    # Traces go elsewhere.\n    traces_sample_rate=0.0,\n",
            "    traces_sample_rate=0.0,  # Traces go elsewhere.\n",
        )
    ):
        code = f"import sentry_sdk\nfrom fastapi import FastAPI\n\nsentry_sdk.init(\n{row})\napp = FastAPI()\n"
        found = answer(tmp_path / str(number), {"requirements.txt": SDK, "main.py": code}, "backend-tracing")
        assert isinstance(found, Refusal)
        assert "Traces go elsewhere." in found.reason


def test_a_hook_of_flask_parts_no_paragraph(tmp_path: Path) -> None:
    code = (
        "import sentry_sdk\nfrom flask import Flask\n\nsentry_sdk.init()\n\n"
        'app = Flask(__name__)\napp.config["A"] = 1\nlimit = 3\n\n\n@app.get("/")\ndef home():\n    return "a"\n'
    )
    found = fixed(
        tmp_path, {"requirements.txt": "flask\nsentry-sdk==2.30.0\n", "main.py": code}, "backend-error-context"
    )
    assert 'app.config["A"] = 1\nlimit = 3\n\n\n@app.before_request\n' in found["main.py"]


def test_a_variable_that_a_template_has_behind_a_sign_is_taken_from_there() -> None:
    text = "A=1\n\n# Sentry, if wanted\n# SENTRY_DSN=\n\n# Mail\nB=\n"
    assert with_names(text, ["SENTRY_DSN"]) == text.replace("# SENTRY_DSN=", "SENTRY_DSN=")
    assert "SENTRY_DSN=\nSENTRY_ENVIRONMENT=\n" in with_names(text, ["SENTRY_DSN", "SENTRY_ENVIRONMENT"])
