# ruff: noqa: E501 - before and after are texts of files, as they are
"""An init where there is none, and one that is reached by what starts the component."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sentry_audit.fixing import Refusal
from tests.fixing_python import answer, fixed
from tests.trees import IMAGE, SDK

if TYPE_CHECKING:
    from pathlib import Path

#: Checks that have nothing to judge before there is an init.
JUDGED_NOW = (
    "backend-flush-on-shutdown",
    "backend-tracing",
    "privacy-scrubbing",
    "sampling-per-environment",
    "backend-error-context",
    "release-set",
    "deploy-dsn-declared",
    "deploy-environment-declared",
)

MODULE = r'''"""Sentry: errors and traces of this application."""

import os
import re
from typing import Any

import sentry_sdk
from sentry_sdk.scrubber import EventScrubber

HEALTH_CHECKS = ("/health",)
#: E-mail addresses, what follows the question mark of an address, telephones.
PRIVATE_TEXT = re.compile(
    r"(?<![\w.+-])[\w.+-]+(?:@|%40)[\w.-]+\.[A-Za-z]{2,}"
    r"|(?<=\?)[\w.%\[\]-]+=\S*"
    r"|\+\d[\d ()./-]{6,}\d"
)
PRIVATE_KEYS = {"http.query", "url.query"}


def scrub(event: Any, _hint: Any) -> Any:
    """Take what may be personal out of an event."""
    request = event.get("request") or {}
    for key in ("data", "cookies", "query_string"):
        request.pop(key, None)
    for key in (
        "request",
        "transaction",
        "message",
        "logentry",
        "exception",
        "breadcrumbs",
        "extra",
        "contexts",
        "spans",
    ):
        if key in event:
            event[key] = scrub_value(event[key])
    return event


def scrub_value(value: Any) -> Any:
    """The value without texts that may be personal."""
    if isinstance(value, str):
        return PRIVATE_TEXT.sub("[Filtered]", value)
    if isinstance(value, dict):
        kept = [key for key in value if key not in PRIVATE_KEYS]
        return {key: scrub_value(value[key]) for key in kept}
    if isinstance(value, (list, tuple)):
        return [scrub_value(item) for item in value]
    return value


def _traces_sampler(context: dict[str, Any]) -> float:
    """Leave health checks out; else follow the caller's decision, or the rate."""
    if (context.get("asgi_scope") or {}).get("path", "").endswith(HEALTH_CHECKS):
        return 0.0
    if context.get("parent_sampled") is not None:
        return float(context["parent_sampled"])
    return float(os.environ.get("SENTRY_TRACES_SAMPLE_RATE") or 0.1)


def init_sentry() -> None:
    """Initialise the SDK; without a DSN it stays off."""
    sentry_sdk.init(
        dsn=os.environ.get("SENTRY_DSN"),
        environment=os.environ.get("SENTRY_ENVIRONMENT"),
        release=os.environ.get("SENTRY_RELEASE"),
        traces_sampler=_traces_sampler,
        include_local_variables=False,
        event_scrubber=EventScrubber(recursive=True),
        before_send=scrub,
        before_send_transaction=scrub,
    )
