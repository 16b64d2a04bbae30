"""Releases: what events carry where they are built and deployed, whether both ends agree, and who tells Sentry of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sentry_audit.deployment.release_steps import read
from sentry_audit.releases import is_constant, made_from
from tests.trees import FASTAPI, IMAGE, SDK, Texts, audit, findings, message, statuses

if TYPE_CHECKING:
    from pathlib import Path

    from sentry_audit.facts import ReleaseStep

DEPLOY = "gcloud run deploy api --source . --update-env-vars="
CONFIG = "import { withSentryConfig } from '@sentry/nextjs';\nexport default withSentryConfig({}, "
DOCKERFILE = 'FROM node:22\nWORKDIR /app\nCOPY . .\n{more}RUN npm run build\nCMD ["npm", "start"]\n'


def backend(release: str = "", **files: str) -> dict[str, str]:
    option = f"release={release}" if release else ""
    return {
        "requirements.txt": SDK,
        "main.py": f"import os\nimport sentry_sdk\nsentry_sdk.init({option})\n{FASTAPI}",
        **files,
    }


def frontend(
    release: str = "", config: str = "", dockerfile: str = "", prefix: str = "web/", **files: str
) -> dict[str, str]:
    option = f", release: {release}" if release else ""
    manifest = {"scripts": {"build": "next build"}, "dependencies": {"next": "15.3.0", "@sentry/nextjs": "^10"}}
    found = {
        f"{prefix}package.json": json.dumps(manifest),
        f"{prefix}instrumentation-client.ts": "import * as Sentry from '@sentry/nextjs';\n"
        f"Sentry.init({{ dsn: process.env.NEXT_PUBLIC_SENTRY_DSN{option} }});\n",
    }
    if config:
        found[f"{prefix}next.config.ts"] = f"{CONFIG}{config});\n"
    if dockerfile:
        found[f"{prefix}Dockerfile"] = dockerfile
    return {**found, **files}


# --- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["unknown", "latest", "", "api@dev", "0.0.0", "Undefined", "main"])
def test_a_word_that_never_changes_is_no_release(name: str) -> None:
    assert is_constant(name)


@pytest.mark.parametrize("name", ["1.2.3", "$COMMIT_SHA", "api@2.0.1", "unknown-3f2a", "a1b2c3d"])
def test_what_tells_builds_apart_is_one(name: str) -> None:
    assert not is_constant(name)


def test_what_a_release_is_made_from() -> None:
    assert made_from("$COMMIT_SHA") == made_from("$github.sha") == "the commit"
    assert made_from("$SHORT_SHA") == "the short commit"
    assert made_from("pkg.version from ../package.json") == "the package's version"
    assert made_from("config.release") == ""


# --- back ends -------------------------------------------------------------------------------------


def test_a_deployment_that_sets_the_release(tmp_path: Path) -> None:
    report = audit(tmp_path, backend(**{"deploy.sh": f"{DEPLOY}SENTRY_RELEASE=$COMMIT_SHA\n"}))
    assert statuses(report, "release-set") == {"pass"}


def test_a_deployment_that_sets_a_constant(tmp_path: Path) -> None:
    report = audit(tmp_path, backend(**{"deploy.sh": f"{DEPLOY}SENTRY_RELEASE=latest\n"}))
    assert statuses(report, "release-set") == {"gap"}
    assert "deploy.sh:1" in message(report, "release-set")


def test_a_deployment_without_it_leaves_the_revision(tmp_path: Path) -> None:
    report = audit(tmp_path, backend(**{"deploy.sh": f"{DEPLOY}LOG_LEVEL=info\n"}))
    assert "Cloud Run's revision" in message(report, "release-set")


def test_a_variable_with_a_constant_behind_it(tmp_path: Path) -> None:
    release = "os.getenv('GIT_SHA', 'unknown')"
    files = backend(release, **{"deploy.sh": f"{DEPLOY}LOG_LEVEL=info\n"})
    assert "'unknown'" in message(audit(tmp_path, files), "release-set")
    given = backend(release, **{"deploy.sh": f"{DEPLOY}GIT_SHA=$COMMIT_SHA\n"})
    assert statuses(audit(tmp_path, given), "release-set") == {"pass"}
    nowhere = backend(release, **{"deploy.sh": "true\n"})
    assert statuses(audit(tmp_path, nowhere), "release-set") == {"unknown"}


def test_none_makes_the_sdk_look_further(tmp_path: Path) -> None:
    files = backend("os.getenv('GIT_SHA')", **{"deploy.sh": f"{DEPLOY}SENTRY_RELEASE=$COMMIT_SHA\n"})
    assert statuses(audit(tmp_path, files), "release-set") == {"pass"}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("--build-arg GIT_SHA=$COMMIT_SHA", "pass"),
        ("--build-arg OTHER=1", "gap"),
        ("--build-arg GIT_SHA=latest", "pass"),
    ],
)
def test_an_image_that_takes_the_release_from_its_build(tmp_path: Path, arguments: str, status: str) -> None:
    image = IMAGE.replace("COPY . .", "COPY . .\n    ARG GIT_SHA\n    ENV SENTRY_RELEASE=$GIT_SHA")
    deploy = f"docker build {arguments} -t eu.gcr.io/p/api .\ngcloud run deploy api --image eu.gcr.io/p/api\n"
    report = audit(tmp_path, backend(Dockerfile=image, **{"deploy.sh": deploy}))
    assert statuses(report, "release-set") == {status}


def test_cloud_run_sets_the_name_of_the_revision(tmp_path: Path) -> None:
    files = backend("os.environ.get('K_REVISION')", **{"deploy.sh": f"{DEPLOY}A=1\n"})
    assert statuses(audit(tmp_path, files), "release-set") == {"pass"}


def test_a_function_with_a_constant_in_one_branch_is_unknown(tmp_path: Path) -> None:
    code = (
        "import sentry_sdk\ndef version():\n    found = None\n    try:\n        found = open('v').read()\n"
        f"    except OSError:\n        found = ''\n    return found\nsentry_sdk.init(release=version())\n{FASTAPI}"
    )
    assert statuses(audit(tmp_path, {**backend(), "main.py": code}), "release-set") == {"unknown"}


def test_a_name_that_is_assigned_in_branches(tmp_path: Path) -> None:
    code = (
        "import os\nimport sentry_sdk\nrelease = None\nif os.getenv('TAG'):\n    release = os.getenv('TAG')\n"
        f"sentry_sdk.init(release=release)\n{FASTAPI}"
    )
    files = {**backend(), "main.py": code, "deploy.sh": f"{DEPLOY}TAG=$TAG_NAME\n"}
    assert statuses(audit(tmp_path, files), "release-set") == {"pass"}
    files["deploy.sh"] = f"{DEPLOY}OTHER=1\n"
    assert statuses(audit(tmp_path, files), "release-set") == {"gap"}


def test_a_mention_that_was_not_followed_is_unknown(tmp_path: Path) -> None:
    files = backend(**{"ops/values.yaml": "env:\n  SENTRY_RELEASE: x\n"})
    assert statuses(audit(tmp_path, files), "release-set") == {"unknown"}


# --- front ends ------------------------------------------------------------------------------------


def test_a_browser_reads_no_variable(tmp_path: Path) -> None:
    report = audit(tmp_path, frontend(**{"web/.env.staging": "SENTRY_RELEASE=abc\n"}))
    assert statuses(report, "release-set") == {"gap"}
    assert "browsers read no variable" in message(report, "release-set")


@pytest.mark.parametrize(
    ("release", "status"),
    [
        ("'web@2.1.0'", "pass"),
        ("'unknown'", "gap"),
        ("pkg.version", "pass"),
        ("undefined", "gap"),
        ("__RELEASE__", "pass"),
    ],
)
def test_what_init_is_given(tmp_path: Path, release: str, status: str) -> None:
    assert statuses(audit(tmp_path, frontend(release)), "release-set") == {status}


def test_a_variable_that_the_build_is_not_given(tmp_path: Path) -> None:
    release = "process.env.NEXT_PUBLIC_RELEASE || 'unknown'"
    image = DOCKERFILE.format(more="ARG NEXT_PUBLIC_SENTRY_DSN\n")
    report = audit(tmp_path, frontend(release, dockerfile=image))
    assert statuses(report, "release-set") == {"gap"}
    assert "every release is called 'unknown'" in message(report, "release-set")


def test_a_variable_that_the_build_is_given(tmp_path: Path) -> None:
    image = DOCKERFILE.format(more="ARG NEXT_PUBLIC_RELEASE\n")
    deploy = (
        "docker build web --build-arg NEXT_PUBLIC_RELEASE=$COMMIT_SHA -t eu.gcr.io/p/web\n"
        "gcloud run deploy web --image eu.gcr.io/p/web\n"
    )
    files = frontend("process.env.NEXT_PUBLIC_RELEASE || 'unknown'", dockerfile=image, **{"deploy.sh": deploy})
    assert statuses(audit(tmp_path, files), "release-set") == {"pass"}
    files["deploy.sh"] = deploy.replace("$COMMIT_SHA", "latest").replace("NEXT_PUBLIC_RELEASE=", "OTHER=")
    assert statuses(audit(tmp_path, files), "release-set") == {"gap"}


def test_a_template_with_an_empty_variable(tmp_path: Path) -> None:
    image = DOCKERFILE.format(more="")
    report = audit(tmp_path, frontend("`web@${process.env.NEXT_PUBLIC_SHA}`", dockerfile=image))
    assert "'web@undefined'" in message(report, "release-set")


def test_a_variable_that_the_bundler_defines(tmp_path: Path) -> None:
    config = "{}, {}"
    files = frontend("process.env.APP_RELEASE", config)
    files["web/next.config.ts"] = "export default { env: { APP_RELEASE: require('./package.json').version } };\n"
    assert statuses(audit(tmp_path, files), "release-set") == {"pass"}


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ("{ project: 'web', release: { name: 'latest' } }", "gap"),
        ("{ project: 'web', release: { name: process.env.MY_SHA } }", "unknown"),
        ("{ project: 'web', release: { inject: false } }", "gap"),
        ("{ project: 'web', disable: true }", "gap"),
        ("{ project: 'web' }", "unknown"),
    ],
)
def test_what_the_plugin_injects(tmp_path: Path, options: str, status: str) -> None:
    assert statuses(audit(tmp_path, frontend(config=options)), "release-set") == {status}


def test_the_plugin_takes_the_commit_of_a_pipeline(tmp_path: Path) -> None:
    workflow = "on: push\njobs:\n  web:\n    steps:\n    - run: npm run build\n      working-directory: web\n"
    files = frontend(config="{ project: 'web' }", **{".github/workflows/web.yml": workflow})
    assert statuses(audit(tmp_path, files), "release-set") == {"pass"}


@pytest.mark.parametrize(
    ("dockerfile", "ignored", "status"),
    [
        (DOCKERFILE.format(more=""), "node_modules\n", "pass"),
        (DOCKERFILE.format(more=""), "node_modules\n.git\n", "gap"),
        (DOCKERFILE.format(more="").replace("node:22", "node:22-alpine"), "", "gap"),
        (DOCKERFILE.format(more="RUN apk add --no-cache git\n").replace("node:22", "node:22-alpine"), "", "pass"),
        (DOCKERFILE.format(more="").replace("COPY . .", "COPY package.json src ./"), "", "gap"),
        (DOCKERFILE.format(more="ENV SENTRY_RELEASE=2.0.1\n"), ".git\n", "pass"),
        (DOCKERFILE.format(more="ENV SENTRY_RELEASE=latest\n"), ".git\n", "gap"),
        (DOCKERFILE.format(more="ARG SENTRY_RELEASE\n"), ".git\n", "unknown"),
    ],
)
def test_the_plugin_in_an_image(tmp_path: Path, dockerfile: str, ignored: str, status: str) -> None:
    files = frontend(config="{ project: 'web' }", dockerfile=dockerfile, prefix="", **{".dockerignore": ignored})
    assert statuses(audit(tmp_path, files), "release-set") == {status}


def test_an_image_of_another_folder_says_nothing_of_the_front_end(tmp_path: Path) -> None:
    files = frontend(config="{ project: 'web' }", prefix="")
    files |= {
        "services/mcp/package.json": "{}",
        "services/mcp/Dockerfile": "FROM node\nCOPY package.json .\nRUN npm run build\n",
    }
    assert statuses(audit(tmp_path, files), "release-set") == {"unknown"}


# --- both ends -------------------------------------------------------------------------------------


def both(front: str, back: str) -> dict[str, str]:
    files = frontend(front)
    api = {f"api/{name}": text for name, text in backend(back).items()}
    return {
        **files,
        **api,
        "api/Dockerfile": IMAGE,
        "deploy.sh": "gcloud run deploy api --source api --update-env-vars=GIT_SHA=$COMMIT_SHA\n",
    }


def test_ends_that_make_releases_from_different_things(tmp_path: Path) -> None:
    report = audit(tmp_path, both("pkg.version", "os.environ['GIT_SHA']"))
    assert statuses(report, "release-shared", "web") == {"gap"}
    assert "the package's version" in message(report, "release-shared")
    assert statuses(report, "release-set") == {"pass"}


def test_one_end_alone_cannot_differ(tmp_path: Path) -> None:
    assert statuses(audit(tmp_path, frontend("pkg.version")), "release-shared") == {"skipped"}


# --- pipelines -------------------------------------------------------------------------------------


def steps(files: dict[str, str]) -> list[ReleaseStep]:
    return read(Texts(files))


def workflow(*lines: str) -> str:
    body = "".join(f"    - {line}\n" for line in lines)
    return f"on: push\njobs:\n  deploy:\n    steps:\n{body}"


CLOUD_RUN = "run: gcloud run deploy api --source ."


@pytest.mark.parametrize(
    ("line", "does"),
    [
        ("uses: getsentry/action-release@v3", ("release",)),
        ("run: sentry-cli releases set-commits --auto $SHA", ("release",)),
        ("run: npx @sentry/cli@2 deploys new -e staging", ("release",)),
        ("run: sentry-cli --org x sourcemaps upload -r 1 dist", ("source-maps",)),
        ("run: sentry-cli -o x releases files $V upload-sourcemaps dist", ("source-maps",)),
        ("run: docker run getsentry/sentry-cli releases new x", ("release",)),
    ],
)
def test_what_steps_do(line: str, does: tuple[str, ...]) -> None:
    [step] = steps({".github/workflows/a.yml": workflow(line)})
    assert step.does == does
    assert step.evidence[0].line == 5


@pytest.mark.parametrize(
    "line", ["run: echo sentry-cli", "run: sentry-cli releases propose-version", "run: sentry-cli send-event"]
)
def test_what_tells_nothing(line: str) -> None:
    assert steps({".github/workflows/a.yml": workflow(line)}) == []


def test_steps_of_other_files() -> None:
    found = steps(
        {
            "package.json": '{"scripts": {"maps": "sentry-cli sourcemaps upload dist"}, "devDependencies": {"@sentry/cli": "^2.1"}}',
            "Dockerfile": "FROM node\nRUN npx sentry-cli releases new 1\n",
            "fastlane/Fastfile": "lane :x do\n  sentry_create_release(version: v)\nend\n",
            "cloudbuild.yaml": "steps:\n- name: getsentry/sentry-cli:2.1\n  args: [releases, finalize, x]\n",
            "scripts/release.sh": "# sentry-cli releases new 0\nsentry-cli releases new 1\n",
            "tests/release.sh": "sentry-cli releases new 1\n",
        }
    )
    assert [(step.path, step.evidence[0].line) for step in found] == [
        ("Dockerfile", 2), ("cloudbuild.yaml", 2), ("fastlane/Fastfile", 2), ("package.json", 1), ("scripts/release.sh", 2),
    ]  # fmt: skip
    assert [step.version for step in found] == ["2", "2", "", "2", "2"]


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([CLOUD_RUN], "gap"),
        ([CLOUD_RUN, "uses: getsentry/action-release@v3"], "pass"),
        ([CLOUD_RUN, "run: sentry-cli releases new x"], "pass"),
        (["run: pytest"], "skipped"),
    ],
)
def test_a_pipeline_that_deploys(tmp_path: Path, lines: list[str], status: str) -> None:
    report = audit(tmp_path, backend(**{".github/workflows/deploy.yml": workflow(*lines)}))
    assert statuses(report, "release-in-ci") == {status}


@pytest.mark.parametrize(("push", "status"), [("true", "gap"), ("false", "skipped")])
def test_an_image_that_stays_in_the_pipeline_is_no_release(tmp_path: Path, push: str, status: str) -> None:
    image = f"uses: docker/build-push-action@v6\n      with: {{context: ., push: {push}, tags: api}}"
    report = audit(
        tmp_path, backend(Dockerfile=IMAGE, **{".github/workflows/ci.yml": workflow(image, "run: gcloud auth list")})
    )
    assert statuses(report, "release-in-ci") == {status}


def test_a_workflow_of_another_repository_may_do_it(tmp_path: Path) -> None:
    text = workflow(CLOUD_RUN) + "  more:\n    uses: acme/workflows/.github/workflows/release.yml@main\n"
    report = audit(tmp_path, backend(**{".github/workflows/deploy.yml": text}))
    assert statuses(report, "release-in-ci") == {"unknown"}


@pytest.mark.parametrize(
    ("install", "status"),
    [
        ("run: curl -sL https://sentry.io/get-cli/ | bash", "gap"),
        ("run: npm install -g @sentry/cli", "gap"),
        ("run: npm install -g @sentry/cli@2.58.5", "pass"),
        ("run: curl -sL https://sentry.io/get-cli/ | SENTRY_CLI_VERSION=2.40.0 bash", "pass"),
        ("run: 'true'", "unknown"),
    ],
)
def test_a_command_that_the_newest_cli_does_not_have(tmp_path: Path, install: str, status: str) -> None:
    removed = "run: sentry-cli releases files $V upload-sourcemaps dist"
    text = workflow(CLOUD_RUN, install, "run: sentry-cli releases new $V", removed)
    report = audit(tmp_path, backend(**{".github/workflows/deploy.yml": text}))
    assert statuses(report, "release-in-ci") == {status}
    if status != "pass":
        assert "sentry-cli sourcemaps upload" in message(report, "release-in-ci")


def test_the_cli_that_another_script_installs() -> None:
    found = steps(
        {
            "a.sh": "sentry-cli releases files 1 upload x\n",
            "b.sh": "curl https://sentry.io/get-cli/ | bash # sentry-cli\n",
        }
    )
    assert [step.version for step in found] == ["newest"]


def test_the_release_of_one_front_end_is_not_the_others(tmp_path: Path) -> None:
    files = {**frontend("'web@2.1.0'"), **frontend("", prefix="admin/")}
    report = audit(tmp_path, files)
    assert statuses(report, "release-set", "web") == {"pass"}
    assert statuses(report, "release-set", "admin") == {"gap"}
    assert len(findings(report, "release-set")) == 2
