"""Manifests and locks: what a project declares, in every format in use."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from sentry_audit.facts import Dependency, LockedPackage, Manifest
from sentry_audit.scanners.manifests import matches, scan


def declared(path: str, text: str) -> dict[str, Dependency]:
    found, problems = scan(path, textwrap.dedent(text))
    assert not problems
    return {item.name: item for item in found if isinstance(item, Dependency)}


def test_requirements() -> None:
    text = """\
        # -*- coding: utf-8 -*-
        -r base.txt
        -c constraints.txt
        --index-url https://pypi.org/simple
        Sentry_SDK[fastapi]==2.64.0 ; python_version >= "3.9"  # errors
        flask==3.0 \\
            --hash=sha256:aaaa \\
            --hash=sha256:bbbb
        -e .
        ./local/package
        git+https://github.com/x/y.git
        """
    found = declared("requirements/prod.txt", text)
    assert found["sentry-sdk"].specifier == "==2.64.0"
    assert found["sentry-sdk"].line == 5
    assert found["sentry-sdk"].extras == ("fastapi",)
    assert found["flask"].specifier == "==3.0"
    [manifest] = [
        item for item in scan("requirements/prod.txt", textwrap.dedent(text))[0] if isinstance(item, Manifest)
    ]
    assert manifest.includes == ("requirements/base.txt",)


def test_pyproject_in_all_its_dialects() -> None:
    found = declared(
        "pyproject.toml",
        """\
        [project]
        name = "app"
        dependencies = ["fastapi>=0.110", "sentry-sdk[fastapi]>=2,<3"]
        optional-dependencies = {gcp = ["google-cloud-run"]}
        scripts = {app = "app.cli:main"}
        [dependency-groups]
        dev = ["pytest", {include-group = "lint"}]
        lint = ["ruff"]
        [tool.uv]
        dev-dependencies = ["mypy"]
        """,
    )
    assert (found["sentry-sdk"].specifier, found["sentry-sdk"].group) == (">=2,<3", "")
    assert (found["google-cloud-run"].group, found["google-cloud-run"].optional) == ("gcp", True)
    assert found["pytest"].group == "dev"
    assert found["ruff"].group in {"dev", "lint"}
    assert found["mypy"].group == "dev"


def test_poetry() -> None:
    found = declared(
        "pyproject.toml",
        """\
        [tool.poetry]
        name = "app"
        [tool.poetry.dependencies]
        python = "^3.11"
        sentry-sdk = {version = "^2.5", extras = ["django"]}
        [tool.poetry.group.test.dependencies]
        pytest = "*"
        """,
    )
    assert found["sentry-sdk"].specifier == ">=2.5,<3"
    assert found["pytest"].group == "test"


def test_setuptools_dynamic_and_console_scripts() -> None:
    [manifest] = scan(
        "svc/pyproject.toml",
        '[project]\nname="a"\ndynamic=["dependencies"]\nscripts={run="a.b:main"}\n'
        '[tool.setuptools.dynamic]\ndependencies={file=["requirements.txt"]}\n',
    )[0]
    assert isinstance(manifest, Manifest)
    assert manifest.includes == ("svc/requirements.txt",)
    assert manifest.scripts == (("run", "a.b:main"),)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Pipfile", '[packages]\nsentry-sdk = ">=2"\n[dev-packages]\npytest = "*"\n'),
        ("setup.cfg", "[metadata]\nname = a\n[options]\ninstall_requires =\n    sentry-sdk>=2\n"),
        ("setup.py", 'from setuptools import setup\nREQ = ["sentry-sdk>=2"]\nsetup(name="a", install_requires=REQ)\n'),
    ],
)
def test_older_formats(path: str, text: str) -> None:
    assert declared(path, text)["sentry-sdk"].specifier == ">=2"


def test_a_module_called_setup_is_no_manifest() -> None:
    assert scan("app/review/setup.py", "def setup():\n    return 1\n") == ((), ())


def test_computed_requirements_are_unknown() -> None:
    _, problems = scan("setup.py", "from setuptools import setup\nsetup(install_requires=read('r.txt'))\n")
    assert problems[0].evidence.line == 2


SDK_ENTRY = '[[package]]\nname = "sentry-sdk"\nversion = "2.30.0"\n\n'
OTHER_ENTRY = '[[package]]\nname = "x"\nversion = "1"\n'


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("uv.lock", OTHER_ENTRY + 'dependencies = [{ name = "sentry-sdk" }]\n\n' + SDK_ENTRY),
        ("poetry.lock", SDK_ENTRY + OTHER_ENTRY + '\n[package.dependencies]\nsentry-sdk = ">=2"\n'),
        ("pdm.lock", SDK_ENTRY + OTHER_ENTRY + 'dependencies = ["sentry-sdk>=2"]\n'),
    ],
)
def test_locks_tell_the_version_and_who_requires_it(path: str, text: str) -> None:
    [lock] = [item for item in scan(path, text)[0] if isinstance(item, LockedPackage)]
    assert (lock.version, lock.required_by) == ("2.30.0", ("x",))


def test_pipfile_lock() -> None:
    [lock] = [
        item
        for item in scan("Pipfile.lock", '{"default": {"sentry-sdk": {"version": "==2.30.0"}}}')[0]
        if isinstance(item, LockedPackage)
    ]
    assert lock.version == "2.30.0"


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("pyproject.toml", "[project]\nname = \n", 2),
        ("Pipfile", "[packages\n", 1),
        ("setup.py", "from setuptools import setup\nsetup(\n", 2),
        ("Pipfile.lock", '{"default": \n "sentry-sdk" }', 2),
        ("pyproject.toml", "project = 3\n", None),
        (
            "pyproject.toml",
            "[project]\noptional-dependencies = []\ndependencies = ['a']\ndependency-groups = 1\n[tool]\npoetry = 1\n",
            None,
        ),
    ],
)
def test_broken_files_are_problems_with_a_line(path: str, text: str, line: int | None) -> None:
    found, problems = scan(path, text)
    if path == "Pipfile.lock":
        assert isinstance(found, tuple)
        return
    assert len(problems) == 1
    assert problems[0].evidence.path == path
    assert problems[0].hint
    if line is not None:
        assert problems[0].evidence.line == line


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("requirements.txt", True),
        ("requirements-dev.txt", True),
        ("requirements/base.in", True),
        ("requirements.pip", True),
        ("reqs/x.txt", True),
        ("notes.txt", False),
        ("pyproject.toml", True),
        ("robots.txt", False),
    ],
)
def test_names(path: str, wanted: bool) -> None:
    assert matches(path) is wanted


@given(
    st.text(max_size=300),
    st.sampled_from(["requirements.txt", "pyproject.toml", "Pipfile", "setup.cfg", "setup.py", "uv.lock"]),
)
def test_never_raises(text: str, path: str) -> None:
    scan(path, text)
    scan(path, "from setuptools import setup\n" + text)


@given(
    st.from_regex(r"\A[a-z][a-z0-9._-]{0,6}[a-z0-9](\[[a-z, ]{0,6}\])? ?(((==|>=|~=|<|!=) ?[0-9.]{1,5}[*]?,?){0,2})\Z")
)
def test_plain_requirements_are_read_as_packaging_reads_them(text: str) -> None:
    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        return
    [found] = [item for item in scan("requirements.txt", text)[0] if isinstance(item, Dependency)]
    assert found.name == canonicalize_name(parsed.name)
    assert set(found.extras) == parsed.extras
    assert SpecifierSet(found.specifier) == parsed.specifier
