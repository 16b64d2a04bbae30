"""Which pieces of a repository are deployed, and what starts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.python.starts import Start, parse
from tests.trees import FASTAPI, SDK, audit, message, statuses

if TYPE_CHECKING:
    from pathlib import Path

INIT = "import sentry_sdk\nsentry_sdk.init()\n"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("uvicorn app.main:app --host 0.0.0.0", Start("uvicorn", "service", "app.main", "app")),
        ("poetry run uvicorn --factory app:create", Start("uvicorn", "service", "app", "create")),
        ("python -m uvicorn a:b", Start("uvicorn", "service", "a", "b")),
        ("gunicorn -k uvicorn.workers.UvicornWorker a.b:c", Start("gunicorn+uvicorn", "service", "a.b", "c")),
        ("gunicorn a:create_app()", Start("gunicorn", "service", "a", "create_app")),
        ("newrelic-admin run-program gunicorn --paste p.ini", Start("gunicorn", "service", "p.ini")),
        ("celery -A proj worker -l info", Start("celery", "worker", "proj")),
        ("celery -A proj flower", None),
        ("python manage.py runserver", Start("django", "service", "manage.py")),
        ("/app/manage.py rq worker", Start("rq", "worker", "/app/manage.py")),
        ("python manage.py migrate", None),
        ("python job.py --once", Start("python", "job", "job.py")),
        ("python -c print(1)", None),
        ("fastapi run app/main.py", Start("uvicorn", "service", "app/main.py")),
        ("functions-framework --target=hello", Start("functions-framework", "service", "main.py", "hello")),
        ("sleep infinity", None),
        ("ENV=1 exec tini -- hypercorn a:b", Start("hypercorn", "service", "a", "b")),
    ],
)
def test_start_commands(command: str, expected: Start | None) -> None:
    assert parse(tuple(command.split())) == expected


def names(report: object) -> list[tuple[str, str, str | None]]:
    return [(item.name, item.role, item.entry_point) for item in report.components]  # type: ignore[attr-defined]


def test_a_monorepo(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "services/api/pyproject.toml": '[project]\nname="api"\ndependencies=["fastapi"]\n',
            "services/api/api/main.py": FASTAPI,
            "services/billing/requirements.txt": "flask\n",
            "services/billing/Dockerfile": 'FROM python\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["gunicorn", "wsgi:app"]\n',
            "services/billing/wsgi.py": "from flask import Flask\napp = Flask(__name__)\n",
            "libs/common/pyproject.toml": '[project]\nname="common"\n',
            "libs/common/common/__init__.py": "A = 1\n",
            "scripts/tool.py": "from fastapi import FastAPI\napp = FastAPI()\n",
            "tests/app.py": FASTAPI,
            "examples/demo/main.py": FASTAPI,
        },
    )
    assert names(report) == [
        ("api", "service", "services/api/api/main.py"),
        ("billing", "service", "services/billing/wsgi.py:app"),
    ]
    assert all(item.reasons for item in report.components)


def test_a_dockerfile_built_at_the_root(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "docker/api.Dockerfile": """\
                FROM python
                COPY api/requirements.txt /app/
                RUN pip install -r /app/requirements.txt
                COPY api /app
                WORKDIR /app
                CMD ["uvicorn", "main:app"]
                """,
            "api/requirements.txt": SDK,
            "api/main.py": INIT + FASTAPI,
        },
    )
    assert names(report) == [("api", "service", "api/main.py:app")]
    assert statuses(report, "backend-sdk-declared") == {"pass"}


def test_an_entry_script_without_a_suffix(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "Dockerfile": 'FROM python\nCOPY pyproject.toml ./\nCOPY . /app\nENTRYPOINT ["/app/bin/start"]\nCMD ["server"]\n',
            "bin/start": "#!/bin/bash\nserver() {\n  exec gunicorn app.wsgi:app\n}\nworker() {\n  exec celery -A app.celery worker\n}\n",
            "pyproject.toml": '[project]\nname="shop"\ndependencies=["flask", "sentry-sdk"]\n',
            "app/wsgi.py": INIT + "from flask import Flask\napp = Flask('x')\n",
            "app/celery.py": "from celery import Celery\ncelery = Celery()\n",
            "app/__init__.py": "",
        },
    )
    assert names(report) == [("shop", "service", "app/wsgi.py:app")]
    assert statuses(report, "worker-init-present") == {"gap"}


def test_a_console_script_of_the_projects_own(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "Dockerfile": 'FROM python\nCOPY . .\nRUN pip install .\nCMD ["syncer"]\n',
            "pyproject.toml": '[project]\nname="syncer"\ndependencies=["sentry-sdk"]\nscripts={syncer="syncer.cli:run"}\n',
            "src/syncer/cli.py": "from syncer.telemetry import setup\ndef run():\n    setup()\n",
            "src/syncer/telemetry.py": "import sentry_sdk\ndef setup():\n    sentry_sdk.init()\n",
        },
    )
    assert names(report) == [("syncer", "job", "src/syncer/cli.py:run")]
    assert statuses(report, "backend-init-reachable") == {"pass"}


def test_the_same_service_started_in_two_ways_is_one(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "requirements.txt": SDK,
            "docker-compose.yml": "services:\n  a:\n    build: .\n    command: python manage.py runserver\n",
            "Dockerfile": 'FROM python\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["gunicorn", "app.wsgi"]\n',
            "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'app.settings')\n",
            "app/__init__.py": "",
            "app/wsgi.py": "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
            "app/settings.py": INIT,
        },
    )
    assert [item[2] for item in names(report)] == ["app/wsgi.py"]


def test_the_file_that_calls_a_factory_is_the_entry_point(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "requirements.txt": "flask\nsentry-sdk>=2.64,<3\n",
            "app/__init__.py": "from flask import Flask\ndef create_app():\n    return Flask(__name__)\n",
            "main.py": "import sentry_sdk\nfrom app import create_app\napp = create_app()\nsentry_sdk.init()\n",
        },
    )
    assert [item[2] for item in names(report)] == ["main.py"]
    assert statuses(report, "backend-init-reachable") == {"pass"}


@pytest.mark.parametrize(
    ("command", "path", "expected"),
    [
        ("celery -A tasks.queue worker", "tasks.py", {"pass"}),
        ("celery -A tasks.queue worker", "other.py", {"gap"}),
        ("rq worker -c jobs.config", "jobs/config.py", {"pass"}),
        ("rq worker -c jobs.config", "other.py", {"gap"}),
    ],
)
def test_what_a_worker_loads(tmp_path: Path, command: str, path: str, expected: set[str]) -> None:
    files = {
        "requirements.txt": SDK,
        "main.py": "import sentry_sdk\nfrom fastapi import FastAPI\nsentry_sdk.init()\napp = FastAPI()\n",
        "tasks.py": "from celery import Celery\nqueue = Celery('tasks')\n",
        "jobs/__init__.py": "",
        "jobs/config.py": "QUEUES = ['default']\n",
        "other.py": "",
        "docker-compose.yml": (
            "services:\n  web:\n    build: .\n    command: uvicorn main:app\n"
            f"  worker:\n    build: .\n    command: {command}\n"
        ),
        "Dockerfile": "FROM python\nCOPY . .\nRUN pip install -r requirements.txt\n",
    }
    files[path] = "import sentry_sdk\nsentry_sdk.init()\n" + files[path]
    assert statuses(audit(tmp_path, files), "worker-init-present") == expected


def test_settings_name_components(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "sentry-audit.yaml": "components:\n  - {name: core, path: backend, entry_point: 'backend/run.py', role: service}\n",
            "backend/requirements.txt": SDK,
            "backend/run.py": INIT,
        },
    )
    assert names(report) == [("core", "service", "backend/run.py")]
    assert statuses(report, "backend-init-reachable") == {"pass"}


DJANGO = {
    "requirements.txt": "django\nsentry-sdk>=2.64,<3\n",
    "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'proj.settings')\n",
    "proj/__init__.py": "",
    "proj/wsgi.py": """\
        import os
        from django.core.wsgi import get_wsgi_application
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proj.settings")
        application = get_wsgi_application()
        """,
}


def test_django_init_in_an_app_that_settings_name(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            **DJANGO,
            "proj/settings/__init__.py": "from proj.settings.base import *\n",
            "proj/settings/base.py": "import os\nINSTALLED_APPS = ['integrations.sentry']\nSENTRY_DSN = os.environ.get('DSN')\n",
            "integrations/__init__.py": "",
            "integrations/sentry/__init__.py": "",
            "integrations/sentry/apps.py": """\
                import sentry_sdk
                from django.apps import AppConfig
                from django.conf import settings
                class SentryConfig(AppConfig):
                    def ready(self):
                        if settings.SENTRY_DSN:
                            sentry_sdk.init(dsn=settings.SENTRY_DSN)
                """,
        },
    )
    assert statuses(report, "backend-init-reachable") == {"pass"}
    assert statuses(report, "backend-dsn-resolves") == {"pass"}


def test_django_init_through_a_function_in_settings(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            **DJANGO,
            "proj/settings.py": """\
                import os
                import sentry_sdk
                INSTALLED_APPS = ["proj.core"]
                SENTRY_DSN = os.environ.get("SENTRY_DSN")
                def SENTRY_INIT(dsn):
                    sentry_sdk.init(dsn=dsn)
                """,
            "proj/core/__init__.py": "",
            "proj/core/apps.py": """\
                from django.apps import AppConfig
                from django.conf import settings
                class CoreConfig(AppConfig):
                    def ready(self):
                        settings.SENTRY_INIT(settings.SENTRY_DSN)
                """,
        },
    )
    assert statuses(report, "backend-init-reachable") == {"pass"}
    assert statuses(report, "backend-dsn-resolves") == {"pass"}


def test_settings_in_a_folder_called_third_party(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            **DJANGO,
            "proj/settings/__init__.py": "from .third_party.sentry import *\n",
            "proj/settings/third_party/__init__.py": "",
            "proj/settings/third_party/sentry.py": INIT,
        },
    )
    assert statuses(report, "backend-init-reachable") == {"pass"}


def test_pyramid_includes(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "requirements.txt": "pyramid\nsentry-sdk>=2.64,<3\n",
            "Procfile": "web: gunicorn shop.wsgi:application\n",
            "shop/__init__.py": "",
            "shop/wsgi.py": "from shop.config import configure\napplication = configure()\n",
            "shop/config.py": "def configure():\n    config = Configurator()\n    config.include('.errors')\n    return config\n",
            "shop/errors.py": "import sentry_sdk\ndef includeme(config):\n    sentry_sdk.init()\n",
        },
    )
    assert statuses(report, "backend-init-reachable") == {"pass"}


def test_a_package_that_may_initialise_is_unknown(tmp_path: Path) -> None:
    report = audit(tmp_path, {"requirements.txt": SDK + "acme-sentry\n", "main.py": FASTAPI})
    assert statuses(report, "backend-init-present") == {"unknown"}
    assert "acme-sentry" in message(report, "backend-init-present")
    assert report.exit_code == 4


def test_modules_that_are_loaded_by_computed_names_are_unknown(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "requirements.txt": SDK,
            "Dockerfile": 'FROM python\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["uvicorn", "shop.main:app"]\n',
            "shop/__init__.py": "",
            "shop/main.py": "from importlib import import_module\nfor name in open('p').read().split():\n    import_module(name)\n"
            + FASTAPI,
            "shop/plugins/errors.py": "import sentry_sdk\nsentry_sdk.init()\n",
        },
    )
    assert statuses(report, "backend-init-reachable") == {"unknown"}
    assert "shop/main.py:3" in message(report, "backend-init-reachable")


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    try:\n        pass\n    except ValueError, KeyError:\n        pass\n",
        "type Pair = tuple[int, int]\n",
        "type Pair[T] = tuple[T, T]\nclass Box[T]:\n    pass\ndef first[**P, R](f: R) -> R:\n    return f\n",
    ],
    ids=["pep758", "pep695-type", "pep695-generics"],
)
def test_syntax_that_is_newer_than_the_running_python(tmp_path: Path, code: str) -> None:
    report = audit(tmp_path, {"requirements.txt": SDK, "main.py": code + INIT + FASTAPI})
    assert statuses(report, "backend-init-reachable") == {"pass"}
    assert not report.problems


def test_a_syntax_error_in_a_file_that_is_loaded(tmp_path: Path) -> None:
    files = {
        "requirements.txt": SDK,
        "main.py": "import broken\n" + FASTAPI,
        "broken.py": "import sentry_sdk\nsentry_sdk.init()\nx = (\n",
    }
    report = audit(tmp_path, files)
    assert statuses(report, "backend-init-present") == {"unknown"}
    assert "broken.py:3" in message(report, "backend-init-present")
    assert statuses(report, "backend-sdk-declared") == {"pass"}
    assert report.exit_code == 4


def test_a_syntax_error_elsewhere_does_not_hide_what_was_seen(tmp_path: Path) -> None:
    files = {"requirements.txt": SDK, "main.py": "import broken\n" + INIT + FASTAPI, "broken.py": "x = (\n"}
    assert statuses(audit(tmp_path, files), "backend-init-reachable") == {"pass"}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("__main__.py", "import pulumi\nimport pulumi_gcp as gcp\n\ngcp.storage.Bucket('files')\n"),
        ("app.py", "import aws_cdk as cdk\n\nif __name__ == '__main__':\n    cdk.App().synth()\n"),
        ("main.py", "from cdktf import App\n\nif __name__ == '__main__':\n    App().synth()\n"),
    ],
)
def test_a_program_that_describes_infrastructure_is_no_component(tmp_path: Path, name: str, code: str) -> None:
    job = "import requests\n\nif __name__ == '__main__':\n    requests.get('https://x.example')\n"
    report = audit(
        tmp_path,
        {
            "infra/requirements.txt": "pulumi\n",
            f"infra/{name}": code,
            "nightly/requirements.txt": "requests\n",
            "nightly/main.py": job,
        },
    )
    assert [item.entry_point for item in report.components] == ["nightly/main.py"]
