"""sentry-sdk added to manifests, and kept below its next major."""

# ruff: noqa: E501 - before and after are texts of files, as they are
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.fixing import Refusal
from tests.fixing_python import answer, fixed
from tests.trees import FASTAPI

if TYPE_CHECKING:
    from pathlib import Path

SHOP = "import sentry_sdk\nfrom fastapi import FastAPI\nsentry_sdk.init()\napp = FastAPI()\n"
#: What the image installs decides.
IMAGE = 'FROM python:3.12\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["uvicorn", "main:app"]\n'

DECLARED = {
    "appended": ("requirements.txt", "fastapi\nuvicorn\nalembic\n", "fastapi\nuvicorn\nalembic\nsentry-sdk>=2.64,<3\n"),
    "alphabet": ("requirements.txt", "fastapi>=0.110\nuvicorn>=0.30\n", "fastapi>=0.110\nsentry-sdk>=2.64,<3\nuvicorn>=0.30\n"),
    "pinned": (
        "requirements.txt", "# web\nuvicorn==0.30\nfastapi==0.110.0  # api\n\n",
        "# web\nuvicorn==0.30\nfastapi==0.110.0  # api\nsentry-sdk==2.75.0\n\n",
    ),
    "extras and no final line end": (
        "requirements.txt", "uvicorn[standard]\r\nfastapi", "uvicorn[standard]\r\nfastapi\r\nsentry-sdk[fastapi]>=2.64,<3",
    ),
    "compatible": ("requirements.txt", "fastapi~=0.110\nuvicorn~=0.3\nanyio\n", "fastapi~=0.110\nuvicorn~=0.3\nanyio\nsentry-sdk~=2.64\n"),
    "spaced": ("requirements.txt", "uvicorn >= 0.3, <1\nfastapi >= 0.1\n", "uvicorn >= 0.3, <1\nfastapi >= 0.1\nsentry-sdk >=2.64, <3\n"),
    "pep 621": (
        "pyproject.toml",
        '[project]\nname = "shop"\nversion = "1"\ndependencies = [\n  "fastapi>=0.1", # web\n  "uvicorn",\n]\n\n[tool.x]\ny = 1\n',
        '[project]\nname = "shop"\nversion = "1"\ndependencies = [\n  "fastapi>=0.1", # web\n  "sentry-sdk>=2.64,<3",\n  "uvicorn",\n]\n\n[tool.x]\ny = 1\n',
    ),
    "pep 621 without a last comma": (
        "pyproject.toml",
        "[project]\nname = 'shop'\ndependencies = [\r\n    'uvicorn',\r\n    'fastapi>=0.1' # web\r\n]\r\n".replace("\r\n", "\n"),
        "[project]\nname = 'shop'\ndependencies = [\n    'uvicorn',\n    'fastapi>=0.1', # web\n    'sentry-sdk>=2.64,<3'\n]\n",
    ),
    "pep 621 on one line": (
        "pyproject.toml", '[project]\nname = "shop"\ndependencies = ["uvicorn", "fastapi"]\n',
        '[project]\nname = "shop"\ndependencies = ["uvicorn", "fastapi", "sentry-sdk>=2.64,<3"]\n',
    ),
    "poetry": (
        "pyproject.toml",
        '[tool.poetry]\nname = "shop"\n\n[tool.poetry.dependencies]\npython = "^3.11"\nfastapi = "^0.110"\nuvicorn = "^0.3"\n\n[tool.poetry.group.dev.dependencies]\npytest = "^8"\n',
        '[tool.poetry]\nname = "shop"\n\n[tool.poetry.dependencies]\npython = "^3.11"\nfastapi = "^0.110"\nsentry-sdk = "^2.64"\nuvicorn = "^0.3"\n\n[tool.poetry.group.dev.dependencies]\npytest = "^8"\n',
    ),
    "poetry with extras": (
        "pyproject.toml",
        '[tool.poetry]\nname = "shop"\n\n[tool.poetry.dependencies]\npython = "^3.11"\nuvicorn = {version = "^0.3", extras = ["standard"]}\nfastapi = "^0.110"\n\n[build-system]\nrequires = []\n',
        '[tool.poetry]\nname = "shop"\n\n[tool.poetry.dependencies]\npython = "^3.11"\nuvicorn = {version = "^0.3", extras = ["standard"]}\nfastapi = "^0.110"\nsentry-sdk = {version = "^2.64", extras = ["fastapi"]}\n\n[build-system]\nrequires = []\n',
    ),
    "pipfile": (
        "Pipfile", '[packages]\nuvicorn = "*"\nfastapi = "*"\n\n[dev-packages]\npytest = "*"\n',
        '[packages]\nuvicorn = "*"\nfastapi = "*"\nsentry-sdk = ">=2.64,<3"\n\n[dev-packages]\npytest = "*"\n',
    ),
    "setup.cfg": (
        "setup.cfg", "[metadata]\nname = shop\n[options]\ninstall_requires =\n    fastapi\n    uvicorn\npackages = find:\n",
        "[metadata]\nname = shop\n[options]\ninstall_requires =\n    fastapi\n    sentry-sdk>=2.64,<3\n    uvicorn\npackages = find:\n",
    ),
    "setup.py": (
        "setup.py", "from setuptools import setup\nsetup(\n    name='shop',\n    install_requires=[\n        'uvicorn',\n        'fastapi',\n    ],\n)\n",
        "from setuptools import setup\nsetup(\n    name='shop',\n    install_requires=[\n        'uvicorn',\n        'fastapi',\n        'sentry-sdk>=2.64,<3',\n    ],\n)\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DECLARED)
def test_the_sdk_is_declared_as_its_neighbours_are(tmp_path: Path, name: str) -> None:
    path, before, after = DECLARED[name]
    changed = fixed(tmp_path, {path: before, "main.py": SHOP}, "backend-sdk-declared", closes=("backend-sdk-bounded",))
    assert changed == {path: after}


def test_the_manifest_that_the_image_installs_is_the_one(tmp_path: Path) -> None:
    files = {
        "requirements.txt": "fastapi\n",
        "requirements-dev.txt": "sentry-sdk\n",
        "Dockerfile": IMAGE,
        "main.py": SHOP,
    }
    assert list(fixed(tmp_path, files, "backend-sdk-declared")) == ["requirements.txt"]


def test_a_lock_is_named_with_its_command(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": '[project]\nname = "a"\ndependencies = ["fastapi"]\n',
        "uv.lock": "version = 1\n",
        "main.py": SHOP,
    }
    found = answer(tmp_path, files, "backend-sdk-declared")
    assert not isinstance(found, Refusal)
    assert found.summary == "will add sentry-sdk to pyproject.toml (then refresh uv.lock: uv lock)"
    assert [item.path for item in found.edits] == ["pyproject.toml"]


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("# This file is autogenerated by pip-compile with Python 3.11\n#    pip-compile requirements.in\nfastapi==0.1\n", "pip-compile requirements.in"),
        ("fastapi==0.1 \\\n    --hash=sha256:00\n", "pip hash"),
    ],
)  # fmt: skip
def test_what_a_tool_wrote_is_left_to_it(tmp_path: Path, text: str, command: str) -> None:
    files = {"requirements.txt": text, "requirements.in": "fastapi\n", "Dockerfile": IMAGE, "main.py": FASTAPI}
    found = answer(tmp_path, files, "backend-sdk-declared")
    assert isinstance(found, Refusal)
    assert any(command in item for item in found.commands)


