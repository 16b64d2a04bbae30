"""What ``trace`` says of one variable: each link is true, in agreement with the checks, and nothing is claimed beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.app import Request, difference, trace
from sentry_audit.model import Status
from tests.trees import FASTAPI, IMAGE, SDK, audit, message, statuses, write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sentry_audit.tracing import Way

DSN = "https://0123456789abcdef0123456789abcdef@o1.ingest.us.sentry.io/1"
DEPLOYED = {
    "requirements.txt": SDK,
    "Dockerfile": IMAGE,
    "main.py": f"import os\nimport sentry_sdk\nsentry_sdk.init(dsn=os.environ['SENTRY_DSN'])\n{FASTAPI}",
}
PACKAGE = """{"dependencies": {"next": "15.0.0", "@sentry/nextjs": "9.1.0"}, "scripts": {"build": "next build"}}"""


def ways(root: Path, files: Mapping[str, str], name: str, environment: str = "staging") -> list[Way]:
    write(root, files)
    return trace(Request(root=root, environments=(environment,)), name)


def links(way: Way) -> list[tuple[str, str]]:
    return [(step.link, step.status.value) for step in way.steps]


def test_a_variable_that_no_component_reads_is_not_said_to_arrive(tmp_path: Path) -> None:
    [way] = ways(tmp_path, {**DEPLOYED, "server/log.js": "init(process.env.REPORT_DSN);\n"}, "REPORT_DSN")
    other = ways(
        tmp_path, {"server/log.js": "", "main.py": FASTAPI, "web/log.js": "init(process.env.OTHER_DSN);\n"}, "OTHER_DSN"
    )
    assert all(item.status is not Status.PASS for item in (way, *other))


def test_a_name_that_was_not_followed_to_the_environment_is_no_gap(tmp_path: Path) -> None:
    files = {
        **DEPLOYED,
        "api/main.go": 'func main() { dsn := os.Getenv("GO_SENTRY_DSN") }\n',
        "app/config.ts": "import Config from 'config';\nexport default { dsn: Config.APP_SENTRY_DSN };\n",
        "app/sentry.ts": "if (config.WEB_SENTRY_DSN) start();\n",
        "app/env.d.ts": "interface Env { readonly TYPED_SENTRY_DSN?: string }\n",
        "app/mail.py": "from django.conf import settings\nsend(settings.MAIL_SENTRY_DSN)\n",
        ".env": "REACT_APP_WEB_SENTRY_DSN=$ANY\nTYPED_SENTRY_DSN=x\n",
    }
    for name in ("GO_SENTRY_DSN", "APP_SENTRY_DSN", "REACT_APP_WEB_SENTRY_DSN", "MAIL_SENTRY_DSN"):
        [way] = ways(tmp_path, files, name)
        assert way.steps[0].status is Status.UNKNOWN, name
    [way] = ways(tmp_path, files, "TYPED_SENTRY_DSN")
    assert way.steps[0].status is Status.GAP


def test_a_variable_that_is_deployed_and_not_read_is_shown_where_it_is_given(tmp_path: Path) -> None:
    service = """\
        apiVersion: serving.knative.dev/v1
        kind: Service
        metadata: {name: api}
        spec:
          template:
            spec:
              containers:
              - image: gcr.io/p/api
                env:
                - {name: LOG_LEVEL, value: info}
                - {name: WEB_DSN, value: x}
        """
    [way] = ways(tmp_path, {**DEPLOYED, "service.yaml": service}, "WEB_DSN")
    assert (way.steps[0].status, str(way.steps[0].evidence[0])) == (Status.GAP, "service.yaml:11")


def test_a_dsn_in_the_code_stands_in_for_a_variable_that_no_deploy_passes(tmp_path: Path) -> None:
    for read_ in (f"os.environ.get('SENTRY_DSN', '{DSN}')", f"os.getenv('SENTRY_DSN', default='{DSN}')"):
        main = f"import os\nimport sentry_sdk\nsentry_sdk.init(dsn={read_})\n{FASTAPI}"
        files = {**DEPLOYED, "main.py": main, "deploy.sh": "gcloud run deploy api --source . --set-env-vars=A=1\n"}
        assert statuses(audit(tmp_path, files), "deploy-dsn-declared") == {"pass"}
        [way] = ways(tmp_path, files, "SENTRY_DSN")
        assert links(way) == [("code", "pass"), ("deploy", "pass")]
        assert "a literal, in case nothing sets SENTRY_DSN" in way.steps[1].message


def test_a_dsn_behind_or_may_stand_in(tmp_path: Path) -> None:
    main = f"import os\nimport sentry_sdk\nsentry_sdk.init(dsn=os.getenv('SENTRY_DSN') or '{DSN}')\n{FASTAPI}"
    files = {**DEPLOYED, "main.py": main, "deploy.sh": "gcloud run deploy api --source . --set-env-vars=A=1\n"}
    assert statuses(audit(tmp_path, files), "deploy-dsn-declared") == {"unknown"}
    [way] = ways(tmp_path, files, "SENTRY_DSN")
    assert links(way) == [("code", "pass"), ("deploy", "unknown")]


def test_another_variable_of_the_same_dsn_counts(tmp_path: Path) -> None:
    main = (
        f"import os\nimport sentry_sdk\nsentry_sdk.init(dsn=os.getenv('API_DSN') or os.getenv('SENTRY_DSN'))\n{FASTAPI}"
    )
    files = {
        **DEPLOYED,
        "main.py": main,
        "deploy.sh": "gcloud run deploy api --source . --set-secrets=SENTRY_DSN=dsn:1\n",
    }
    assert statuses(audit(tmp_path, files), "deploy-dsn-declared") == {"pass"}
    [way] = ways(tmp_path, files, "API_DSN")
    assert links(way) == [("code", "pass"), ("deploy", "pass")]
    assert "SENTRY_DSN in deploy.sh:1" in way.steps[1].message


def test_a_dsn_that_a_later_deploy_drops_is_shown_with_what_set_it(tmp_path: Path) -> None:
    deploy = """\
        gcloud run deploy api --source . --set-secrets=SENTRY_DSN=dsn:1
        gcloud run services update api --set-secrets=OTHER=other:1
        """
    [way] = ways(tmp_path, {**DEPLOYED, "deploy.sh": deploy}, "SENTRY_DSN")
    assert "replaces all secrets and drops it again" in way.steps[-1].message
    assert [str(place) for place in way.steps[-1].evidence] == ["deploy.sh:1", "deploy.sh:2"]


def test_a_literal_of_a_front_end_stands_in_as_the_check_says(tmp_path: Path) -> None:
    files = {
        "web/package.json": PACKAGE,
        "web/instrumentation-client.ts": (
            "import * as Sentry from '@sentry/nextjs';\n"
            f"Sentry.init({{ dsn: process.env.NEXT_PUBLIC_SENTRY_DSN || '{DSN}' }});\n"
        ),
        "web/Dockerfile": "FROM node:22\nCOPY . .\nRUN npm ci && npm run build\n",
    }
    assert statuses(audit(tmp_path, files), "frontend-dsn-provided") == {"pass"}
    [way] = ways(tmp_path, files, "NEXT_PUBLIC_SENTRY_DSN")
    assert way.steps[0].message == "init takes its DSN from NEXT_PUBLIC_SENTRY_DSN"
    assert way.status is Status.PASS
    assert "a literal" in message(audit(tmp_path, files), "frontend-dsn-provided")


def test_a_difference_is_none_where_only_a_files_name_holds_the_environment(tmp_path: Path) -> None:
    files = {
        **DEPLOYED,
        "deploy-production.sh": "docker build -t gcr.io/p/api .\ngcloud run deploy api --image gcr.io/p/api\n",
    }
    write(tmp_path, {**files, "deploy-staging.sh": files["deploy-production.sh"]})
    for item in difference(Request(root=tmp_path), "staging", "production"):
        assert (item.left.status, item.left.message) != (item.right.status, item.right.message), item.subject


def test_production_is_not_blamed_for_its_own_label(tmp_path: Path) -> None:
    files = {**DEPLOYED, "deploy.sh": "gcloud run deploy api --source . --set-secrets=SENTRY_DSN=dsn:1\n"}
    report = audit(tmp_path, files, "production")
    assert "events of every environment are labelled production" in message(report, "deploy-environment-declared")


def test_a_script_in_the_folder_of_one_component_creates_only_its_secrets(tmp_path: Path) -> None:
    files = {f"{folder}/{name}": text for folder in ("api", "mail") for name, text in DEPLOYED.items()}
    report = audit(tmp_path, {**files, "mail/secrets.sh": "gcloud secrets create mail-key\n"})
    assert statuses(report, "secret-script-covers-dsn", "mail") == {"gap"}
    assert statuses(report, "secret-script-covers-dsn", "api") == {"skipped"}


def test_the_secret_that_the_code_reads_is_compared_with_what_is_created_and_deployed(tmp_path: Path) -> None:
    main = (
        "import sentry_sdk\nfrom google.cloud import secretmanager\nclient = secretmanager.SecretManagerServiceClient()\n"
        "name = client.access_secret_version(name='projects/p/secrets/backend-dsn/versions/latest').payload.data.decode()\n"
        f"sentry_sdk.init(dsn=name)\n{FASTAPI}"
    )
    deploy = "gcloud run deploy api --source . --set-secrets=SENTRY_DSN=sentry-dsn:1\n"
    report = audit(tmp_path, {**DEPLOYED, "main.py": main, "deploy.sh": deploy})
    told = message(report, "secret-names-agree")
    assert told == "the code reads the DSN from backend-dsn, but the deployment passes sentry-dsn"
    report = audit(tmp_path, {"secrets.sh": "gcloud secrets create sentry-dsn-api\n"})
    assert "but what is created is sentry-dsn-api (secrets.sh:1)" in message(report, "secret-names-agree")


def test_a_token_of_sentry_is_no_dsn(tmp_path: Path) -> None:
    files = {
        **DEPLOYED,
        "deploy.sh": "gcloud run deploy api --source . --set-secrets=SENTRY_DSN=sentry-dsn:1\n",
        "secrets.sh": "gcloud secrets create sentry-auth-token\n",
    }
    report = audit(tmp_path, files)
    assert statuses(report, "secret-names-agree") == {"skipped"}
    assert statuses(report, "secret-script-covers-dsn") == {"unknown"}
    [way] = ways(tmp_path, files, "SENTRY_DSN")
    assert links(way)[-1] == ("secret", "unknown")


def test_a_name_without_an_ending_for_production_is_no_difference(tmp_path: Path) -> None:
    files = {
        **DEPLOYED,
        "deploy-staging.sh": "gcloud run deploy api-staging --source . --set-env-vars=A=1\n",
        "deploy-production.sh": "gcloud run deploy api --source . --set-env-vars=A=1\n",
    }
    write(tmp_path, files)
    found = {item.subject for item in difference(Request(root=tmp_path), "staging", "production")}
    assert "release-set" not in found


def test_an_image_for_development_needs_no_argument(tmp_path: Path) -> None:
    files = {
        "web/package.json": PACKAGE,
        "web/instrumentation-client.ts": (
            "import * as Sentry from '@sentry/nextjs';\nSentry.init({ dsn: process.env.NEXT_PUBLIC_SENTRY_DSN });\n"
        ),
        "web/Dockerfile": 'FROM node:22\nCOPY . .\nRUN npm ci\nCMD ["npm", "run", "dev"]\n',
    }
    [way] = ways(tmp_path, files, "NEXT_PUBLIC_SENTRY_DSN")
    assert links(way) == [("code", "pass"), ("build", "unknown")]
    assert statuses(audit(tmp_path, files), "frontend-dsn-provided") == {"unknown"}


def test_a_definition_that_names_no_environment_is_said_to_count_for_each(tmp_path: Path) -> None:
    files = {**DEPLOYED, "deploy.sh": "gcloud run deploy api --source . --set-secrets=SENTRY_DSN=dsn:1\n"}
    [way] = ways(tmp_path, files, "SENTRY_DSN")
    assert "names no environment, so it counts for each" in way.steps[1].message
