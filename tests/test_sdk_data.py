"""The committed table of what each sentry-sdk version knows, and the script that measures it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
TABLE: dict[str, Any] = json.loads((ROOT / "sentry_audit/data/sentry_sdk.json").read_text(encoding="utf-8"))
MEASURED: list[str] = TABLE["generated_from"]
NEWEST = MEASURED[-1]
FASTAPI = "sentry_sdk.integrations.fastapi.FastApiIntegration"
LOGGING = "sentry_sdk.integrations.logging.LoggingIntegration"
OPENAI = "sentry_sdk.integrations.openai.OpenAIIntegration"


def has(ranges: list[list[str | None]], version: str) -> bool:
    """Tell whether one of the ranges holds a measured version."""
    position = MEASURED.index(version)
    for first, last in ranges:
        assert first is not None
        if MEASURED.index(first) <= position <= MEASURED.index(last or NEWEST):
            return True
    return False


def names(table: dict[str, list[list[str | None]]], version: str) -> set[str]:
    return {name for name, ranges in table.items() if has(ranges, version)}


def all_ranges(node: Any) -> Iterator[list[list[str | None]]]:
    if isinstance(node, dict):
        for value in node.values():
            yield from all_ranges(value)
    elif isinstance(node, list):
        yield node


@pytest.mark.parametrize(
    ("option", "known_in", "unknown_in"),
    [
        ("enable_logs", "2.44.0", "2.14.0"),
        ("with_locals", "1.38.0", "2.0.1"),  # 1.38 still lets the old name through
        ("request_bodies", "1.45.1", "2.0.0"),
        ("include_local_variables", "2.75.0", "1.0.0"),
        ("data_collection", "2.70.0", "2.69.2"),
        ("trace_lifecycle", "2.66.0", "2.65.0"),
        ("ignore_spans", "2.66.0", "2.65.0"),
        ("before_send_span", "2.67.0", "2.66.1"),
        ("profile_lifecycle", "2.22.0", "2.14.0"),
        ("strict_trace_continuation", "2.54.0", "2.44.0"),
        ("max_stack_frames", "2.19.1", "2.19.0"),  # arrived in a patch release
    ],
)
def test_options_by_version(option: str, known_in: str, unknown_in: str) -> None:
    assert has(TABLE["options"][option], known_in)
    assert not has(TABLE["options"][option], unknown_in)


def test_renamed_options_are_gone_from_every_2x() -> None:
    for version in (v for v in MEASURED if v.startswith("2.")):
        assert not {"with_locals", "request_bodies"} & names(TABLE["options"], version)
        assert {"include_local_variables", "max_request_body_size"} <= names(TABLE["options"], version)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.38.0", {"transaction_style"}),
        (
            "2.22.0",
            {"transaction_style", "failed_request_status_codes", "middleware_spans", "http_methods_to_capture"},
        ),
    ],
)
def test_fastapi_takes_the_arguments_of_starlette(version: str, expected: set[str]) -> None:
    assert names(TABLE["integrations"][FASTAPI]["arguments"], version) == expected


def test_logging_arguments_and_defaults() -> None:
    arguments = TABLE["integrations"][LOGGING]["arguments"]
    assert names(arguments, "2.14.0") == {"level", "event_level"}
    assert names(arguments, "2.44.0") == {"level", "event_level", "sentry_logs_level"}
    assert names(arguments, "2.68.0") == {"level", "event_level", "sentry_logs_level", "capture_sentry_logs"}
    assert TABLE["integrations"][LOGGING]["default"] == [["1.0.0", None]]


def test_openai_became_automatic_after_1_38() -> None:
    openai = TABLE["integrations"][OPENAI]
    assert openai["since"] == openai["auto_enabled"] == [["1.42.0", None]]


def test_exports() -> None:
    assert has(TABLE["exports"]["configure_scope"], NEWEST)
    assert not has(TABLE["exports"]["get_client"], "1.45.1")
    assert has(TABLE["exports"]["get_client"], "2.0.1")


def test_minimum_versions_are_those_of_the_newest_stable() -> None:
    assert TABLE["min_versions"]["fastapi"].keys() == {NEWEST}
    assert {version for oldest in TABLE["min_versions"].values() for version in oldest} == {NEWEST}


def test_the_3_0_preview_lists_what_breaks() -> None:
    preview = TABLE["prereleases"]["3.0.0b2"]
    assert {"send_default_pii", "event_scrubber", "before_send_transaction", "enable_logs"} <= set(
        preview["options_removed"]
    )
    assert {"Hub", "configure_scope", "push_scope", "start_transaction"} <= set(preview["exports_removed"])
    assert preview["default_removed"] == [LOGGING]
    assert f"{FASTAPI}(transaction_style)" in preview["arguments_removed"]


def test_ranges_are_bounded_by_measured_versions_and_in_order() -> None:
    tables = {key: TABLE[key] for key in ("options", "exports", "modules")}
    classes = [{k: v for k, v in entry.items() if k != "open"} for entry in TABLE["integrations"].values()]
    for ranges in [r for table in (tables, *classes) for r in all_ranges(table)]:
        bounds = [MEASURED.index(bound or NEWEST) for pair in ranges for bound in pair]
        assert bounds == sorted(bounds)
        assert all(last is not None for _, last in ranges[:-1])


def test_the_measured_versions_include_the_ones_the_checks_speak_of() -> None:
    wanted = ["1.0.0", "1.38.0", "1.45.1", "2.0.1", "2.14.0", "2.22.0", "2.34.1", "2.44.0", "2.54.0"]
    wanted += [f"2.{minor}.0" for minor in range(60, 76)]
    assert set(wanted) <= set(MEASURED)
    assert sorted(MEASURED, key=lambda v: tuple(map(int, v.split(".")))) == MEASURED


def test_the_table_agrees_with_the_installed_sdk() -> None:
    consts = pytest.importorskip("sentry_sdk.consts", reason="sentry-sdk is not installed")
    if consts.VERSION not in MEASURED:
        pytest.skip(f"sentry-sdk {consts.VERSION} was not measured")
    assert names(TABLE["options"], consts.VERSION) == set(consts.DEFAULT_OPTIONS)
    assert names(TABLE["exports"], consts.VERSION) >= set(importlib.import_module("sentry_sdk").__all__)
    registry = importlib.import_module("sentry_sdk.integrations")
    classes = TABLE["integrations"]
    automatic = {name for name, entry in classes.items() if has(entry["auto_enabled"], consts.VERSION)}
    assert automatic == set(registry._AUTO_ENABLING_INTEGRATIONS)
    assert {name for name, entry in classes.items() if has(entry["default"], consts.VERSION)} == set(
        registry._DEFAULT_INTEGRATIONS
    )
    for path in registry._DEFAULT_INTEGRATIONS:  # these need no third-party library
        module, _, name = path.rpartition(".")
        found = inspect.signature(getattr(importlib.import_module(module), name)).parameters.values()
        keywords = {p.name for p in found if p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD, p.POSITIONAL_ONLY}}
        assert names(classes[path]["arguments"], consts.VERSION) == keywords, path


FAKE = {
    "__init__.py": "from sentry_sdk.api import *\nfrom sentry_sdk.hub import Hub\n__all__ = ['init']\nx = 1\ndel x\n",
    "api.py": "__all__ = ['flush']\n",
    "hub.py": "",
    "client.py": "def _get_options(key):\n  if key == 'old': pass\n",
    "consts.py": "class ClientConstructor:\n  def __init__(self, dsn=None, *, debug=None): pass\n",
    "integrations/__init__.py": (
        "class Integration: pass\n"
        "_DEFAULT_INTEGRATIONS = []\n"
        "_AUTO_ENABLING_INTEGRATIONS = ['a.B']\n"
        "if 1:\n  _AUTO_ENABLING_INTEGRATIONS.append('c.D')\n"
        "_MIN_VERSIONS = {'a': (1, 2)}\n"
    ),
    "integrations/base.py": (
        "from sentry_sdk.integrations import Integration\n"
        "class Base(Integration):\n"
        "  def __init__(self, style='url', *rest, flag=0):\n    # type: (...) -> None\n    pass\n"
    ),
    "integrations/child.py": (
        "from .base import Base as Parent\n"
        "class Child(Parent): pass\n"
        "class Anything(Parent):\n  def __init__(self, **options): pass\n"
        "class Unrelated: pass\n"
    ),
    "integrations/pack/__init__.py": "from .inner import Inner\n",
    "integrations/pack/inner.py": "from ...integrations import Integration\nclass Inner(Integration): pass\n",
}


@pytest.fixture(name="script")
def load_script() -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("generate_sdk_data", ROOT / "scripts/generate_sdk_data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_script_reads_a_wheel_without_importing_it(script: Any, tmp_path: Path) -> None:
    wheel = tmp_path / "fake.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in FAKE.items():
            archive.writestr(f"sentry_sdk/{name}", text)
    facts = script.measure("1.0.0", wheel)
    assert facts.options == {"dsn", "debug", "old"}
    assert facts.exports == {"init", "flush", "Hub"}
    assert facts.auto_enabled == {"a.B", "c.D"}
    assert facts.min_versions == {"a": "1.2"}
    assert {
        name.removeprefix("sentry_sdk.integrations."): (sorted(found.arguments), found.is_open)
        for name, found in facts.integrations.items()
    } == {
        "base.Base": (["flag", "style"], False),
        "child.Child": (["flag", "style"], False),
        "child.Anything": ([], True),
        "pack.Inner": ([], False),
        "pack.inner.Inner": ([], False),
    }


def test_a_name_that_left_and_came_back_has_two_ranges(script: Any) -> None:
    presence = [("1", True), ("2", False), ("3", True), ("4", True), ("5", False), ("6", True)]
    assert script.ranges(presence) == [["1", "1"], ["3", "4"], ["6", None]]
    assert script.ranges([("1", True), ("2", False)]) == [["1", "1"]]


def test_the_default_versions_are_the_stable_ones_and_a_newer_preview(script: Any) -> None:
    assert script.default_versions(["2.1.0", "2.1.0rc1", "0.9.0", "1.10.0", "1.9.0"]) == ["1.9.0", "1.10.0", "2.1.0"]
    assert script.default_versions(["2.1.0", "3.0.0a7", "3.0.0b1"]) == ["2.1.0", "3.0.0b1"]
