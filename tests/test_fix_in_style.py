"""Fixes of Python back ends read as the project's own code does: its annotations, its sections, its readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fixing_capture import fixed
from tests.trees import SDK

if TYPE_CHECKING:
    from pathlib import Path

DJANGO = {
    "requirements.txt": SDK.replace("fastapi", "django"),
    "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
    "shop/__init__.py": "",
    "shop/urls.py": "urlpatterns = []\n",
    "shop/wsgi.py": (
        "import os\nfrom django.core.wsgi import get_wsgi_application\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\napplication = get_wsgi_application()\n"
    ),
}
SETTINGS = 'SECRET_KEY = "x"\nROOT_URLCONF = "shop.urls"\nMIDDLEWARE = ["shop.middleware.MeasuredResponses"]\n'


def django(settings: str, **more: str) -> dict[str, str]:
    return {**DJANGO, "shop/settings.py": settings, **more}


def test_a_django_middleware_says_its_types_where_its_neighbours_do(tmp_path: Path) -> None:
    typed = "def label(name: str) -> str:\n    return name\n"
    init = "import sentry_sdk\n\nsentry_sdk.init()\n"
    for folder, views, line in (
        ("typed", typed, "    def __call__(self, request: HttpRequest) -> HttpResponse:\n"),
        ("plain", "def label(name):\n    return name\n", "    def __call__(self, request):\n"),
    ):
        files = django(init + SETTINGS, **{"shop/views.py": views})
        (tmp_path / folder).mkdir()
        text = fixed(tmp_path / folder, files, "backend-error-context")["shop/request_id.py"]
        assert line in text
        assert ("HttpRequest" in text) == (folder == "typed")


def test_a_list_on_one_line_is_laid_out_where_it_grows_too_long(tmp_path: Path) -> None:
    files = django("import sentry_sdk\n\nsentry_sdk.init()\n" + SETTINGS)
    files["pyproject.toml"] = "[tool.black]\nline-length = 88\n"
    text = fixed(tmp_path, files, "backend-error-context")["shop/settings.py"]
    assert text.endswith(
        'MIDDLEWARE = [\n    "shop.request_id.RequestIdMiddleware",\n    "shop.middleware.MeasuredResponses",\n]\n'
    )


def test_a_section_that_one_package_has_for_itself_gets_no_other_import(tmp_path: Path) -> None:
    head = (
        "import os\n\nfrom django.conf.global_settings import LANGUAGES\n\n"
        "import sentry_sdk\nfrom decouple import config\n\n"
    )
    files = django(head + "sentry_sdk.init()\n" + SETTINGS)
    text = fixed(tmp_path, files, "privacy-scrubbing")["shop/settings.py"]
    assert "import LANGUAGES\n\nimport sentry_sdk\nfrom decouple import config\nfrom sentry_sdk.scrubber" in text
    files["shop/views.py"] = "def label(name: str) -> str:\n    return name\n"
    (tmp_path / "other").mkdir()
    text = fixed(tmp_path / "other", files, "backend-error-context")["shop/request_id.py"]
    assert "import uuid4\n\nfrom django.http import HttpRequest, HttpResponse\n\nimport sentry_sdk\n\n\nclass" in text


def test_a_rate_is_read_by_decouple_where_the_settings_are(tmp_path: Path) -> None:
    head = 'import sentry_sdk\nfrom decouple import config\n\nDEBUG = config("DEBUG", default=False, cast=bool)\n'
    text = fixed(tmp_path, django(head + "sentry_sdk.init()\n" + SETTINGS), "backend-tracing")["shop/settings.py"]
    assert 'traces_sample_rate=config("SENTRY_TRACES_SAMPLE_RATE", default=0.1, cast=float)' in text
    assert "import os" not in text


def test_enable_tracing_is_a_rate_that_a_sampler_keeps(tmp_path: Path) -> None:
    main = (
        "import sentry_sdk\nfrom fastapi import FastAPI\n\nsentry_sdk.init(enable_tracing=True)\napp = FastAPI()\n\n\n"
        '@app.get("/health")\ndef health():\n    return {}\n'
    )
    text = fixed(tmp_path, {"requirements.txt": SDK, "main.py": main}, "noise-health-checks")["main.py"]
    assert "sentry_sdk.init(enable_tracing=True, traces_sampler=traces_sampler)" in text
    assert 'HEALTH_CHECKS = ("/health",)' in text


def test_routes_of_django_are_probes_without_a_slash_in_front(tmp_path: Path) -> None:
    urls = (
        "from django.urls import path\n\nfrom shop import views\n\n"
        'urlpatterns = [path("healthz/", views.up), path("orders/", views.orders)]\n'
    )
    views = "def up(request):\n    return None\n\n\ndef orders(request):\n    return None\n"
    settings = "import sentry_sdk\n\nsentry_sdk.init(traces_sample_rate=0.5)\n" + SETTINGS
    files = django(settings, **{"shop/urls.py": urls, "shop/views.py": views})
    text = fixed(tmp_path, files, "noise-health-checks")["shop/settings.py"]
    assert 'HEALTH_CHECKS = ("/healthz/",)' in text


def test_a_dsn_that_is_turned_into_a_text_still_names_the_settings(tmp_path: Path) -> None:
    files = {
        "requirements.txt": SDK + "pydantic-settings\n",
        "config.py": (
            "from pydantic import HttpUrl\nfrom pydantic_settings import BaseSettings\n\n\n"
            "class Settings(BaseSettings):\n    SENTRY_DSN: HttpUrl | None = None\n\n\nsettings = Settings()\n"
        ),
        "main.py": (
            "import sentry_sdk\nfrom fastapi import FastAPI\n\nfrom config import settings\n\n"
            "sentry_sdk.init(dsn=str(settings.SENTRY_DSN))\napp = FastAPI()\n"
        ),
    }
    texts = fixed(tmp_path, files, "config-environment-field")
    assert "    SENTRY_ENVIRONMENT: str | None = None\n" in texts["config.py"]
    assert "environment=settings.SENTRY_ENVIRONMENT" in texts["main.py"]


def test_two_blank_lines_stand_around_a_function_of_flask(tmp_path: Path) -> None:
    main = (
        "import sentry_sdk\nfrom flask import Flask\n\nsentry_sdk.init()\n\napplication = Flask(__name__)\n\n"
        "print(application)\n"
    )
    files = {"requirements.txt": SDK.replace("fastapi", "flask"), "main.py": main}
    text = fixed(tmp_path, files, "backend-error-context")["main.py"]
    assert '    sentry_sdk.set_tag("request_id", request_id)\n\n\nprint(application)\n' in text


@pytest.mark.parametrize(
    ("given", "environment", "rate"),
    [
        ("Field(default=None)", "Field(default=None)", "Field(default=0.1)"),
        ('Field(None, description="where errors go")', "Field(None)", "Field(0.1)"),
        ("None", "None", "0.1"),
    ],
)
def test_a_new_field_is_written_as_the_one_beside_it(tmp_path: Path, given: str, environment: str, rate: str) -> None:
    files = {
        "requirements.txt": SDK + "pydantic-settings\n",
        "config.py": (
            "from pydantic import Field\nfrom pydantic_settings import BaseSettings\n\n\n"
            f"class Settings(BaseSettings):\n    sentry_dsn: str | None = {given}\n\n\nsettings = Settings()\n"
        ),
        "main.py": (
            "import sentry_sdk\nfrom fastapi import FastAPI\n\nfrom config import settings\n\n"
            "sentry_sdk.init(dsn=settings.sentry_dsn)\napp = FastAPI()\n"
        ),
    }
    for check, line in (
        ("config-environment-field", f"    sentry_environment: str | None = {environment}\n"),
        ("backend-tracing", f"    sentry_traces_sample_rate: float = {rate}\n"),
    ):
        (tmp_path / check).mkdir()
        assert line in fixed(tmp_path / check, files, check)["config.py"]
