"""The ways in which teams believe that they have Sentry, each as a small project of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.app import Request, check
from sentry_audit.errors import NothingAudited
from tests.trees import FASTAPI, IMAGE, SDK, audit, message, statuses, write

if TYPE_CHECKING:
    from pathlib import Path


def test_imported_in_a_try_and_installed_nowhere(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "requirements.txt": "fastapi\n",
            "Dockerfile": IMAGE,
            "main.py": """\
                try:
                    import sentry_sdk
                except ImportError:
                    sentry_sdk = None
                from fastapi import FastAPI
                if sentry_sdk:
                    sentry_sdk.init()
                app = FastAPI()
                """,
        },
    )
    assert statuses(report, "backend-sdk-declared") == {"gap"}
    assert report.components[0].chain[0].status.value == "gap"
    assert report.exit_code == 1


def test_only_another_service_declares_the_sdk(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "api/requirements.txt": "fastapi\n",
            "api/main.py": "import sentry_sdk\nsentry_sdk.init()\n" + FASTAPI,
            "jobs/requirements.txt": "sentry-sdk\n",
            "jobs/main.py": "if __name__ == '__main__':\n    print(1)\n",
        },
    )
    assert statuses(report, "backend-sdk-declared", "api") == {"gap"}
    assert statuses(report, "backend-sdk-declared", "jobs") == {"pass"}
    assert "jobs/requirements.txt" in message(report, "backend-sdk-declared")


def test_init_only_in_tests(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "requirements.txt": SDK,
            "main.py": FASTAPI,
            "tests/conftest.py": "import sentry_sdk\nsentry_sdk.init()\n",
            "tests/helper.py": "import sentry_sdk\nsentry_sdk.init()\n",
        },
    )
    assert statuses(report, "backend-init-present") == {"gap"}
    assert "not deployed" in message(report, "backend-init-present")


def test_init_imported_only_through_a_test_helper(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "requirements.txt": SDK,
            "main.py": FASTAPI,
            "app/telemetry.py": "import sentry_sdk\nsentry_sdk.init()\n",
            "tests/helper.py": "import app.telemetry\n",
        },
    )
    assert statuses(report, "backend-init-reachable") == {"gap"}


@pytest.mark.parametrize(
    "line",
    ["# sentry_sdk.init(dsn=DSN)", '"""\nsentry_sdk.init(dsn=DSN)\n"""', 'print("sentry_sdk.init()")'],
    ids=["comment", "string", "printed"],
)
def test_init_that_does_not_run(tmp_path: Path, line: str) -> None:
    report = audit(tmp_path, {"requirements.txt": SDK, "main.py": f"import sentry_sdk\n{line}\n{FASTAPI}"})
    assert statuses(report, "backend-init-present") == {"gap"}


def test_methods_of_those_names_that_are_not_sentrys(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "requirements.txt": SDK,
            "main.py": """\
                from fastapi import Depends, FastAPI
                from fastapi.security import HTTPBearer
                from tracker import Tracker
                import sentry_sdk
                sentry_sdk.capture_message("x")
                tracker = Tracker()
                tracker.init()
                tracker.set_user_context({"id": 1})
                tracker.set_user({"id": 1})
                app = FastAPI(dependencies=[Depends(HTTPBearer())])
                """,
            "tracker.py": "class Tracker:\n    def init(self): ...\n    def set_user(self, user): ...\n",
        },
    )
    assert statuses(report, "backend-init-present") == {"gap"}


def test_set_user_of_another_object_is_no_user_context(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "requirements.txt": SDK,
            "main.py": """\
                import sentry_sdk
                from fastapi import Depends, FastAPI
                from fastapi.security import HTTPBearer
                sentry_sdk.init()
                bearer = HTTPBearer()
                app = FastAPI()
                @app.get("/")
                def me(token=Depends(bearer)):
                    tracker.set_user_context(token)
                    tracker.set_user(token)
                """,
        },
    )
    assert statuses(report, "backend-user-context") == {"gap"}


@pytest.mark.parametrize(
    "code",
    [
        "from apache_sentry import init\ninit()\n",
        "class SentryNode:\n    def init(self): ...\nSentryNode().init()\nSENTRY_NODE_URL = 'http://sentry-node:26657'\n",
        "import sentry\nsentry.init('hive')\n",
    ],
    ids=["apache", "blockchain", "other-module"],
)
def test_another_sentry(tmp_path: Path, code: str) -> None:
    report = audit(tmp_path, {"requirements.txt": "fastapi\napache-sentry-client\n", "main.py": code + FASTAPI})
    assert statuses(report, "backend-sdk-declared") == {"gap"}
    assert statuses(report, "backend-init-present") <= {"gap", "unknown"}


def test_init_in_a_package_that_nothing_imports(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "requirements.txt": SDK,
            "main.py": FASTAPI,
            "observability/sentry.py": "import sentry_sdk\nsentry_sdk.init()\n",
        },
    )
    assert statuses(report, "backend-init-present") == {"pass"}
    assert statuses(report, "backend-init-reachable") == {"gap"}


def test_enabled_is_false_by_default(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "requirements.txt": SDK,
            "settings.py": """\
                from pydantic_settings import BaseSettings
                class Settings(BaseSettings):
                    sentry_enabled: bool = False
                    sentry_dsn: str | None = None
                settings = Settings()
                """,
            "main.py": """\
                import sentry_sdk
                from fastapi import FastAPI
                from settings import settings
                if settings.sentry_enabled:
                    sentry_sdk.init(dsn=settings.sentry_dsn)
                app = FastAPI()
                """,
        },
    )
    assert statuses(report, "backend-init-enabled") == {"gap"}


def _by_environment(name: str) -> dict[str, str]:
    return {
        "requirements.txt": SDK,
        "settings.py": "import os\nENVIRONMENT = os.getenv('ENVIRONMENT', 'development')\n",
        ".env.production": f"ENVIRONMENT={name}\n",
        "main.py": """\
            import sentry_sdk
            from settings import ENVIRONMENT
            if ENVIRONMENT == "prod":
                sentry_sdk.init()
            from fastapi import FastAPI
            app = FastAPI()
            """,
    }


def test_compared_with_prod_while_the_environment_is_called_production(tmp_path: Path) -> None:
    report = audit(tmp_path, _by_environment("production"), "production")
    assert statuses(report, "backend-init-enabled") == {"gap"}


def test_compared_with_prod_and_called_prod(tmp_path: Path) -> None:
    report = audit(tmp_path, _by_environment("prod"), "production")
    assert statuses(report, "backend-init-enabled") == {"pass"}


CLASSES = """\
    import os
    from dataclasses import dataclass

    class BaseConfig:
        SENTRY_DSN = None

    class StagingConfig(BaseConfig):
        DEBUG = False

    class ProductionConfig(BaseConfig):
        SENTRY_DSN = os.environ["SENTRY_DSN"]

    CONFIGS = {"staging": StagingConfig, "production": ProductionConfig}

    def load():
        return CONFIGS[os.environ.get("APP_ENV", "staging")]()
    """
USES_CLASSES = """\
    import sentry_sdk
    from fastapi import FastAPI
    from config import load
    sentry_sdk.init(dsn=load().SENTRY_DSN)
    app = FastAPI()
    """


def test_one_environments_class_never_loads_the_dsn(tmp_path: Path) -> None:
    files = {"requirements.txt": SDK, "config.py": CLASSES, "main.py": USES_CLASSES}
    assert statuses(audit(tmp_path, files, "staging"), "config-env-mapping") == {"gap"}
    production = audit(tmp_path, files, "production")
    assert statuses(production, "config-env-mapping") <= {"pass", "skipped"}
    assert statuses(production, "backend-dsn-resolves") == {"pass"}


def test_a_config_error_falls_back_to_a_class_without_the_dsn(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "requirements.txt": SDK,
            "config.py": """\
                from pydantic_settings import BaseSettings
                class AppConfig:
                    sentry_dsn = None
                class StagingConfig(BaseSettings):
                    sentry_dsn: str
                def load():
                    try:
                        return StagingConfig()
                    except Exception:
                        return AppConfig()
                """,
            "main.py": """\
                import sentry_sdk
                from fastapi import FastAPI
                from config import load
                config = load()
                sentry_sdk.init(dsn=config.sentry_dsn)
                app = FastAPI()
                """,
        },
    )
    assert "gap" in statuses(report, "config-env-mapping")


def test_getenv_with_an_empty_default_resolves(tmp_path: Path) -> None:
    code = 'import os\nimport sentry_sdk\nsentry_sdk.init(dsn=os.getenv("SENTRY_DSN", ""))\n' + FASTAPI
    report = audit(tmp_path, {"requirements.txt": SDK, "main.py": code})
    assert statuses(report, "backend-dsn-resolves") == {"pass"}


def test_a_dsn_that_is_empty_is_dead(tmp_path: Path) -> None:
    report = audit(
        tmp_path, {"requirements.txt": SDK, "main.py": 'import sentry_sdk\nsentry_sdk.init(dsn="")\n' + FASTAPI}
    )
    assert statuses(report, "backend-dsn-resolves") == {"gap"}


def test_no_dsn_argument_reads_the_variable(tmp_path: Path) -> None:
    report = audit(tmp_path, {"requirements.txt": SDK, "main.py": "import sentry_sdk\nsentry_sdk.init()\n" + FASTAPI})
    assert statuses(report, "backend-dsn-resolves") == {"pass"}
    assert "SENTRY_DSN" in message(report, "backend-dsn-resolves")


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [
        ('"0.1"', "gap"),
        ('os.environ.get("RATE", "0.1")', "gap"),
        ('float(os.environ.get("RATE", "0.1"))', "pass"),
        ("1.5", "gap"),
        ("0.2", "pass"),
    ],
)
def test_sample_rates(tmp_path: Path, argument: str, wanted: str) -> None:
    code = f"import os\nimport sentry_sdk\nsentry_sdk.init(traces_sample_rate={argument})\n"
    report = audit(tmp_path, {"requirements.txt": SDK, "main.py": code + FASTAPI})
    assert statuses(report, "sample-rates-effective") == {wanted}


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("event.pop('user', None)", "gap"),
        ("return event", "pass"),
        ("return None", "gap"),
        ("return event.update(a=1)", "gap"),
        ("if 'exc_info' in hint:\n        return None\n    return event", "pass"),
        ("event['request']['headers'] = {}\n    return event", "gap"),
        ("if 'request' in event:\n        event['request'] = {}\n    return event", "pass"),
    ],
)
def test_before_send(tmp_path: Path, body: str, wanted: str) -> None:
    code = f"import sentry_sdk\ndef hook(event, hint):\n    {body}\nsentry_sdk.init(before_send=hook)\n"
    report = audit(tmp_path, {"requirements.txt": SDK, "main.py": code + FASTAPI})
    assert statuses(report, "hooks-keep-events") == {wanted}


def test_two_services_of_which_one_has_no_sentry(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "a/requirements.txt": SDK,
            "a/main.py": "import sentry_sdk\nsentry_sdk.init()\n" + FASTAPI,
            "b/requirements.txt": "fastapi\n",
            "b/main.py": FASTAPI,
        },
    )
    by_name = {item.name: item.chain[0].status.value for item in report.components}
    assert by_name == {"a": "pass", "b": "gap"}
    assert statuses(report, "backend-init-present", "a") == {"pass"}
    assert statuses(report, "backend-init-present", "b") == {"gap"}


def test_a_lock_that_has_the_sdk_only_through_another_package(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "pyproject.toml": '[project]\nname = "app"\nversion = "1"\ndependencies = ["fastapi[standard]"]\n',
            "uv.lock": """\
                version = 1

                [[package]]
                name = "fastapi-cloud-cli"
                version = "0.3.0"
                dependencies = [
                    { name = "sentry-sdk" },
                ]

                [[package]]
                name = "sentry-sdk"
                version = "2.35.0"
                """,
            "main.py": "import sentry_sdk\nsentry_sdk.init()\n" + FASTAPI,
        },
    )
    assert statuses(report, "backend-sdk-declared") == {"gap"}
    assert "fastapi-cloud-cli" in message(report, "backend-sdk-declared")


def test_an_api_and_seven_jobs_that_never_call_init(tmp_path: Path) -> None:
    files = {
        "api/requirements.txt": SDK,
        "api/config.py": "import os\nSENTRY_DSN = os.getenv('SENTRY_DSN')\n",
        "api/main.py": "import sentry_sdk\nfrom config import SENTRY_DSN\n" + FASTAPI,
    }
    for number in range(7):
        files[f"jobs/job{number}/requirements.txt"] = "sentry-sdk>=2.64,<3\n"
        files[f"jobs/job{number}/main.py"] = (
            "import sentry_sdk\nif __name__ == '__main__':\n    print(sentry_sdk.VERSION)\n"
        )
    report = audit(tmp_path, files)
    assert len(report.components) == 8
    for component in report.components:
        assert statuses(report, "backend-init-present", component.name) == {"gap"}
        assert statuses(report, "backend-sdk-declared", component.name) == {"pass"}


def test_a_guard_on_a_dsn_that_nothing_fills(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "requirements.txt": SDK,
            "settings.py": """\
                class Settings:
                    sentry_dsn = None
                settings = Settings()
                """,
            "main.py": """\
                import sentry_sdk
                from fastapi import FastAPI
                from settings import settings
                if settings.sentry_dsn:
                    sentry_sdk.init(dsn=settings.sentry_dsn)
                app = FastAPI()
                """,
        },
    )
    assert statuses(report, "backend-init-enabled") == {"gap"}
    assert report.exit_code == 1


def test_the_same_guard_on_a_field_that_the_environment_fills(tmp_path: Path) -> None:
    report = audit(
        tmp_path,
        {
            "requirements.txt": SDK,
            "settings.py": """\
                from pydantic_settings import BaseSettings
                class Settings(BaseSettings):
                    sentry_dsn: str | None = None
                settings = Settings()
                """,
            "main.py": """\
                import sentry_sdk
                from fastapi import FastAPI
                from settings import settings
                if settings.sentry_dsn:
                    sentry_sdk.init(dsn=settings.sentry_dsn)
                app = FastAPI()
                """,
        },
    )
    assert statuses(report, "backend-init-enabled") == {"pass"}
    assert statuses(report, "backend-dsn-resolves") == {"pass"}


@pytest.mark.parametrize(
    "files",
    [
        {"cookiecutter.json": "{}", "{{cookiecutter.slug}}/main.py": "{% if x %}\n" + FASTAPI},
        {"copier.yml": "a: 1\n", "src/{{module}}/app.py.jinja": "from fastapi import FastAPI\n", "x.py": "A = 1\n"},
    ],
    ids=["cookiecutter", "copier"],
)
def test_a_template_is_not_code_yet(tmp_path: Path, files: dict[str, str]) -> None:
    write(tmp_path, files)
    with pytest.raises(NothingAudited, match="template"):
        check(Request(root=tmp_path))


def test_settings_that_build_on_each_other_are_followed_once(tmp_path: Path) -> None:
    steps = "".join(f"A{n} = A{n - 1} if A{n - 1} == 'x' else A{n - 1} or A{n - 1}\n" for n in range(1, 40))
    loop = "LEFT = RIGHT if RIGHT else 1\nRIGHT = LEFT if LEFT else 2\n"
    files = {
        "requirements.txt": SDK,
        "config.py": f"import os\nA0 = os.getenv('SENTRY_DSN')\n{steps}{loop}",
        "main.py": "import sentry_sdk\nimport config\nif config.A39 and config.LEFT:\n    sentry_sdk.init()\n"
        + FASTAPI,
    }
    assert statuses(audit(tmp_path, files), "backend-init-present") == {"pass"}


def test_django_configurations_calls_post_setup_itself(tmp_path: Path) -> None:
    settings = (
        "import sentry_sdk\nfrom configurations import Configuration, values\nclass Production(Configuration):\n"
        "    SENTRY_DSN = values.Value(None, environ_name='SENTRY_DSN')\n    @classmethod\n    def post_setup(cls):\n"
        "        super().post_setup()\n        sentry_sdk.init(dsn=cls.SENTRY_DSN)\n"
    )
    files = {
        "requirements.txt": "django\ndjango-configurations\nsentry-sdk>=2.64,<3\n",
        "Dockerfile": IMAGE.replace('"uvicorn", "main:app"', '"gunicorn", "shop.wsgi:application"'),
        "shop/__init__.py": "",
        "shop/settings.py": settings,
        "shop/wsgi.py": (
            "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
            "from configurations.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
        ),
    }
    assert statuses(audit(tmp_path, files), "backend-init-reachable") == {"pass"}


def test_a_text_that_is_filled_in_later_is_no_dsn(tmp_path: Path) -> None:
    files = {
        "requirements.txt": SDK,
        "main.py": (
            "import os\nimport sentry_sdk\nkey = os.environ['KEY']\n"
            "sentry_sdk.init(dsn='https://{secret}@sentry.io/1252819'.format(secret=key))\n" + FASTAPI
        ),
    }
    assert statuses(audit(tmp_path, files), "dsn-format") == {"skipped"}
