"""What a path alone says about a file: whether it can be deployed, and whether deployed code can load it."""

from __future__ import annotations

#: Folders that hold tests: what they import does not run in production.
TESTS = frozenset(
    {"tests", "test", "testing", "__tests__", "e2e", "fixtures", "testdata", "test_data", "integration_tests", "unit_tests",
     "cypress", "spec", "typings", "stubs", "node_modules", "site-packages", ".venv", "venv", "loadtest", "loadtests",
     "load_test", "load_tests", "load-tests", "benchmarks", "bench"}
)  # fmt: skip
#: Folders that do not start anything in production, though deployed code may load something from them.
APART = frozenset(
    {"docs", "doc", "docs_src", "examples", "example", "samples", "sample", "demo", "demos", "vendor", "vendored",
     "third_party", "migrations", "templates", "cookbook", "notebooks"}
)  # fmt: skip
#: Folders of scripts that are run by hand.
SCRIPTS = frozenset({"scripts", "script", "tools", "bin", "hack", "ci", ".github", "devtools", "utils", "dev"})


def importable(path: str) -> bool:
    """Whether deployed code can load the file: it is not a test's, and not a template of a file."""
    if "{{" in path or "{%" in path:
        return False
    *folders, name = path.split("/")
    if not TESTS.isdisjoint(folders):
        return False
    return not (name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py" or name == "tests.py")


def deployed(path: str) -> bool:
    """Whether a file can be what a deployment starts or installs: importable, and no example, document or vendored copy."""
    return importable(path) and APART.isdisjoint(path.split("/")[:-1])
