"""Compose files speak of development, or of the environment in their name: they prove nothing about another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.app import Request, trace
from sentry_audit.model import Status
from tests.test_deployments import BACKEND
from tests.test_frontend import DOCKERFILE, built
from tests.trees import audit, statuses, write

if TYPE_CHECKING:
    from pathlib import Path

NAME = "NEXT_PUBLIC_SENTRY_DSN"
WEB = "services:\n  web:\n    build:\n      context: ./web\n      args:\n        %s\n"
FORMS = (f"{NAME}: https://k@example.com/1", f"{NAME}: ${{{NAME}}}", f"- {NAME}=x", f"- {NAME}", f"{NAME}:")


def way(root: Path, files: dict[str, str], environment: str, name: str = NAME) -> Status:
    write(root, files)
    [found] = trace(Request(root=root, environments=(environment,)), name)
    return found.status


@pytest.mark.parametrize("form", FORMS)
def test_build_arguments_count_in_development_only(tmp_path: Path, form: str) -> None:
    files = built(**{"web/Dockerfile": DOCKERFILE, "docker-compose.yml": WEB % form})
    assert statuses(audit(tmp_path, files), "frontend-dsn-provided", "web") == {"unknown"}
    assert statuses(audit(tmp_path, files, "production"), "frontend-dsn-provided", "web") == {"unknown"}
    assert way(tmp_path, files, "staging") is Status.UNKNOWN
    assert way(tmp_path, files, "development") is Status.PASS


@pytest.mark.parametrize(
    ("path", "environment"),
    [
        ("docker-compose.staging.yml", "staging"),
        ("compose.prod.yml", "production"),
        ("compose.yaml", "development"),
        ("compose.qa.yaml", "qa"),
        ("docker-compose.override.yml", "development"),
    ],
)
def test_the_name_of_the_file_tells_the_environment(tmp_path: Path, path: str, environment: str) -> None:
    files = built(**{"web/Dockerfile": DOCKERFILE, path.replace("/", "__"): WEB % FORMS[0]})
    found = {name: way(tmp_path, files, name) for name in ("development", "qa", "staging", "production")}
    assert [name for name, status in found.items() if status is Status.PASS] == [environment]


def test_an_empty_argument_is_a_gap(tmp_path: Path) -> None:
    files = built(**{"web/Dockerfile": DOCKERFILE, "docker-compose.yml": WEB % f"{NAME}: ''"})
    assert way(tmp_path, files, "development") is Status.GAP


def test_variables_of_the_container_come_too_late_unless_a_server_for_development_is_started(tmp_path: Path) -> None:
    service = f"services:\n  web:\n    build: ./web\n    environment: {{{NAME}: x}}\n"
    files = built(**{"web/Dockerfile": DOCKERFILE, "docker-compose.yml": service})
    assert way(tmp_path / "a", files, "development") is not Status.PASS
    files["docker-compose.yml"] = service + "    command: npm run dev\n"
    assert way(tmp_path / "b", files, "development") is Status.PASS
    assert way(tmp_path / "b", files, "staging") is Status.UNKNOWN


def test_variables_of_a_back_end(tmp_path: Path) -> None:
    compose = "services:\n  api:\n    build: .\n    environment:\n      SENTRY_DSN: ${SENTRY_DSN}\n"
    files = {**BACKEND, "Dockerfile": 'FROM python\nCMD ["uvicorn", "main:app"]\n', "docker-compose.yml": compose}
    assert way(tmp_path, files, "development", "SENTRY_DSN") is Status.PASS
    assert way(tmp_path, files, "staging", "SENTRY_DSN") is not Status.PASS
    assert statuses(audit(tmp_path, files), "deploy-dsn-declared") == {"skipped"}