'''


def test_fastapi_in_a_package(tmp_path: Path) -> None:
    files = {
        "requirements.txt": SDK,
        ".env.example": "URL=\n",
        "Dockerfile": IMAGE.replace("main:app", "app.main:app"),
        "app/__init__.py": "",
        "app/routes.py": "from fastapi import APIRouter\nrouter = APIRouter()\n",
        "app/main.py": 'from fastapi import FastAPI\n\nfrom app.routes import router\n\n# The API\napp = FastAPI()\napp.include_router(router)\n\n\n@app.get("/health")\nasync def health() -> str:\n    return "ok"\n',
    }
    changed = fixed(
        tmp_path,
        files,
        "backend-init-present",
        opens=JUDGED_NOW,
        closes=(
            "env-template-complete",
            "backend-init-reachable",
            "backend-tracing",
            "privacy-scrubbing",
            "noise-health-checks",
        ),
    )
    assert changed == {
        "app/observability.py": MODULE,
        "app/main.py": files["app/main.py"]
        .replace("from app.routes", "from app.observability import init_sentry\nfrom app.routes")
        .replace("# The API", "init_sentry()\n\n# The API"),
        ".env.example": "URL=\nSENTRY_DSN=\nSENTRY_ENVIRONMENT=\nSENTRY_RELEASE=\nSENTRY_TRACES_SAMPLE_RATE=0.1\n",
    }


def test_the_new_module_runs(tmp_path: Path) -> None:
    (tmp_path / "observability.py").write_text(MODULE)
    code = (
        "import observability, sentry_sdk; observability.init_sentry();"
        "o = sentry_sdk.get_client().options; print(o['dsn'], o['environment'], o['release'],"
        "o['traces_sampler']({'asgi_scope': {'path': '/health'}}), o['traces_sampler']({}),"
        "o['traces_sampler']({'parent_sampled': False}))"
    )
    environment = {"SENTRY_ENVIRONMENT": "staging", "SENTRY_RELEASE": "1", "SENTRY_TRACES_SAMPLE_RATE": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["None", "staging", "1", "0.0", "0.1", "0.0"]


def test_flask_with_a_factory_in_the_project_s_style(tmp_path: Path) -> None:
    files = {
        "requirements.txt": "flask\nsentry-sdk>=2.64,<3\n",
        "Procfile": 'web: gunicorn "app:create_app()"\n',
        "app.py": "import os\nfrom flask import Flask\n\ndef create_app():\n  '''Make it.'''\n  app = Flask(__name__)\n  app.config['X'] = os.getenv('X')\n  app.config['E'] = os.getenv('APP_ENV')\n\n  return app\n",
    }
    changed = fixed(tmp_path, files, "backend-init-present", opens=JUDGED_NOW)
    assert changed["app.py"] == files["app.py"].replace(
        "from flask import Flask\n", "from flask import Flask\n\nfrom observability import init_sentry\n"
    ).replace("  app = Flask", "  init_sentry()\n  app = Flask")
    assert 'def init_sentry():\n  """' in changed["observability.py"]
    assert "    environment=os.getenv('APP_ENV'),\n" in changed["observability.py"]
    assert "traces_sample_rate=float(os.getenv('SENTRY_TRACES_SAMPLE_RATE') or 0.1)" in changed["observability.py"]


def test_django_at_the_end_of_the_settings_that_all_share(tmp_path: Path) -> None:
    files = {
        "requirements.txt": "django\nsentry-sdk>=2.64,<3\n",
        "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings.production')\n",
        "shop/__init__.py": "",
        "shop/wsgi.py": "import os\nfrom django.core.wsgi import get_wsgi_application\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings.production')\napplication = get_wsgi_application()\n",
        "shop/settings/__init__.py": "",
        "shop/settings/base.py": "from pathlib import Path\n\nBASE_DIR = Path(__file__)\nINSTALLED_APPS = []\n",
        "shop/settings/production.py": "from .base import *\n\nDEBUG = False\n",
    }
    changed = fixed(tmp_path, files, "backend-init-present", opens=JUDGED_NOW)
    assert sorted(changed) == ["shop/observability.py", "shop/settings/base.py"]
    assert changed["shop/settings/base.py"] == (
        "from pathlib import Path\n\nfrom shop.observability import init_sentry\n\n"
        "BASE_DIR = Path(__file__)\nINSTALLED_APPS = []\n\ninit_sentry()\n"
    )


def test_a_celery_worker_and_a_job(tmp_path: Path) -> None:
    worker = {
        "requirements.txt": "celery\nsentry-sdk>=2.64,<3\n", "Procfile": "worker: celery -A tasks worker\n",
        "tasks.py": "from celery import Celery\napp = Celery('x')\n",
    }  # fmt: skip
    changed = fixed(tmp_path / "worker", worker, "backend-init-present", opens=JUDGED_NOW)
    assert (
        changed["tasks.py"]
        == "from celery import Celery\n\nfrom observability import init_sentry\n\ninit_sentry()\napp = Celery('x')\n"
    )
    job = {
        "requirements.txt": "requests\nsentry-sdk>=2.64,<3\n", "Dockerfile": 'FROM python:3.12\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["python", "job.py"]\n',
        "job.py": 'import requests\n\n\ndef main() -> None:\n    requests.get("http://x")\n\n\nif __name__ == "__main__":\n    main()\n',
    }  # fmt: skip
    changed = fixed(tmp_path / "job", job, "backend-init-present", opens=(*JUDGED_NOW, "job-flush"))
    assert changed["job.py"].endswith('if __name__ == "__main__":\n    init_sentry()\n    main()\n')


def test_settings_of_pydantic_s_are_what_init_reads(tmp_path: Path) -> None:
    files = {
        "requirements.txt": SDK + "pydantic-settings\n",
        "app/__init__.py": "",
        "app/config.py": "from pydantic_settings import BaseSettings\n\n\nclass Settings(BaseSettings):\n    environment: str = 'development'\n    url: str = ''\n\n\nsettings = Settings()\n",
        "app/main.py": "from fastapi import FastAPI\n\nfrom .config import settings\n\napp = FastAPI(title=settings.url)\n",
    }
    changed = fixed(
        tmp_path, files, "backend-init-present", opens=JUDGED_NOW, closes=("config-dsn-field", "config-fields-used")
    )
    assert changed["app/config.py"] == files["app/config.py"].replace(
        "    url: str = ''\n",
        "    url: str = ''\n    sentry_dsn: str | None = None\n    sentry_release: str | None = None\n    sentry_traces_sample_rate: float = 0.1\n",
    )
    assert (
        "from .config import settings\nfrom .observability import init_sentry\n\ninit_sentry()\n\napp = "
        in changed["app/main.py"]
    )
    assert "\nfrom .config import settings\n" in changed["app/observability.py"]
    assert "environment=settings.environment,\n" in changed["app/observability.py"]
    ast.parse(changed["app/observability.py"])


def test_an_environment_that_is_no_text_is_no_label(tmp_path: Path) -> None:
    files = {
        "requirements.txt": SDK + "pydantic-settings\n",
        "config.py": "from enum import Enum\nfrom pydantic_settings import BaseSettings\nclass Stage(Enum):\n    A = 'a'\nclass Settings(BaseSettings):\n    environment: Stage = Stage.A\nsettings = Settings()\n",
        "main.py": "from fastapi import FastAPI\nfrom config import settings\napp = FastAPI(title=settings.environment.value)\n",
    }
    changed = fixed(tmp_path, files, "backend-init-present", opens=JUDGED_NOW)
    assert "    sentry_environment: str | None = None\n" in changed["config.py"]
    assert "environment=settings.sentry_environment,\n" in changed["observability.py"]


def test_a_script_imports_what_stands_beside_it(tmp_path: Path) -> None:
    files = {
        "requirements.txt": "requests\nsentry-sdk>=2.64,<3\n",
        "Dockerfile": 'FROM python:3.12\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["python", "work/job.py"]\n',
        "work/__init__.py": "",
        "work/job.py": 'import requests\n\nif __name__ == "__main__":\n    requests.get("http://x")\n',
    }
    changed = fixed(tmp_path / "a", files, "backend-init-present", opens=JUDGED_NOW)
    assert changed["work/job.py"].startswith("import requests\n\nfrom observability import init_sentry\n")
    moved = {**files, "work/job.py": "import sys\nsys.path.insert(0, 'x')\n" + files["work/job.py"]}
    found = answer(tmp_path / "b", moved, "backend-init-present")
    assert isinstance(found, Refusal)
    assert "sys.path" in found.reason


def test_without_the_package_there_is_no_init(tmp_path: Path) -> None:
    found = answer(
        tmp_path,
        {"requirements.txt": "fastapi\n", "main.py": "from fastapi import FastAPI\napp = FastAPI()\n"},
        "backend-init-present",
    )
    assert isinstance(found, Refusal)
    assert found.commands == ("sentry-audit fix --only backend-sdk-declared",)


def test_an_image_that_would_not_have_the_module(tmp_path: Path) -> None:
    files = {
        "requirements.txt": SDK,
        "Dockerfile": IMAGE.replace("COPY . .", "COPY main.py ."),
        "main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
    }
    found = answer(tmp_path, files, "backend-init-present")
    assert isinstance(found, Refusal)
    assert "Dockerfile copies files one by one" in found.reason


REACHED = {
    "a module": ("import sentry_sdk\nsentry_sdk.init()\n", "from fastapi import FastAPI\n\nimport observability  # noqa: F401\n\napp = FastAPI()\n"),
    "a function": (
        "import sentry_sdk\ndef start():\n    sentry_sdk.init()\n",
        "from fastapi import FastAPI\n\nfrom observability import start\n\nstart()\n\napp = FastAPI()\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REACHED)
def test_what_starts_the_component_runs_init(tmp_path: Path, name: str) -> None:
    text, after = REACHED[name]
    files = {
        "requirements.txt": SDK,
        "observability.py": text,
        "main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n",
    }
    assert fixed(tmp_path, files, "backend-init-reachable", opens=JUDGED_NOW) == {"main.py": after}


def test_a_function_is_called_with_what_the_entry_file_has(tmp_path: Path) -> None:
    files = {
        "requirements.txt": SDK,
        "main.py": "import sentry_sdk\nfrom fastapi import FastAPI\n\ndebug = False\n\n\ndef start(debug):\n    sentry_sdk.init(debug=debug)\n\n\napp = FastAPI()\n",
    }
    changed = fixed(tmp_path, files, "backend-init-reachable", opens=JUDGED_NOW)
    assert changed == {"main.py": files["main.py"].replace("\n\napp = ", "\n\nstart(debug)\n\napp = ")}


def test_a_function_that_needs_more_is_left(tmp_path: Path) -> None:
    files = {
        "requirements.txt": SDK,
        "main.py": "import sentry_sdk\nfrom fastapi import FastAPI\ndef start(dsn):\n    sentry_sdk.init(dsn)\napp = FastAPI()\n",
    }
    assert isinstance(answer(tmp_path, files, "backend-init-reachable"), Refusal)


WORKER = {"requirements.txt": SDK + "celery\n", "Procfile": "web: uvicorn main:app\nworker: celery -A worker worker\n"}


def test_the_worker_runs_the_application_s_init(tmp_path: Path) -> None:
    files = {
        **WORKER,
        "setup_sentry.py": "import sentry_sdk\ndef start():\n    sentry_sdk.init()\n",
        "main.py": "from fastapi import FastAPI\nfrom setup_sentry import start\nstart()\napp = FastAPI()\n",
        "worker.py": "from celery import Celery\n\ncelery = Celery('tasks')\n",
    }
    assert fixed(tmp_path, files, "worker-init-present") == {
        "worker.py": "from celery import Celery\n\nfrom setup_sentry import start\n\nstart()\n\ncelery = Celery('tasks')\n"
    }


def test_a_worker_that_the_application_imports_has_it_by_celery_s_signal(tmp_path: Path) -> None:
    files = {
        **WORKER,
        "Procfile": "web: uvicorn main:app\nworker: celery -A worker.celery worker\n",
        "setup_sentry.py": "import sentry_sdk\ndef start():\n    sentry_sdk.init()\n",
        "main.py": "from fastapi import FastAPI\nfrom setup_sentry import start\nfrom worker import add\nstart()\napp = FastAPI()\n",
        "worker.py": "from celery import Celery\n\n\ncelery = Celery('tasks')\n\n\n@celery.task\ndef add(x, y):\n    return x + y\n",
    }
    assert fixed(tmp_path, files, "worker-init-present") == {
        "worker.py": files["worker.py"].replace(
            "from celery import Celery\n",
            "from celery import Celery\nfrom celery.signals import celeryd_init\n\nfrom setup_sentry import start\n\n\n"
            "@celeryd_init.connect\ndef init_worker(**_options):\n"
            '    """Workers are processes of their own: the web application\'s init is not theirs."""\n    start()\n',
        )
    }


def test_an_init_is_not_imported_by_what_it_imports(tmp_path: Path) -> None:
    files = {
        "requirements.txt": "flask\nsentry-sdk>=2.64,<3\n",
        "Procfile": "web: gunicorn 'app:create_app()'\n",
        "app/__init__.py": "from flask import Flask\n\ndef create_app():\n    return Flask(__name__)\n",
        "run_local.py": "import sentry_sdk\nfrom app import create_app\nsentry_sdk.init()\napplication = create_app()\n",
    }
    found = answer(tmp_path, files, "backend-init-reachable")
    assert isinstance(found, Refusal)
    assert "run_local.py imports" in found.reason


def test_a_variable_that_is_parsed_is_no_environment_s_name(tmp_path: Path) -> None:
    files = {
        "requirements.txt": "flask\nsentry-sdk>=2.64,<3\n",
        "Procfile": "web: gunicorn app:app\n",
        "app.py": "import io\nimport os\nfrom dotenv import dotenv_values\nfrom flask import Flask\n\nvalues = dotenv_values(stream=io.StringIO(os.environ.get('DJANGO_ENV', '')))\napp = Flask(__name__)\n",
    }
    changed = fixed(tmp_path, files, "backend-init-present", opens=JUDGED_NOW)
    assert "environment=os.environ.get('SENTRY_ENVIRONMENT')" in changed["observability.py"]


def test_the_worker_has_the_init_of_a_one_file_application(tmp_path: Path) -> None:
    files = {
        **WORKER,
        "main.py": "import os\n\nimport sentry_sdk\nfrom fastapi import FastAPI\n\nsentry_sdk.init(\n    dsn=os.getenv('SENTRY_DSN'),\n)\napp = FastAPI()\n",
        "worker.py": "from celery import Celery\n\ncelery = Celery('tasks')\n",
    }
    assert fixed(tmp_path, files, "worker-init-present") == {
        "worker.py": "import os\n\nimport sentry_sdk\nfrom celery import Celery\n\nsentry_sdk.init(\n    dsn=os.getenv('SENTRY_DSN'),\n)\n\ncelery = Celery('tasks')\n"
    }


def test_an_init_among_the_application_s_own_code_is_left(tmp_path: Path) -> None:
    files = {
        **WORKER,
        "main.py": "import sentry_sdk\nfrom fastapi import FastAPI\nrelease = '1'\nsentry_sdk.init(release=release)\napp = FastAPI()\n",
        "worker.py": "from celery import Celery\ncelery = Celery('tasks')\n",
    }
    found = answer(tmp_path, files, "worker-init-present")
    assert isinstance(found, Refusal)
    assert "module of its own" in found.reason
