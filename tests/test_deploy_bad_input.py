"""Each format of deploy definition, damaged in each way: read right where it is still legal, else unknown by name."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.test_deployments import BACKEND
from tests.trees import audit, findings, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sentry_audit.model import Report

SECRET = "--update-secrets=SENTRY_DSN=dsn:latest"
COMMAND = f"gcloud run deploy shop {SECRET}"
CLOUDBUILD = f"""\
steps:
- name: gcr.io/cloud-builders/gcloud
  args: [run, deploy, shop, {SECRET}]
"""
WORKFLOW = f"""\
on: push
jobs:
  go:
    steps:
    - run: {COMMAND}
"""
ACTION = """\
on: push
jobs:
  go:
    steps:
    - uses: google-github-actions/deploy-cloudrun@v2
      with:
        service: shop
        secrets: SENTRY_DSN=dsn:latest
"""
KNATIVE = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: shop
spec:
  template:
    spec:
      containers:
      - image: shop
        env:
        - name: SENTRY_DSN
          value: x
"""
TERRAFORM = """\
resource "google_cloud_run_v2_service" "shop" {
  name = "shop"
  template {
    containers {
      image = "shop"
      env {
        name  = "SENTRY_DSN"
        value = "x"
      }
    }
  }
}
"""
PYTHON = f'import subprocess\nsubprocess.run("{COMMAND}", shell=True)\n'


@dataclass(frozen=True)
class Format:
    """A definition that passes as it is. ``twice`` is a part that may not stand twice, ``anchored`` a legal form."""

    path: str
    text: str
    twice: tuple[str, str] = ("", "")
    anchored: tuple[str, str] = ("", "")
    template: tuple[str, str] = ("", "")
    more: dict[str, str] = field(default_factory=dict)

    @property
    def yaml(self) -> bool:
        return self.path.endswith((".yaml", ".yml"))


TAKES = {"deploy.sh": "gcloud run deploy shop --env-vars-file=env.yaml\n"}
FLAGS = {"deploy.sh": "gcloud run deploy shop --flags-file=flags.yaml\n"}
STEP = json.dumps({"steps": [{"name": "gcr.io/x/gcloud", "args": ["run", "deploy", "shop", SECRET]}]}, indent="\t")
FORMATS = [
    Format(
        "cloudbuild.yaml",
        CLOUDBUILD,
        ("  args:", "  args: [version]\n  args:"),
        ("args: [run,", "args: &a [run,"),
        ("shop,", "{{ name }},"),
    ),
    Format("cloudbuild.json", STEP, ('"args"', '"args": [],\n\t\t"args"')),
    Format(
        ".github/workflows/d.yml",
        WORKFLOW,
        ("    - run:", "    - run: x\n      run:"),
        ("run: ", "run: &a "),
        ("on: push", "on: {{ when }}"),
    ),
    Format(
        ".github/workflows/a.yml",
        ACTION,
        ("        service:", "        service: x\n        service:"),
        ("service: shop", "service: &a shop"),
        ("service: shop", "service: {{ name }}"),
    ),
    Format(
        "service.yaml",
        KNATIVE,
        ("  name: shop", "  name: x\n  name: shop"),
        ("name: shop", "name: &a shop"),
        ("shop", "{{ name }}"),
    ),
    Format(
        "env.yaml",
        "SENTRY_DSN: x\n",
        ("SENTRY_DSN", "SENTRY_DSN: y\nSENTRY_DSN"),
        (": x", ": &a x"),
        (": x", ": {{ dsn }}"),
        TAKES,
    ),
    Format(
        "flags.yaml",
        "--update-secrets: SENTRY_DSN=dsn:1\n",
        ("--u", "--update-secrets: A=b:1\n--u"),
        (": S", ": &a S"),
        (": S", ": {{ s }}S"),
        FLAGS,
    ),
    Format("deploy.sh", f"{COMMAND}\n"),
    Format("Makefile", f"deploy:\n\t{COMMAND}\n"),
    Format("deploy.py", PYTHON),
    Format("main.tf", TERRAFORM),
]
IDS = [item.path.rpartition("/")[2] for item in FORMATS]
YAML = [item for item in FORMATS if item.yaml]
YAML_IDS = [item.path.rpartition("/")[2] for item in YAML]


