"""Dockerfiles: what the image installs, and how it starts."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_audit.facts import AuthToken, Dsn, EnvVar, Image, Process
from sentry_audit.scanners.docker import matches, rebase, scan
from sentry_audit.scanners.instructions import read


def image(text: str, path: str = "api/Dockerfile") -> Image:
    found, problems = scan(path, textwrap.dedent(text))
    assert not problems
    return next(item for item in found if isinstance(item, Image))


def commands(text: str) -> list[tuple[str, ...]]:
    return [item.command for item in scan("Dockerfile", textwrap.dedent(text))[0] if isinstance(item, Process)]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Dockerfile", True),
        ("docker/Dockerfile.prod", True),
        ("api.Dockerfile", True),
        ("Containerfile", True),
        (".dockerignore", False),
        ("Dockerfile.dockerignore", False),
        ("Dockerfile.j2", False),
        ("docs/dockerfile.md", False),
    ],
)
def test_names(name: str, wanted: bool) -> None:
    assert matches(name) is wanted


def test_a_requirements_file_is_followed_through_copy() -> None:
    step = image("FROM python\nWORKDIR /srv\nCOPY reqs/base.txt /tmp/r.txt\nRUN pip install -r /tmp/r.txt\n").installs[
        0
    ]
    assert step.files == ("api/reqs/base.txt",)


def test_a_folder_is_followed_through_copy() -> None:
    assert image("FROM python\nCOPY backend /app\nWORKDIR /app\nRUN pip install .\n").installs[0].files == (
        "api/backend",
    )


@pytest.mark.parametrize(
    ("run", "packages"),
    [
        ("pip install 'fastapi[standard]>=0.110' sentry-sdk==2.1", ("fastapi[standard]>=0.110", "sentry-sdk==2.1")),
        ("python -m pip install --no-cache-dir -U gunicorn", ("gunicorn",)),
        ("uv pip install --system -p 3.12 flask", ("flask",)),
        ("/venv/bin/pip3.12 install -i https://pypi.org/simple a b", ("a", "b")),
        ("apt-get update && pip install a && rm -rf /x", ("a",)),
        ("pip install git+https://github.com/x/y.git@v1#egg=y", ("y",)),
    ],
)
def test_packages_on_the_command_line(run: str, packages: tuple[str, ...]) -> None:
    assert image(f"FROM python\nRUN {run}\n").installs[0].packages == packages


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("poetry install --no-root --only main", {"tool": "poetry", "only": ("main",)}),
        ("poetry install --without dev,docs -E gcp", {"without": ("dev", "docs"), "extras": ("gcp",), "dev": True}),
        ("uv sync --frozen --no-dev --extra cloud", {"tool": "uv", "groups": (), "extras": ("cloud",)}),
        ("uv sync --locked", {"groups": ("dev",)}),
        ("uv sync --package billing", {"files": ("package:billing",)}),
        ("pipenv install --system --deploy", {"tool": "pipenv", "dev": False}),
        ("pdm sync --prod -G worker", {"tool": "pdm", "dev": False, "groups": ("worker",)}),
    ],
)
def test_tools(run: str, expected: dict[str, object]) -> None:
    step = image(f"FROM python\nCOPY . .\nRUN {run}\n").installs[0]
    for name, value in expected.items():
        assert getattr(step, name) == value


def test_the_last_stage_and_what_it_comes_from_count() -> None:
    found = image(
        """\
        FROM node AS web
        RUN npm ci
        FROM python AS build
        COPY requirements.txt .
        RUN pip install -r requirements.txt
        FROM python AS tests
        RUN pip install pytest
        FROM python
        COPY --from=build /venv /venv
        COPY . .
        CMD ["python", "main.py"]
        """
    )
    assert [step.files for step in found.installs] == [("api/requirements.txt",)]


def test_bind_mounts_and_continuations() -> None:
    found = image(
        """\
        FROM python
        WORKDIR /app
        RUN --mount=type=bind,source=uv.lock,target=uv.lock \\
            # a comment inside
            --mount=type=bind,source=pyproject.toml,target=pyproject.toml \\
            uv sync --no-dev
        """
    )
    assert found.installs[0].files == ("api/pyproject.toml",)


def test_a_heredoc() -> None:
    found = image(
        "FROM python\nCOPY requirements.txt .\nRUN <<EOF\nset -e\npip install -r requirements.txt\nEOF\nCMD x\n"
    )
    assert found.installs[0].files == ("api/requirements.txt",)


def test_what_cannot_be_followed_is_said() -> None:
    assert "make install" in image("FROM python\nCOPY . .\nRUN make install\n").unresolved[0]
    assert "conda" in image("FROM python\nRUN conda install flask\n").unresolved[0]
    assert "*.whl" in image("FROM python\nCOPY dist/ /dist\nRUN pip install /dist/*.whl\n").unresolved[0]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('CMD ["uvicorn", "app:app"]', [("uvicorn", "app:app")]),
        ("CMD uvicorn app:app --port ${PORT:-8080}", [("uvicorn", "app:app", "--port", "8080")]),
        ('ENTRYPOINT ["tini", "--"]\nCMD ["gunicorn", "a:b"]', [("tini", "--", "gunicorn", "a:b")]),
        ("CMD alembic upgrade head && exec uvicorn app:app", [("uvicorn", "app:app")]),
        (
            'CMD ["sh", "-c", "celery -A w worker & uvicorn app:app"]',
            [("celery", "-A", "w", "worker"), ("uvicorn", "app:app")],
        ),
        ('ENTRYPOINT ["/entrypoint.sh"]\nCMD ["gunicorn", "a:b"]', [("gunicorn", "a:b"), ("/entrypoint.sh",)]),
        ('CMD ["a"]\nENTRYPOINT ["b"]', [("b",)]),
        ("CMD []", []),
    ],
)
def test_how_it_starts(lines: str, expected: list[tuple[str, ...]]) -> None:
    assert commands(f"FROM python\n{lines}\n") == expected


def test_variables_and_tokens() -> None:
    found, _ = scan(
        "Dockerfile",
        "FROM python\nARG SENTRY_AUTH_TOKEN\nENV SENTRY_ENVIRONMENT=staging SECRET=x\n"
        "ENV SENTRY_DSN https://0123456789abcdef0123456789aba1f3@o1.ingest.sentry.io/1\n",
    )
    values = {item.name: item.value for item in found if isinstance(item, EnvVar)}
    assert values == {"SENTRY_ENVIRONMENT": "staging", "SECRET": "", "SENTRY_DSN": ""}
    assert [item.shown for item in found if isinstance(item, Dsn)] == ["https://…a1f3@o1.ingest.sentry.io/1"]
    assert [item.evidence[0].line for item in found if isinstance(item, AuthToken)] == [2]
    assert "0123456789" not in repr(found)


def test_another_context() -> None:
    moved = rebase(image("FROM python\nCOPY api/requirements.txt .\nRUN pip install -r requirements.txt\n"), "")
    assert moved.installs[0].files == ("api/requirements.txt",)


def test_lines_are_those_of_the_file() -> None:
    assert [item.line for item in read("# escape=`\nFROM x\n\nRUN a `\n  b\nCMD c\n")] == [2, 4, 6]


@given(st.text(alphabet=st.sampled_from("FROM RUNCMDCOPY[]\"'\\\n$&|;<>EOF pip install -r x ."), max_size=200))
def test_never_raises(text: str) -> None:
    scan("Dockerfile", "FROM python\n" + text)