BOUNDED = {
    "bare": ("requirements.txt", "fastapi\nsentry-sdk\n", "fastapi\nsentry-sdk<3\n"),
    "from": ("requirements.txt", "fastapi\nsentry-sdk[fastapi]>=1.38.0  # errors\n", "fastapi\nsentry-sdk[fastapi]>=1.38.0,<3  # errors\n"),
    "marker": (
        "requirements.txt", "fastapi\r\nsentry_sdk >= 2.1, != 2.3 ; python_version > '3'\r\n",
        "fastapi\r\nsentry_sdk >= 2.1, != 2.3, < 3 ; python_version > '3'\r\n",
    ),
    "pep 621": (
        "pyproject.toml", '[project]\nname = "a"\ndependencies = ["fastapi", "sentry-sdk>=2.1"]\n',
        '[project]\nname = "a"\ndependencies = ["fastapi", "sentry-sdk>=2.1,<3"]\n',
    ),
    "poetry": (
        "pyproject.toml", '[tool.poetry.dependencies]\nfastapi = "*"\nsentry-sdk = {extras = ["fastapi"], version = ">=2.1"}\n',
        '[tool.poetry.dependencies]\nfastapi = "*"\nsentry-sdk = {extras = ["fastapi"], version = ">=2.1,<3"}\n',
    ),
    "pipfile": ("Pipfile", '[packages]\nfastapi = "*"\nsentry-sdk = "*"\n', '[packages]\nfastapi = "*"\nsentry-sdk = "<3"\n'),
    "setup.py": (
        "setup.py", "from setuptools import setup\nsetup(install_requires=['fastapi', 'sentry-sdk>=2'])\n",
        "from setuptools import setup\nsetup(install_requires=['fastapi', 'sentry-sdk>=2,<3'])\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOUNDED)
def test_the_next_major_is_kept_out(tmp_path: Path, name: str) -> None:
    path, before, after = BOUNDED[name]
    assert fixed(tmp_path, {path: before, "main.py": SHOP}, "backend-sdk-bounded") == {path: after}


def test_a_major_that_is_asked_for_is_not_kept_out(tmp_path: Path) -> None:
    found = answer(
        tmp_path, {"requirements.txt": "fastapi\nsentry-sdk>=3.0.0b1\n", "main.py": SHOP}, "backend-sdk-bounded"
    )
    assert isinstance(found, Refusal)
