"""Dotenv files, shell text, Procfiles, compose files and their like."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_audit.facts import AuthToken, Dsn, EnvVar, Process
from sentry_audit.scanners import dotenv, processes
from sentry_audit.scanners.shell import commands

DSN = "https://0123456789abcdef0123456789aba1f3@o1.ingest.sentry.io/1"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (".env", True),
        ("api/.env.staging", True),
        ("prod.env", True),
        ("env.example", True),
        ("config/env.production", True),
        (".envrc", False),
        ("env.go", False),
        ("env.py", False),
        ("src/env.d.ts", False),
        ("environment.ts", False),
    ],
)
def test_dotenv_names(name: str, wanted: bool) -> None:
    assert dotenv.matches(name) is wanted


def test_a_dotenv_file() -> None:
    found, problems = dotenv.scan(
        ".env.staging", f"# note\nSENTRY_ENVIRONMENT=staging\nexport SENTRY_DSN='{DSN}'\nDB_PASSWORD=hunter2\nEMPTY=\n"
    )
    variables = {item.name: item for item in found if isinstance(item, EnvVar)}
    assert variables["SENTRY_ENVIRONMENT"].value == "staging"
    assert variables["SENTRY_DSN"].value == ""
    assert variables["SENTRY_DSN"].line == 3
    assert not variables["EMPTY"].is_set
    assert all(item.environment == "staging" for item in variables.values())
    [value] = [item for item in found if isinstance(item, Dsn)]
    assert value.hardcoded
    assert value.shown == "https://…a1f3@o1.ingest.sentry.io/1"
    assert "hunter2" not in repr(found)
    assert "0123456789abcdef" not in repr(found)
    assert not problems


def test_a_template_is_no_hardcoded_dsn() -> None:
    found, _ = dotenv.scan(
        ".env.example", "SENTRY_DSN=https://YOUR_KEY@o0.ingest.sentry.io/0\nSENTRY_AUTH_TOKEN=changeme\n"
    )
    assert all(item.template for item in found if isinstance(item, EnvVar))
    assert not any(item.hardcoded for item in found if isinstance(item, Dsn))
    assert not any(isinstance(item, AuthToken) for item in found)


def test_a_token_in_a_file() -> None:
    found, _ = dotenv.scan(".env", "SENTRY_AUTH_TOKEN=sntrys_abcdefghijklmnop\n")
    assert [item.evidence[0].saw for item in found if isinstance(item, AuthToken)] == ["SENTRY_AUTH_TOKEN=…"]
    assert "abcdefgh" not in repr(found)


def test_a_broken_line_is_named() -> None:
    _, problems = dotenv.scan(".env", "A=1\n=x\nB=2\n")
    assert problems[0].evidence.line == 2


@given(st.text(max_size=200))
def test_scanners_never_raise(text: str) -> None:
    dotenv.scan(".env", text)
    commands(text)
    for name in ("Procfile", "docker-compose.yml", "app.yaml", "supervisord.conf"):
        processes.scan(name, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b && c 'd e' | f", [("a", "b"), ("c", "d e"), ("f",)]),
        ("PORT=80\nuvicorn app:app --port $PORT", [("uvicorn", "app:app", "--port", "80")]),
        ("exec gunicorn -w $(nproc) a:b 2>&1", [("gunicorn", "-w", "$_", "a:b")]),
        ("if [ -n x ]; then\n  python m.py\nfi", [("[", "-n", "x", "]"), ("python", "m.py")]),
        ("server() {\n  exec gunicorn $1\n}\nserver a:b", [("gunicorn", "a:b")]),
        ("# note\nrun \\\n  --flag", [("run", "--flag")]),
        ("echo 'open\nuvicorn a:b", [("uvicorn", "a:b")]),
        ("run > /dev/null < in", [("run",)]),
    ],
)
def test_shell(text: str, expected: list[tuple[str, ...]]) -> None:
    assert commands(text) == expected


def started(path: str, text: str) -> dict[str, Process]:
    found, problems = processes.scan(path, textwrap.dedent(text))
    assert not problems
    return {item.name: item for item in found if isinstance(item, Process)}


def test_procfile() -> None:
    found = started(
        "Procfile", "release: python manage.py migrate\nweb: cd src && gunicorn app:app\nworker: celery -A app worker\n"
    )
    assert found["web"].command == ("gunicorn", "app:app")
    assert found["web"].context == "src"
    assert found["worker"].line == 3
    assert "release" not in found


def test_compose() -> None:
    text = """\
        x-base: &base
          build:
            context: ..
            dockerfile: docker/Dockerfile.api
        services:
          api:
            <<: *base
            command: uvicorn app:app
            environment:
              SENTRY_ENVIRONMENT: staging
          worker:
            <<: *base
            command: ["celery", "-A", "app", "worker"]
            environment: [SENTRY_ENVIRONMENT=staging]
          db:
            image: postgres
        """
    found = started("deploy/compose.yaml", text)
    assert found["api"].command == ("uvicorn", "app:app")
    assert (found["api"].context, found["api"].image) == ("", "docker/Dockerfile.api")
    assert found["worker"].command == ("celery", "-A", "app", "worker")
    assert "db" not in found
    facts, _ = processes.scan("deploy/compose.yaml", textwrap.dedent(text))
    assert [item.value for item in facts if isinstance(item, EnvVar)] == ["staging", "staging"]


def test_compose_with_environment_as_a_mapping_of_nothing() -> None:
    found = started(
        "compose.yaml",
        "services:\n  a:\n    build: .\n    environment:\n      A:\n      B: 1\n    command:\n      - x\n",
    )
    assert found["a"].command == ("x",)


@pytest.mark.parametrize(
    ("text", "line"), [("services:\n  a: [\n", 3), ("services:\n\ta: 1\n", 2), ("{{ range }}\nservices: {}\n", 1)]
)
def test_broken_yaml_is_named(text: str, line: int) -> None:
    found, problems = processes.scan("docker-compose.yml", text)
    assert not found
    assert problems[0].evidence.line in {line - 1, line, line + 1}
    assert problems[0].reason.startswith("not valid YAML")


def test_app_yaml() -> None:
    assert (
        started("app.yaml", "runtime: python312\nentrypoint: gunicorn -b :$PORT main:app\n")["app"].command[0]
        == "gunicorn"
    )
    assert started("app.yaml", "runtime: python312\n")["app"].command == ("gunicorn", "main:app")
    assert started("app.yaml", "runtime: nodejs20\n") == {}
    assert started("app.yaml", "kind: Deployment\n") == {}


def test_supervisord() -> None:
    found = started(
        "conf/supervisord.conf", "[supervisord]\nnodaemon=true\n[program:web]\ncommand=gunicorn --paste conf/p.ini\n"
    )
    assert found["web"].command == ("gunicorn", "--paste", "conf/p.ini")