def damaged(root: Path, form: Format, content: str | bytes | Callable[[Path], object]) -> Report:
    """The audit of a repository whose definition holds ``content``, or is what ``content`` makes of its path."""
    write(root, {**BACKEND, **form.more})
    path = root / form.path
    path.parent.mkdir(parents=True, exist_ok=True)
    if callable(content):
        content(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    report = audit(root, {})
    assert report.exit_code in {0, 1, 4}
    assert not [item for item in report.findings if item.status.value == "error"]
    return report


def passes(report: Report) -> None:
    [found] = findings(report, "deploy-dsn-declared")
    assert found.status.value == "pass", found.message


def is_unknown(report: Report, form: Format, line: int | None = None) -> None:
    """The check says that it does not know, and names the file (and the line)."""
    [found] = findings(report, "deploy-dsn-declared")
    assert found.status.value == "unknown", (found.status, found.message)
    assert (f"{form.path}:{line}" if line else form.path) in found.message
    assert found.evidence


# --- legal ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS, ids=IDS)
def test_as_it_is(tmp_path: Path, form: Format) -> None:
    passes(damaged(tmp_path, form, form.text))


@pytest.mark.parametrize("form", FORMATS, ids=IDS)
def test_a_byte_order_mark(tmp_path: Path, form: Format) -> None:
    passes(damaged(tmp_path, form, b"\xef\xbb\xbf" + form.text.encode()))


@pytest.mark.parametrize("form", FORMATS, ids=IDS)
def test_windows_line_ends(tmp_path: Path, form: Format) -> None:
    passes(damaged(tmp_path, form, form.text.replace("\n", "\r\n")))


@pytest.mark.parametrize("form", YAML, ids=YAML_IDS)
def test_anchors_and_a_document_mark(tmp_path: Path, form: Format) -> None:
    passes(damaged(tmp_path, form, "---\n" + form.text.replace(*form.anchored)))


def test_aliases_and_merges(tmp_path: Path) -> None:
    text = "x-base: &base\n  metadata: {name: shop}\n  kind: Service\n<<: *base\n" + KNATIVE.replace(
        "kind: Service\nmetadata:\n  name: shop\n", ""
    )
    passes(damaged(tmp_path, Format("service.yaml", ""), text))


def test_several_documents(tmp_path: Path) -> None:
    passes(damaged(tmp_path, Format("service.yaml", ""), f"kind: ConfigMap\n---\n{KNATIVE}...\n"))


def bomb(depth: int, merge: bool = False) -> str:
    """Aliases of aliases: ten to the power of ``depth`` when they are put in."""
    form = "{{<<: [{}]}}" if merge else "{{a: [{}]}}"
    rows = ["l0: &l0 {x: y}"]
    rows += [f"l{at}: &l{at} " + form.format(", ".join([f"*l{at - 1}"] * 10)) for at in range(1, depth)]
    return "\n".join(rows)


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("form", [item for item in YAML if item.path not in {"env.yaml", "flags.yaml"}])
def test_aliases_that_multiply(tmp_path: Path, form: Format, merge: bool) -> None:
    text = f"{bomb(12, merge)}\nsubstitutions: *l11\nenv: *l11\n{form.text}"
    passes(damaged(tmp_path, form, text))


def test_a_matrix_that_multiplies(tmp_path: Path) -> None:
    matrix = f"{bomb(12)}\n" + WORKFLOW.replace(
        "    steps:", "    strategy: {matrix: {a: [*l11], b: *l11}}\n    steps:"
    )
    passes(damaged(tmp_path, Format(".github/workflows/d.yml", ""), matrix))


# --- broken --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [item for item in FORMATS if item.twice[0]])
def test_a_key_that_is_there_twice(tmp_path: Path, form: Format) -> None:
    text = form.text.replace(*form.twice, 1)
    line = form.text[: form.text.index(form.twice[0])].count("\n") + 2
    is_unknown(damaged(tmp_path, form, text), form, line)


@pytest.mark.parametrize("form", YAML, ids=YAML_IDS)
def test_a_template_of_jinja_or_helm(tmp_path: Path, form: Format) -> None:
    text = form.text.replace(*form.template, 1)
    line = form.text[: form.text.index(form.template[0])].count("\n") + 1
    is_unknown(damaged(tmp_path / "a", form, text), form, line)
    is_unknown(damaged(tmp_path / "b", form, "{% if x %}\n" + form.text + "{% endif %}\n"), form, 1)


@pytest.mark.parametrize("form", YAML, ids=YAML_IDS)
def test_indentation_by_tabs(tmp_path: Path, form: Format) -> None:
    line = form.text.count("\n") + 2
    is_unknown(damaged(tmp_path, form, f"{form.text}a:\n\tb: 1\n"), form, line)


@pytest.mark.parametrize("form", [item for item in FORMATS if item.path.endswith((".json", ".tf", ".py"))])
def test_a_file_that_is_cut_off(tmp_path: Path, form: Format) -> None:
    is_unknown(damaged(tmp_path, form, form.text[:-5].rstrip("\n)")), form)


@pytest.mark.parametrize("form", [item for item in FORMATS if item.path.endswith((".yaml", ".yml", ".py"))])
def test_deep_nesting(tmp_path: Path, form: Format) -> None:
    deep = "[" * 20_000 + "]" * 20_000
    text = form.text + ("a = " if form.path.endswith(".py") else "a: ") + deep + "\n"
    is_unknown(damaged(tmp_path, form, text), form)


def test_deep_nesting_in_terraform(tmp_path: Path) -> None:
    deep = "[" * 4_000 + "]" * 4_000
    damaged(tmp_path, Format("main.tf", ""), f"{TERRAFORM}locals {{\n  a = {deep}\n}}\n".replace('"x"', deep))


@pytest.mark.parametrize("form", [item for item in FORMATS if item.path.endswith((".yaml", ".yml", ".json", ".tf"))])
def test_latin_1_where_utf_8_is_asked_for(tmp_path: Path, form: Format) -> None:
    text = form.text.replace("shop", "shopé").replace("dsn:1", "dsné:1").replace(": x", ": xé")
    is_unknown(damaged(tmp_path, form, text.encode("latin-1")), form)


@pytest.mark.parametrize("form", [item for item in FORMATS if item.path in {"deploy.sh", "Makefile"}])
def test_latin_1_in_a_script(tmp_path: Path, form: Format) -> None:
    passes(damaged(tmp_path, form, f"# é\n{form.text}".encode("latin-1")))


@pytest.mark.parametrize("form", FORMATS, ids=IDS)
def test_utf_16(tmp_path: Path, form: Format) -> None:
    is_unknown(damaged(tmp_path, form, form.text.encode("utf-16")), form)


@pytest.mark.parametrize("form", FORMATS, ids=IDS)
def test_zero_bytes(tmp_path: Path, form: Format) -> None:
    is_unknown(damaged(tmp_path, form, form.text.encode() + b"\0" * 20), form)


@pytest.mark.parametrize("form", FORMATS, ids=IDS)
def test_five_megabytes(tmp_path: Path, form: Format) -> None:
    filler = "" if form.path.endswith(".json") else "# a note\n" * 600_000
    is_unknown(damaged(tmp_path, form, form.text + (filler or " " * 5_000_000)), form)


# --- no file -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS, ids=IDS)
def test_a_link_to_itself(tmp_path: Path, form: Format) -> None:
    is_unknown(damaged(tmp_path, form, lambda path: path.symlink_to(path.name)), form)


@pytest.mark.parametrize("form", FORMATS, ids=IDS)
def test_a_link_out_of_the_repository(tmp_path: Path, form: Format) -> None:
    (tmp_path / "outside").write_text(form.text)
    is_unknown(damaged(tmp_path / "in", form, lambda path: path.symlink_to(tmp_path / "outside")), form)


@pytest.mark.parametrize("form", FORMATS, ids=IDS)
def test_a_folder_of_that_name(tmp_path: Path, form: Format) -> None:
    write(tmp_path, {f"{form.path}/x": "y"})
    report = damaged(tmp_path, form, lambda path: path.stat())
    assert "pass" not in {item.status.value for item in findings(report, "deploy-dsn-declared")}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("form", FORMATS, ids=IDS)
def test_a_file_that_may_not_be_read(tmp_path: Path, form: Format) -> None:
    write(tmp_path, {form.path: form.text})
    is_unknown(damaged(tmp_path, form, lambda path: path.chmod(0)), form)


@pytest.mark.parametrize("form", FORMATS, ids=IDS)
def test_where_git_lists_the_files(tmp_path: Path, form: Format) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    passes(damaged(tmp_path, form, form.text))
    is_unknown(damaged(tmp_path, form, form.text.encode() + b"\0"), form)
