"""The JSON Schemas of our files say what the loaders say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sentry_audit import checks_schema, settings_model
from sentry_audit.app import checks_text
from sentry_audit.checks_mistakes import mistakes as mistakes_of_checks
from sentry_audit.errors import SettingsError
from sentry_audit.modelled import fields, flow, mistakes
from sentry_audit.positions import yaml_data
from sentry_audit.settings import load, parse

ROOT = Path(__file__).parent.parent
SETTINGS = jsonschema.Draft202012Validator(settings_model.schema())
CHECKS = jsonschema.Draft202012Validator(checks_schema.schema())
EXAMPLE = (ROOT / "docs/settings.md").read_text().split("```yaml\n")[1].split("```")[0]
WAIVER = {"check": "a", "reason": "r", "until": "permanent"}


def test_the_schemas_are_schemas() -> None:
    for document in (settings_model.schema(), checks_schema.schema()):
        jsonschema.Draft202012Validator.check_schema(document)


def test_the_settings_of_the_documentation_use_every_key_and_follow_the_schema() -> None:
    data = yaml_data(EXAMPLE)
    SETTINGS.validate(data)
    assert parse(data, "sentry-audit.yaml").components[0].role == "service"
    assert set(data) == set(fields(settings_model.File))


@pytest.mark.parametrize("key", list(fields(settings_model.File)))
def test_every_example_can_be_pasted(key: str) -> None:
    document = settings_model.schema()
    for table in (document, *document["$defs"].values()):
        for name, item in table["properties"].items():
            assert item["description"].endswith("."), name
            for example in item["examples"]:
                assert yaml_data(f"{name}: {flow(example)}") == {name: example}
    [example] = document["properties"][key]["examples"]
    parse({key: example}, "x")
    SETTINGS.validate({key: example})


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"environments": None, "waivers": None, "google_cloud": None, "checks": None, "components": None},
        {"google_cloud": {"project": "shop", "qa": {"secret": "x:3"}}},
        {"components": [{"name": "a", "path": ".", "service": {"qa": "a-qa"}, "role": "job", "server": None}]},
        {"waivers": [{**WAIVER, "ticket": 1204, "paths": "legacy/", "components": ["a", "b"]}]},
        {"deployments": {"d/*.sh": "qa"}},
    ],
)
def test_what_both_take(data: dict[str, Any]) -> None:
    SETTINGS.validate(data)
    parse(data, "x")


@pytest.mark.parametrize(
    "data",
    [
        [],
        "text",
        {"environment": ["qa"]},
        {"environments": "qa"},
        {"environments": [1]},
        {"default_environment": 3},
        {"default_environment": ["qa"]},
        {"components": {"name": "a", "path": "b"}},
        {"components": [{"name": "a"}]},
        {"components": [{"name": " ", "path": "b"}]},
        {"components": [{"name": "a", "path": 3}]},
        {"components": [{"name": "a", "path": "b", "role": "server"}]},
        {"components": [{"name": "a", "path": "b", "service": ["x"]}]},
        {"components": [{"name": "a", "path": "b", "service": {"qa": ""}}]},
        {"components": [{"name": "a", "path": "b", "entry_point": 3}]},
        {"deployments": ["x"]},
        {"deployments": {"x": 1}},
        {"google_cloud": []},
        {"google_cloud": {"projet": "x"}},
        {"google_cloud": {"qa": {"region": ["x"]}}},
        {"google_cloud": {"qa": {"project": None}}},
        {"google_cloud": {"regions": "x"}},
        {"waivers": [{"check": "a", "reason": "r"}]},
        {"waivers": [{**WAIVER, "until": "soon"}]},
        {"waivers": [{**WAIVER, "reason": " "}]},
        {"waivers": [{**WAIVER, "paths": []}]},
        {"waivers": [{**WAIVER, "components": [" "]}]},
        {"waivers": [{**WAIVER, "untill": "x"}]},
        {"baseline": 3},
    ],
    ids=flow,
)
def test_what_both_refuse(data: Any) -> None:
    assert not SETTINGS.is_valid(data)
    with pytest.raises(SettingsError):
        parse(data, "x")


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    text = "componets: []\nenvironments: qa\nwaivers:\n  - check: a\n    untill: 2027-01-31\n    reason: ''\n"
    (tmp_path / "sentry-audit.yaml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(tmp_path)
    assert caught.value.message.splitlines() == [
        "4 mistakes in sentry-audit.yaml",
        "  sentry-audit.yaml:1: unknown key 'componets'",
        "    did you mean components?",
        "  sentry-audit.yaml:2: environments must be a list of names",
        "    for example: environments: [staging, production]",
        "  sentry-audit.yaml:5: waivers[0]: unknown key 'untill'",
        "    did you mean until?",
        "  sentry-audit.yaml:6: waivers[0].reason is empty",
        "    for example: reason: the base image has it",
    ]


def test_one_of_two_places_of_settings_is_said_not_to_count(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.sentry-audit]\nexclude = ['a']\n")
    assert load(tmp_path).notes == ()
    (tmp_path / "sentry-audit.yaml").write_text("exclude: [b]\n")
    found = load(tmp_path)
    assert found.exclude == ("b",)
    assert found.notes == ("sentry-audit.yaml counts, [tool.sentry-audit] in pyproject.toml does not",)
    (tmp_path / "pyproject.toml").write_text("# tool.sentry-audit\n[tool.x\n")
    assert load(tmp_path).notes == ()


# --- check files -----------------------------------------------------------------------------------


def test_the_catalogue_follows_the_schema_of_check_files() -> None:
    CHECKS.validate(yaml.safe_load(checks_text()))
    CHECKS.validate(yaml.safe_load((ROOT / "docs/checks.md").read_text().split("```yaml\n")[1].split("```")[0]))


CHECK: dict[str, Any] = {
    "id": "a-check",
    "title": "A title",
    "area": "ours",
    "severity": "high",
    "each": "dsn",
    "expect": {"valid": True},
    "message": "{shown}",
    "why": "Because.",
    "examples": {"pass": [{"facts": [{"dsn": {"valid": True}}]}], "fail": [{"facts": [{"dsn": {"valid": False}}]}]},
}


@pytest.mark.parametrize(
    "change",
    [
        {"id": "A check"},
        {"title": " "},
        {"severity": "hihg"},
        {"link": "dsns"},
        {"each": "dsns"},
        {"some": "dsn"},
        {"each": None},
        {"expect": {"valied": True}},
        {"where": {"valied": True}},
        {"where": {"line": {"iss": 3}}},
        {"where": {"line": {"at_least": "3"}}},
        {"where": []},
        {"message": 3},
        {"fix": {"safety": "safe"}},
        {"fix": {"safety": "sure", "summary": "x"}},
        {"fix": {"safety": "safe", "summary": "x", "npm": {"sumary": "x"}}},
        {"refs": "x"},
        {"examples": {"pass": CHECK["examples"]["pass"]}},
        {"examples": {**CHECK["examples"], "fail": []}},
        {"examples": {**CHECK["examples"], "unknown": [{}]}},
        {"examples": {**CHECK["examples"], "unknown": [{"facts": [{"dns": {}}]}]}},
        {"examples": {**CHECK["examples"], "unknown": [{"facts": [{"dsn": {"valied": True}}]}]}},
        {"examples": {**CHECK["examples"], "unknown": [{"files": {"main.py": 3}}]}},
        {"whyy": "x"},
    ],
    ids=flow,
)
def test_a_check_that_both_refuse(change: dict[str, Any]) -> None:
    assert CHECKS.is_valid({"checks": [CHECK]})
    assert not list(mistakes_of_checks({"checks": [CHECK]}))
    entry = {key: value for key, value in {**CHECK, **change}.items() if value is not None}
    assert not CHECKS.is_valid({"checks": [entry]})
    assert list(mistakes_of_checks({"checks": [entry]}))


def test_no_mistake_is_named_twice() -> None:
    found = [item.message for item in mistakes(settings_model.File, {"waivers": [{"chek": "a"}]})]
    assert found == [
        "waivers[0]: 'reason' is missing",
        "waivers[0]: 'until' is missing",
        "waivers[0]: unknown key 'chek'",
    ]


def test_the_command_prints_what_is_published() -> None:
    import subprocess
    import sys

    for name, option in (("settings", ["--settings-format"]), ("checks", [])):
        done = subprocess.run([sys.executable, "-m", "sentry_audit", "checks", "schema", *option], capture_output=True)
        assert json.loads(done.stdout) == json.loads((ROOT / f"docs/schema/{name}.json").read_text())
