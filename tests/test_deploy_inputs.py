"""The files that deploy commands take: of variables, of flags, manifests; in the repository, or made on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_audit.deployment.inputs import Inputs
from sentry_audit.deployment.places import Places
from sentry_audit.deployment.written import writes
from tests.test_deployments import BACKEND, deployments, only, variables
from tests.trees import Texts, audit, message, statuses

if TYPE_CHECKING:
    from pathlib import Path

DSN = "https://0123456789abcdef0123456789abcdef@o1.ingest.us.sentry.io/4"
TAKE = "gcloud run deploy shop --env-vars-file=env.yaml\n"


# --- files of variables --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("env.yaml", f"# ours\nSENTRY_DSN: {DSN}\n"),
        ("env.yaml", f'{{\n"SENTRY_DSN": "{DSN}"}}\n'),
        ("env.yaml", f"a: &a x\nSENTRY_DSN: '{DSN}'\n"),
        ("deploy/staging.env", f"# ours\nSENTRY_DSN={DSN}\n"),
    ],
)
def test_a_file_of_variables(name: str, text: str) -> None:
    found = only({"deploy.sh": f"gcloud run deploy shop --env-vars-file {name}\n", name: text})
    [item] = [item for item in found.settings if item.name == "SENTRY_DSN"]
    assert (item.operation, item.sort, item.path, item.line) == ("set", "plain", name, 2)
    assert "0123" not in item.value
    assert not found.unresolved


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "env.yaml is not in the repository"),
        ({"env.yaml": "SENTRY_DSN: {{ dsn }}\n"}, "env.yaml:1: a template"),
        ({"env.yaml": "A: 1\nA: 2\n"}, "env.yaml:2: the key 'A' is there twice"),
        ({"env.yaml": "A: 1\n---\nB: 2\n"}, "env.yaml: 2 YAML documents"),
        ({"env.yaml": "A: 1\n\tB: 2\n"}, "env.yaml:2: not valid YAML"),
        ({"env.yaml": "A: 1\nB: [x]\n"}, "env.yaml:2: B is no text"),
        ({"env.yaml": "just text\n"}, "env.yaml:1: not KEY: value"),
        ({"env.yaml": ""}, "env.yaml: 0 YAML documents"),
    ],
)
def test_a_file_that_is_not_known_says_why(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    report = audit(tmp_path, {**BACKEND, "deploy.sh": TAKE, **files})
    assert statuses(report, "deploy-dsn-declared") == {"unknown"}
    assert reason in message(report, "deploy-dsn-declared")


def test_a_file_of_variables_replaces_the_plain_ones_and_keeps_secrets(tmp_path: Path) -> None:
    files = {**BACKEND, "env.yaml": "LOG: info\n", "b.sh": TAKE}
    plain = {"a.sh": f"gcloud run services update shop --update-env-vars=SENTRY_DSN={DSN}\n"}
    secret = {"a.sh": "gcloud run services update shop --update-secrets=SENTRY_DSN=dsn:1\n"}
    report = audit(tmp_path / "a", {**files, **plain})
    assert "b.sh:1 replaces all plain variables of shop and leaves out SENTRY_DSN" in message(
        report, "deploy-wipes-dsn"
    )
    assert statuses(audit(tmp_path / "b", {**files, **secret}), "deploy-wipes-dsn") == {"pass"}


def test_the_place_of_a_variable_is_in_its_file(tmp_path: Path) -> None:
    report = audit(tmp_path, {**BACKEND, "deploy.sh": TAKE, "env.yaml": f"LOG: x\nSENTRY_DSN: {DSN}\n"})
    assert statuses(report, "deploy-dsn-declared") == {"pass"}
    assert "SENTRY_DSN in env.yaml:2" in message(report, "deploy-dsn-declared")


def test_a_python_script_hands_over_a_file() -> None:
    code = 'import subprocess\nsubprocess.run(["gcloud", "run", "deploy", "shop", "--env-vars-file=env.yaml"])\n'
    assert variables(only({"deploy.py": code, "env.yaml": "SENTRY_ENVIRONMENT: staging\n"})) == {
        "SENTRY_ENVIRONMENT": ("set", "staging")
    }


# --- files of flags ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "--update-secrets:\n  SENTRY_DSN: dsn:1\n--quiet:\n",
        "- --update-secrets: [SENTRY_DSN=dsn:1]\n- --quiet: true\n",
        "--flags-file: more.yaml\n",
    ],
)
def test_a_file_of_flags(text: str) -> None:
    more = {"more.yaml": "--update-secrets: SENTRY_DSN=dsn:1\n"}
    found = only({"deploy.sh": "gcloud run deploy shop --flags-file=flags.yaml\n", "flags.yaml": text, **more})
    assert variables(found) == {"SENTRY_DSN": ("update", "dsn")}
    assert (found.service, found.unresolved) == ("shop", ())


def test_a_value_of_a_flags_file_may_hold_commas() -> None:
    found = only({"d.sh": "gcloud run deploy shop --flags-file f.yaml\n", "f.yaml": "--set-env-vars: {A: 'x,B=1'}\n"})
    assert [item.name for item in found.settings] == ["A"]


@pytest.mark.parametrize("text", [None, "--flags-file: flags.yaml\n", "- text\n"])
def test_a_file_of_flags_that_is_not_known(tmp_path: Path, text: str | None) -> None:
    files = {**BACKEND, "deploy.sh": "gcloud run deploy shop --flags-file=flags.yaml\n"}
    report = audit(tmp_path, files if text is None else {**files, "flags.yaml": text})
    assert statuses(report, "deploy-dsn-declared") == {"unknown"}
    assert "flags.yaml" in message(report, "deploy-dsn-declared")


# --- made on the way -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'echo "SENTRY_DSN: $DSN" > env.yaml\n',
        'echo "LOG: x" > env.yaml\necho "SENTRY_DSN: $DSN" >> env.yaml\n',
        "printf 'LOG: %s\\nSENTRY_DSN: %s\\n' info \"$DSN\" > env.yaml\n",
        "cat > env.yaml <<EOF\nSENTRY_DSN: $DSN\nEOF\n",
        "cat <<-'EOF' > env.yaml\nSENTRY_DSN: x\nEOF\n",
        "FILE=env.yaml\ncat > $FILE <<EOF\nSENTRY_DSN: $DSN\nEOF\n",
        '{\n  echo "LOG: x"\n  echo "SENTRY_DSN: $DSN"\n} > env.yaml\n',
        '{ echo "LOG: x"; echo "SENTRY_DSN: $DSN"; } > env.yaml\n',
        'echo "SENTRY_DSN: $DSN" | tee env.yaml\n',
        "envsubst < env.tmpl.yaml > env.yaml\n",
        "cat env.tmpl.yaml | envsubst > env.yaml\n",
        "cp env.tmpl.yaml env.yaml\n",
        'sed -e "s/x/y/" -e "s|a|b|g" env.tmpl.yaml > env.yaml\n',
        "echo 'LOG: x\nSENTRY_DSN: y' > env.yaml\n",
    ],
)
def test_a_file_that_the_script_makes(text: str) -> None:
    files = {"deploy.sh": f"{text}{TAKE}", "env.tmpl.yaml": "SENTRY_DSN: ${DSN}\n"}
    found = next(item for item in deployments(files) if item.resource == "service")
    assert found.unresolved == ()
    assert "SENTRY_DSN" in variables(found)


@pytest.mark.parametrize(
    "text", ["python make.py > env.yaml\n", "yq -o yaml .env > env.yaml\n", 'sed "/DSN/d" env.tmpl.yaml > env.yaml\n']
)
def test_a_file_that_something_else_makes_is_unknown(tmp_path: Path, text: str) -> None:
    files = {**BACKEND, "deploy.sh": f"{text}{TAKE}", "env.yaml": "A: 1\n", "env.tmpl.yaml": "SENTRY_DSN: x\n"}
    report = audit(tmp_path, files)
    assert statuses(report, "deploy-dsn-declared") == {"unknown"}
    assert "deploy.sh:1 makes env.yaml with" in message(report, "deploy-dsn-declared")


def test_how_a_file_is_made_is_named_without_what_goes_into_it(tmp_path: Path) -> None:
    files = {**BACKEND, "deploy.sh": f"yq -n '.SENTRY_DSN = \"{DSN}\"' > env.yaml\n{TAKE}"}
    report = audit(tmp_path, files)
    assert "deploy.sh:1 makes env.yaml with yq, which was not followed" in message(report, "deploy-dsn-declared")
    assert "0123456789abcdef" not in str(report)


def test_each_deployment_gets_what_was_written_before_it() -> None:
    text = f"echo 'A: 1' > env.yaml\n{TAKE}echo 'B: 1' > env.yaml\n{TAKE}"
    assert [list(variables(item)) for item in deployments({"deploy.sh": text})] == [["A"], ["B"]]


def test_a_later_step_takes_what_an_earlier_one_made() -> None:
    workflow = """\
        on: push
        jobs:
          go:
            steps:
            - run: |
                cat > env.yaml <<EOF
                SENTRY_DSN: ${{ secrets.DSN }}
                EOF
            - uses: google-github-actions/deploy-cloudrun@v2
              with: {service: shop, env_vars_file: env.yaml}
          other:
            steps:
            - run: gcloud run deploy other --env-vars-file=env.yaml
        """
    first, second = deployments({".github/workflows/d.yml": workflow})
    [item] = first.settings
    assert (item.name, item.value, item.path, item.line) == (
        "SENTRY_DSN",
        "$secrets.DSN",
        ".github/workflows/d.yml",
        7,
    )
    assert "env.yaml is not in the repository" in second.unresolved[0]


def test_a_manifest_that_is_filled_in_on_the_way() -> None:
    manifest = """\
        apiVersion: serving.knative.dev/v1
        kind: Service
        metadata: {name: shop-$ENV}
        spec: {template: {spec: {containers: [{image: $IMAGE, env: [{name: SENTRY_DSN, value: $DSN}]}]}}}
        """
    script = "envsubst < service.tmpl.yaml > out.yaml\ngcloud run services replace out.yaml\n"
    found = only({"deploy.sh": script, "service.tmpl.yaml": manifest})
    assert (found.path, found.service, found.declarative) == ("service.tmpl.yaml", "shop-$ENV", True)
    assert variables(found) == {"SENTRY_DSN": ("set", "$DSN")}


@pytest.mark.parametrize("files", [{}, {"out.yaml": "kind: ConfigMap\n"}])
def test_a_manifest_that_is_not_known(tmp_path: Path, files: dict[str, str]) -> None:
    report = audit(tmp_path, {**BACKEND, "deploy.sh": "gcloud run services replace out.yaml\n", **files})
    assert statuses(report, "deploy-dsn-declared") == {"unknown"}
    assert "out.yaml" in message(report, "deploy-dsn-declared")


@given(st.text(alphabet="abc<>|&;{}()'\"\\\n $=#-EOF", max_size=120))
def test_reading_what_is_written_never_raises(text: str) -> None:
    inputs = Inputs(Texts({}), Places(Texts({})))
    for write in writes("a.sh", f"echo a > b\n{text}", 1, {}):
        write.apply(inputs, "")


# --- the action ----------------------------------------------------------------------------------


def with_action(inputs: str, version: str = "@v2") -> dict[str, str]:
    text = "on: push\njobs:\n  go:\n    steps:\n    - uses: google-github-actions/deploy-cloudrun%s\n      with: {%s}\n"
    return {".github/workflows/d.yml": text % (version, inputs)}


@pytest.mark.parametrize(
    ("version", "strategy", "expected"),
    [
        ("@v2", "", "update"),
        ("@v2", ", env_vars_update_strategy: overwrite", "set"),
        ("@v3", ", env_vars_update_strategy: overwrite", "set"),
        ("@v1", ", env_vars_update_strategy: overwrite", "update"),
    ],
)
def test_the_strategy_of_the_action(version: str, strategy: str, expected: str) -> None:
    found = only(with_action(f"service: shop, env_vars: 'A=1'{strategy}", version))
    assert variables(found)["A"][0] == expected


def test_the_secrets_of_a_job_are_replaced() -> None:
    assert variables(only(with_action("job: nightly, secrets: 'A=a:1'")))["A"] == ("set", "a")
    assert variables(only(with_action("service: shop, secrets: 'A=a:1,/mnt/x=b:1'"))) == {"A": ("update", "a")}


@pytest.mark.parametrize("version", ["@v3", "@v3.0.1", "@0123456789012345678901234567890123456789 # v3.0.1"])
def test_a_file_that_the_action_no_longer_takes(tmp_path: Path, version: str) -> None:
    text = with_action("service: shop, env_vars_file: env.yaml", version)
    report = audit(tmp_path, {**BACKEND, "env.yaml": f"SENTRY_DSN: {DSN}\n", **text})
    assert statuses(report, "deploy-dsn-declared") == {"gap"}
    assert "env_vars_file is no input of deploy-cloudrun v3, so env.yaml is not read" in message(
        report, "deploy-dsn-declared"
    )


def test_the_action_reads_lines_too() -> None:
    found = only({**with_action("service: shop, env_vars_file: vars"), "vars": "# ours\nA=1\nSENTRY_ENVIRONMENT=qa\n"})
    assert variables(found) == {"A": ("update", ""), "SENTRY_ENVIRONMENT": ("update", "qa")}


def test_quotes_and_backslashes_in_the_actions_lists() -> None:
    inputs = r"""service: shop, env_vars: 'A=1\,2,SENTRY_ENVIRONMENT="qa",C="x,D=1"'"""
    found = only(with_action(inputs))
    assert [item.name for item in found.settings] == ["A", "SENTRY_ENVIRONMENT", "C"]
    assert found.settings[1].value == "qa"


def test_flags_of_the_action() -> None:
    found = only(with_action("service: shop, flags: '--set-secrets=SENTRY_DSN=dsn:1 --memory=1Gi'"))
    assert variables(found) == {"SENTRY_DSN": ("set", "dsn")}


def test_metadata_is_all_that_counts(tmp_path: Path) -> None:
    inputs = "metadata: service.yaml, service: shop, secrets: 'SENTRY_DSN=dsn:1'"
    manifest = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: shop}\n"
    manifest += "spec: {template: {spec: {containers: [{image: x, env: [{name: A, value: b}]}]}}}\n"
    found = only({**with_action(inputs), "service.yaml": manifest})
    assert (found.origin, variables(found)) == ("knative", {"A": ("set", "")})
    report = audit(tmp_path, {**BACKEND, **with_action(inputs)})
    assert statuses(report, "deploy-dsn-declared") == {"unknown"}
    assert "the manifest service.yaml was not found" in message(report, "deploy-dsn-declared")


def test_a_whole_list_that_comes_from_elsewhere_is_unknown(tmp_path: Path) -> None:
    report = audit(tmp_path, {**BACKEND, **with_action("service: shop, env_vars: '${{ vars.ALL }}'")})
    assert statuses(report, "deploy-dsn-declared") == {"unknown"}
    assert "env_vars $vars.ALL was not followed" in message(report, "deploy-dsn-declared")
