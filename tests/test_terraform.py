from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentry_audit.deployment.found import KINDS, Found
from sentry_audit.deployment.terraform import read
from sentry_audit.facts import Deployment, SecretDeclared
from tests.trees import Texts

if TYPE_CHECKING:
    from sentry_audit.facts import Setting

KEY = "0123456789abcdef0123456789aba1f3"


def found(files: dict[str, str]) -> Found:
    result = Found()
    read(Texts(files), result)
    return result


def deployments(files: dict[str, str]) -> list[Deployment]:
    return [item for item in found(files).facts if isinstance(item, Deployment)]


def secrets(files: dict[str, str]) -> list[SecretDeclared]:
    return [item for item in found(files).facts if isinstance(item, SecretDeclared)]


def service(env: str = "", name: str = '"api"', rest: str = "", containers: str = "") -> str:
    """A file with one service."""
    return f"""
resource "google_cloud_run_v2_service" "api" {{
  name = {name}
  {rest}
  template {{
    {containers}
    containers {{
      image = "gcr.io/shop/api"
      {env}
    }}
  }}
}}
"""


def one(env: str = "", more: str = "", **given: str) -> Deployment:
    """The only deployment of a file with a service that has ``env``."""
    (only,) = deployments({"infra/main.tf": service(env, **given) + more})
    return only


def dynamic(over: str) -> str:
    """Variables over a map."""
    return f'dynamic "env" {{\n for_each = {over}\n content {{\n name = env.key\n value = env.value\n }}\n }}'


def call(name: str, source: str, *arguments: str) -> str:
    """A call of a module."""
    rows = [f'source = "{source}"', *arguments]
    return f'module "{name}" {{\n' + "\n".join(rows) + "\n}\n"


def values(deployment: Deployment) -> dict[str, str]:
    return {item.name: item.secret or item.value for item in deployment.settings}


def named(deployment: Deployment, name: str) -> Setting:
    return next(item for item in deployment.settings if item.name == name)


def by_environment(files: dict[str, str]) -> dict[str, Deployment]:
    items = deployments(files)
    kept = {item.environment: item for item in items}
    assert len(kept) == len(items), [item.environment for item in items]
    return kept


# --- resources ----------------------------------------------------------------------------------


def test_a_v2_service() -> None:
    only = one(
        """
      env {
        name  = "SENTRY_ENVIRONMENT"
        value = "staging"
      }
      env {
        name = "SENTRY_DSN"
        value_source {
          secret_key_ref {
            secret  = "sentry-dsn-staging"
            version = "latest"
          }
        }
      }
      """
    )
    assert (only.path, only.line, only.service, only.resource) == ("infra/main.tf", 2, "api", "service")
    assert (only.origin, only.declarative, only.image) == ("terraform", True, "gcr.io/shop/api")
    assert only.unresolved == ()
    dsn = named(only, "SENTRY_DSN")
    assert (dsn.operation, dsn.sort, dsn.secret, dsn.version, dsn.line) == (
        "set",
        "secret",
        "sentry-dsn-staging",
        "latest",
        15,
    )
    assert (named(only, "SENTRY_ENVIRONMENT").value, named(only, "SENTRY_ENVIRONMENT").line) == ("staging", 11)


def test_a_v1_service() -> None:
    (only,) = deployments(
        {
            "run.tf": """\
            resource "google_cloud_run_service" "api" {
              name = "api"
              template {
                spec {
                  containers {
                    image = "x"
                    env {
                      name = "SENTRY_DSN"
                      value_from {
                        secret_key_ref {
                          name = "sentry-dsn"
                          key  = "3"
                        }
                      }
                    }
                  }
                }
              }
            }
            """
        }
    )
    dsn = named(only, "SENTRY_DSN")
    assert (dsn.sort, dsn.secret, dsn.version) == ("secret", "sentry-dsn", "3")


def test_a_job() -> None:
    (only,) = deployments(
        {
            "job.tf": """\
            resource "google_cloud_run_v2_job" "nightly" {
              name = "nightly"
              template {
                template {
                  containers {
                    env {
                      name  = "SENTRY_ENVIRONMENT"
                      value = "production"
                    }
                  }
                }
              }
            }
            """
        }
    )
    assert (only.resource, only.service, values(only)) == ("job", "nightly", {"SENTRY_ENVIRONMENT": "production"})


def test_only_the_ingress_container_counts() -> None:
    sidecar = 'containers {\n env {\n name = "SENTRY_DSN"\n value = "x"\n }\n }'
    assert values(one('ports {\n container_port = 80\n }\n env {\n name = "A"\n }', containers=sidecar)) == {"A": ""}
    assert "SENTRY_DSN" in values(one(containers=sidecar))


def test_values_are_kept_only_where_they_cannot_be_secret() -> None:
    text = f'env {{\n name = "SENTRY_DSN"\n value = "https://{KEY}@o1.ingest.sentry.io/7"\n }}\n'
    text += 'env {\n name = "API_KEY"\n value = "hunter2"\n }\nenv {\n name = "OTHER"\n value = base64decode("aHVudGVyMg==")\n }'
    only = one(text)
    assert values(only) == {
        "SENTRY_DSN": "https://…a1f3@o1.ingest.sentry.io/7",
        "API_KEY": "",
        "OTHER": "${base64decode(…)}",
    }
    assert KEY not in repr(only)
    assert "hunter2" not in repr(only)


def test_an_empty_value_is_not_set() -> None:
    assert not named(one('env {\n name = "SENTRY_DSN"\n value = ""\n }'), "SENTRY_DSN").is_set
    assert not named(one('env {\n name = "SENTRY_DSN"\n }'), "SENTRY_DSN").is_set


def test_what_is_commented_out_counts_for_nothing() -> None:
    text = '# env {\n# name = "A"\n# }\n/* env {\n name = "B"\n } */\n// env {'
    assert one(text).settings == ()
    off = "\n".join("# " + row for row in service().splitlines())
    assert deployments({"a.tf": f'locals {{\n a = "{{"\n}}\n{off}\n/*\n{service()}\n*/\n'}) == []


@pytest.mark.parametrize(
    ("ignored", "noted"),
    [
        ("[template]", True),
        ("[template[0].containers[0].env]", True),
        ("[template.0.spec.0.containers]", True),
        ("all", True),
        ("[\n template[0].containers[0].image,\n client,\n]", False),
        ("[template[0].labels, annotations]", False),
    ],
)
def test_changes_that_are_ignored(ignored: str, noted: bool) -> None:
    only = one(rest=f"lifecycle {{\n ignore_changes = {ignored}\n }}")
    assert bool(only.unresolved) is noted
    assert all("are ignored: a deploy elsewhere sets them" in note for note in only.unresolved)


# --- expressions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ('"api-${var.stage}"', "api-dev"),
        ("local.name", "shop-api"),
        ('format("%s-%s", "api", var.stage)', "api-dev"),
        ('join("-", ["a", var.stage])', "a-dev"),
        ('var.stage == "dev" ? "one" : "two"', "one"),
        ('var.stage != "dev" || var.on ? "one" : "two"', "one"),
        ('!var.on && var.stage == "dev" ? "one" : "two"', "two"),
        ('lookup(local.names, var.stage, "none")', "d"),
        ('lookup(local.names, "qa", "none")', "none"),
        ("local.names[var.stage]", "d"),
        ("local.names.prod", "p"),
        ('coalesce("", null, "x")', "x"),
        ('try(local.names.nothing, "fallback")', "fallback"),
        ('replace(lower("A_B"), "_", "-")', "a-b"),
        ('"${"nested"}-${1 + 2}"', "nested-3"),
        ("element(local.list, 3)", "b"),
        ('contains(local.list, "a") ? "in" : "out"', "in"),
        ("local.list[0]", "a"),
        ("[for item in local.list : upper(item)][1]", "B"),
        ('{ for key, value in local.names : value => key if key != "prod" }["d"]', "dev"),
        ("local.objects.*.id[1]", "two"),
        ("(local.objects[*].id)[0]", "one"),
        ('join("", local.objects[*].tags[0])', "xy"),
        ("length(local.list) > 1 ? keys(local.names)[0] : null", "dev"),
        ('jsondecode("{\\"a\\": \\"b\\"}").a', "b"),
        ('yamldecode(file("${path.module}/names.yaml")).name', "from-file"),
        ('substr("production", 0, 4)', "prod"),
        ('split(",", "a,b")[1]', "b"),
        ('trimsuffix("api-x", "-x")', "api"),
        ('"a$${b}%%{c}"', "a${b}%{c}"),
        ("var.unset", "${var.unset}"),
        ('"api-${var.unset}"', "api-${var.unset}"),
        ('format("api-%s", var.unset)', "api-${var.unset}"),
        ('var.unset == "x" ? "one" : "two"', "${…}"),
        ('var.unset == "x" ? "same" : "same"', "same"),
        ("google_project.shop.project_id", "shop-dev"),
        ("data.google_project.this.number", "${data.google_project.this.number}"),
        ("local.loop", "${local.loop}"),
        ("uuid()", "${uuid(…)}"),
        ("local.names[var.unset]", "${local.names[var.unset]}"),
    ],
)
def test_expressions(expression: str, wanted: str) -> None:
    context = """
    variable "stage" { default = "dev" }
    variable "on" {
      type    = bool
      default = true
    }
    variable "unset" {}
    locals {
      name  = "${local.shop}-api" # a comment
      shop  = "shop"
      names = { dev = "d", "prod" : "p" }
      list  = ["a", "b"]
      loop  = local.loop
      objects = [{ id = "one", tags = ["x"] }, { id = "two", tags = ["y"] }]
    }
    resource "google_project" "shop" { project_id = "shop-${var.stage}" }
    """
    (only,) = deployments({"main.tf": service(name=expression), "vars.tf": context, "names.yaml": "name: from-file\n"})
    assert only.service == wanted


def test_dynamic_variables_over_a_merged_map() -> None:
    only = one(
        """
      dynamic "env" {
        for_each = merge(local.common, { SENTRY_ENVIRONMENT = "staging" }, var.more)
        content {
          name  = env.key
          value = env.value
        }
      }
      """,
        'locals {\n common = { DEBUG = "false", SENTRY_ENVIRONMENT = "none" }\n}\nvariable "more" {\n default = {}\n}\n',
    )
    assert values(only) == {"DEBUG": "false", "SENTRY_ENVIRONMENT": "staging"}
    assert only.unresolved == ()


@pytest.mark.parametrize(
    ("over", "name", "wanted"),
    [
        ('["A", "B"]', "env.value", ["A", "B"]),
        ('toset(["A", "B"])', "env.key", ["A", "B"]),
        ('concat(["A"], [for x in ["b"] : upper(x)])', "env.value", ["A", "B"]),
        ('[{ name = "A" }, { name = "B" }]', "env.value.name", ["A", "B"]),
        ('[{ name = "A" }]', 'env.value["name"]', ["A"]),
        ("true ? { A = 1 } : {}", "env.key", ["A"]),
        ("false ? { A = 1 } : {}", "env.key", []),
        ('{ for k in ["A"] : k => 1 }', "env.key", ["A"]),
        ('zipmap(["A"], ["x"])', "env.key", ["A"]),
        ('flatten([["A"], [["B"]]])', "env.value", ["A", "B"]),
        ('compact(["A", "", null])', "env.value", ["A"]),
        ('setunion(["A"], ["B"])', "env.value", ["A", "B"]),
    ],
)
def test_dynamic_variables(over: str, name: str, wanted: list[str]) -> None:
    only = one(f'dynamic "env" {{\n for_each = {over}\n content {{\n name = {name}\n }}\n }}')
    assert [item.name for item in only.settings] == wanted
    assert only.unresolved == ()


def test_a_dynamic_secret_with_another_iterator() -> None:
    only = one(
        """
      dynamic "env" {
        for_each = var.secrets
        iterator = item
        content {
          name = item.key
          dynamic "value_source" {
            for_each = item.value.secret != null ? [1] : []
            content {
              secret_key_ref {
                secret  = item.value.secret
                version = item.value.version
              }
            }
          }
          value = item.value.plain
        }
      }
      """,
        """
        variable "secrets" {
          type = map(object({
            secret  = optional(string)
            version = optional(string, "latest")
            plain   = optional(string)
          }))
          default = {
            SENTRY_DSN         = { secret = "dsn" }
            SENTRY_ENVIRONMENT = { plain = "qa" }
          }
        }
        """,
    )
    assert values(only) == {"SENTRY_DSN": "dsn", "SENTRY_ENVIRONMENT": "qa"}
    assert named(only, "SENTRY_DSN").version == "latest"
    assert (named(only, "SENTRY_DSN").sort, named(only, "SENTRY_ENVIRONMENT").sort) == ("secret", "plain")


@pytest.mark.parametrize(
    ("over", "kept"),
    [
        ("var.unset", []),
        ("merge({ A = 1 }, var.unset)", ["A"]),
        ("merge(var.unset, { A = 1 })", ["A"]),
        ("var.unset ? { A = 1, B = 2 } : { A = 3 }", ["A"]),
        ("{ for k, v in var.unset : k => v }", []),
        ("{ for k, v in { A = 1 } : k => v if var.unset }", []),
        ("data.external.env.result", []),
        ('jsondecode(file("nowhere.json"))', []),
        ("concat([], var.unset)", []),
    ],
)
def test_what_may_have_more_variables_says_so(over: str, kept: list[str]) -> None:
    only = one(
        dynamic(over),
        'variable "unset" {}\n',
    )
    assert [item.name for item in only.settings] == kept
    assert only.unresolved


def test_a_name_that_is_not_known() -> None:
    only = one('env {\n name = var.name\n value = "x"\n }', 'variable "name" {}\n')
    assert only.settings == ()
    assert "the name of a variable in line" in only.unresolved[0]


def test_a_value_that_later_values_may_replace_is_not_shown() -> None:
    only = one(
        dynamic('merge({ SENTRY_ENVIRONMENT = "qa" }, var.x)'),
        'variable "x" {}\n',
    )
    assert values(only) == {"SENTRY_ENVIRONMENT": "${…}"}


@pytest.mark.parametrize(
    ("count", "number"),
    [("0", 0), ("1", 1), ("var.off ? 1 : 0", 0), ("var.off ? 0 : 2", 2), ("length(local.none)", 0)],
)
def test_count(count: str, number: int) -> None:
    text = (
        service(rest=f"count = {count}")
        + 'variable "off" {\n type = bool\n default = false\n}\nlocals {\n none = []\n}\n'
    )
    assert len(deployments({"main.tf": text})) == number


def test_a_count_that_is_not_known() -> None:
    only = one(rest="count = var.on ? 1 : 0", more='variable "on" {}\n')
    assert only.unresolved == ("count = var.on ? 1 : 0 was not followed",)


def test_one_deployment_for_each_key() -> None:
    files = {
        "main.tf": service('env {\n name = "SENTRY_ENVIRONMENT"\n value = each.value.env\n }', '"api-${each.key}"', "for_each = local.all")
        + 'locals {\n all = {\n staging = { env = "stg" }\n production = { env = "prod" }\n }\n}\n'
    }  # fmt: skip
    items = by_environment(files)
    assert {key: (item.service, values(item)["SENTRY_ENVIRONMENT"]) for key, item in items.items()} == {
        "staging": ("api-staging", "stg"),
        "production": ("api-production", "prod"),
    }
    assert items["staging"].rule == "each.key says so: staging"


def test_for_each_that_is_not_known() -> None:
    only = one(rest="for_each = var.all", name="each.key", more='variable "all" {}\n')
    assert (only.service, only.unresolved) == ("${each.key}", ("for_each over ${var.all} was not followed",))


# --- secrets ------------------------------------------------------------------------------------


def test_secrets_that_are_created() -> None:
    items = secrets(
        {
            "secrets.tf": """\
            resource "google_secret_manager_secret" "dsn" {
              secret_id = "sentry-dsn-${var.environment}"
            }
            resource "google_secret_manager_secret" "all" {
              for_each  = toset(local.names)
              secret_id = each.value
            }
            resource "google_secret_manager_secret" "more" {
              for_each  = { a = { id = "first" } }
              secret_id = each.value.id
            }
            resource "google_secret_manager_secret" "unknown" {
              secret_id = var.unset
            }
            variable "environment" { default = "staging" }
            variable "unset" {}
            locals { names = ["one", "two"] }
            """
        }
    )
    assert [item.name for item in items] == ["sentry-dsn-staging", "one", "two", "first", "${var.unset}"]
    assert items[0].line == 1
    assert (items[0].environment, items[0].origin) == ("staging", "terraform")
    assert [item.unresolved for item in items] == ["", "", "", "", "its name was not followed"]


@pytest.mark.parametrize(
    "reference",
    [
        "google_secret_manager_secret.dsn.secret_id",
        "google_secret_manager_secret.dsn.id",
        "google_secret_manager_secret.dsn.name",
        "google_secret_manager_secret_version.dsn.secret",
        'google_secret_manager_secret.many["sentry-dsn"].secret_id',
        "data.google_secret_manager_secret.dsn.secret_id",
        "data.google_secret_manager_secret_version.dsn.secret",
        "{ for k, s in google_secret_manager_secret.many : k => s.secret_id }[local.dsn]",
        '"projects/shop/secrets/sentry-dsn"',
        "module.secrets.dsn_id",
        'module.secrets.ids["dsn"]',
    ],
)
def test_a_secret_that_is_referred_to(reference: str) -> None:
    source = f'env {{\n name = "SENTRY_DSN"\n value_source {{\n secret_key_ref {{\n secret = {reference}\n version = "1"\n }}\n }}\n }}'
    files = {
        "main.tf": service(source)
        + """
        locals { dsn = "sentry-dsn" }
        module "secrets" { source = "./secrets" }
        resource "google_secret_manager_secret" "dsn" { secret_id = local.dsn }
        resource "google_secret_manager_secret" "many" {
          for_each  = toset([local.dsn])
          secret_id = each.key
        }
        resource "google_secret_manager_secret_version" "dsn" { secret = google_secret_manager_secret.dsn.id }
        data "google_secret_manager_secret" "dsn" { secret_id = "sentry-dsn" }
        data "google_secret_manager_secret_version" "dsn" { secret = "sentry-dsn" }
        """,
        "secrets/main.tf": """
        resource "google_secret_manager_secret" "this" { secret_id = "sentry-dsn" }
        output "dsn_id" { value = google_secret_manager_secret.this.secret_id }
        output "ids" { value = { dsn = google_secret_manager_secret.this.id } }
        """,
    }
    (only,) = deployments(files)
    setting = named(only, "SENTRY_DSN")
    assert (setting.secret, setting.version, setting.sort) == ("sentry-dsn", "1", "secret")


# --- environments -------------------------------------------------------------------------------

VARIABLES = 'variable "environment" {}\nvariable "project_id" {}\n'
DSN = 'env {\n name = "SENTRY_ENVIRONMENT"\n value = var.environment\n }'


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("infra/env/staging.tfvars", "infra/env/production.tfvars"),
        ("infra/staging.tfvars", "infra/prod.tfvars"),
        ("infra/envs/staging/terraform.tfvars", "infra/envs/prod/terraform.tfvars"),
        ("config/staging.tfvars", "config/prod.tfvars"),
        ("infra/a.tfvars", "infra/b.tfvars"),
    ],
)
def test_one_deployment_for_each_file_of_values(first: str, second: str) -> None:
    items = by_environment(
        {
            "infra/main.tf": service(DSN, '"api-${var.environment}"') + VARIABLES,
            first: 'environment = "staging"\nproject_id = "shop-1"\n',
            second: 'environment = "production" # live\nproject_id = "shop-2"\n',
        }
    )
    assert {key: (item.service, values(item)["SENTRY_ENVIRONMENT"]) for key, item in items.items()} == {
        "staging": ("api-staging", "staging"),
        "production": ("api-production", "production"),
    }
    assert items["staging"].rule == "var.environment says so: staging"


def test_the_name_of_a_file_of_values_tells() -> None:
    items = by_environment(
        {
            "main.tf": service('env {\n name = "A"\n value = var.x\n }') + 'variable "x" {}\n',
            "vars/stg.tfvars": 'x = "1"\n',
            "vars/prd.tfvars": 'x = "2"\n',
            "vars/example.tfvars": 'x = "3"\n',
        }
    )
    assert sorted(items) == ["production", "staging"]
    assert items["staging"].rule == "stg.tfvars's name says so: stg"


def test_shared_values_are_under_those_of_the_environment() -> None:
    items = by_environment(
        {
            "main.tf": service(DSN, "var.name") + VARIABLES + 'variable "name" {}\nvariable "region" {}\n',
            "terraform.tfvars": 'name = "api"\nregion = "r"\n',
            "env/common.tfvars": 'region = "eu"\n',
            "env/staging.tfvars": 'environment = "staging"\n',
            "env/prod.tfvars": 'environment = "prod"\nname = "api-live"\n',
        }
    )
    assert {key: item.service for key, item in items.items()} == {"staging": "api", "production": "api-live"}


def test_values_that_belong_to_another_module_do_not_count() -> None:
    (only,) = deployments(
        {
            "run/main.tf": service(DSN) + VARIABLES,
            "network/main.tf": 'variable "cidr" {}\n',
            "network/staging.tfvars": 'environment = "staging"\n',
        }
    )
    assert only.environment == ""


@pytest.mark.parametrize(
    ("path", "text", "environment", "rule"),
    [
        ("environments/staging/main.tf", service(), "staging", "the folder says so: environments/staging"),
        ("infra/prod.tf", service(), "production", "the file's name says so: prod.tf"),
        ("main.tf", service(name='"api-qa"'), "qa", "the service's name says so: api-qa"),
        ("main.tf", service(rest='project = "shop-staging"'), "staging", "the project says so: shop-staging"),
        ("main.tf", 'provider "google" {\n project = "shop-prod"\n}\n' + service(), "production", "the project says so: shop-prod"),
        ("main.tf", 'locals {\n env = "dev"\n}\n' + service(), "development", "local.env says so: dev"),
        ("main.tf", 'variable "env" {\n default = "dev"\n}\n' + service(), "development", "var.env's default says so: dev"),
        ("main.tf", 'variable "env" {\n default = "dev"\n}\n' + service(name='"api-prod"'), "production",
         "the service's name says so: api-prod"),
        ("main.tf", service(), "", ""),
    ],
)  # fmt: skip
def test_what_tells_the_environment(path: str, text: str, environment: str, rule: str) -> None:
    (only,) = deployments({path: text})
    assert (only.environment, only.rule) == (environment, rule)


def test_a_condition_on_the_environment_is_evaluated() -> None:
    dsn = dynamic('var.environment == "production" ? { SENTRY_DSN = "x" } : {}')
    items = by_environment(
        {
            "main.tf": service(dsn) + VARIABLES,
            "staging.tfvars": 'environment = "staging"\n',
            "production.tfvars": 'environment = "production"\n',
        }
    )
    assert [item.name for item in items["production"].settings] == ["SENTRY_DSN"]
    assert items["staging"].settings == ()
    assert items["staging"].unresolved == ()


def test_a_condition_on_an_unknown_environment() -> None:
    dsn = 'dynamic "env" {\n for_each = var.environment == "production" ? ["SENTRY_DSN"] : []\n content {\n name = env.value\n }\n }'
    items = by_environment({"main.tf": service(dsn) + VARIABLES})
    assert [item.name for item in items["production"].settings] == ["SENTRY_DSN"]
    assert items["production"].unresolved == ()
    assert items[""].settings == ()
    assert items[""].unresolved


def test_the_workspace_selects_from_a_map() -> None:
    items = by_environment(
        {
            "main.tf": service(
                'env {\n name = "SENTRY_ENVIRONMENT"\n value = local.here.env\n }', '"api-${terraform.workspace}"'
            )
            + 'locals {\n here = local.all[terraform.workspace]\n all = {\n staging = { env = "stg" }\n prod = { env = "live" }\n }\n}\n'
        }
    )
    assert {key: (item.service, values(item)["SENTRY_ENVIRONMENT"]) for key, item in items.items()} == {
        "staging": ("api-staging", "stg"),
        "production": ("api-prod", "live"),
    }


def test_a_validation_names_the_environments() -> None:
    validation = """variable "environment" {
      validation {
        condition     = contains(["staging", "production"], var.environment)
        error_message = "no"
      }
    }
    """
    items = by_environment({"main.tf": service(DSN, '"api-${var.environment}"') + validation})
    assert {key: item.service for key, item in items.items()} == {
        "staging": "api-staging",
        "production": "api-production",
    }


def test_the_workspace_is_that_of_the_values() -> None:
    (only,) = deployments(
        {
            "main.tf": service(name='terraform.workspace == "staging" ? "api-stg" : "api-prod"')
            + 'variable "size" {}\n',
            "staging.tfvars": "size = 1\n",
        }
    )
    assert (only.service, only.environment) == ("api-stg", "staging")


def test_a_default_that_a_pipeline_replaces_is_not_taken() -> None:
    files = {
        "main.tf": service(DSN, '"api-${var.environment}"') + 'variable "environment" {\n default = "dev"\n}\n',
        ".github/workflows/deploy.yml": 'run: terraform apply -var "environment=$ENV"\n',
    }
    (only,) = deployments(files)
    assert (only.service, only.environment) == ("api-${var.environment}", "")


@pytest.mark.parametrize(
    ("attributes", "is_set"),
    [('default = ""', False), ('default = ""\n sensitive = true', True), ("", True), ('default = "x"', True)],
)
def test_a_value_that_is_given_when_it_is_applied(attributes: str, is_set: bool) -> None:
    text = service('env {\n name = "SENTRY_DSN"\n value = var.sentry_dsn\n }') + 'variable "sentry_dsn" {\n %s\n}\n'
    (only,) = deployments({"main.tf": text % attributes})
    assert named(only, "SENTRY_DSN").is_set is is_set


def test_an_empty_default_may_be_replaced_where_values_stand_elsewhere() -> None:
    text = service(dynamic("var.env_vars")) + 'variable "env_vars" {\n default = {}\n}\n'
    (closed,) = deployments({"main.tf": text})
    (ended,) = deployments({"main.tf": text + 'variable "project_id" {}\n'})
    (given,) = deployments(
        {"main.tf": text + 'variable "project_id" {}\n', "terraform.tfvars": 'project_id = "shop"\n'}
    )
    assert (closed.unresolved, given.unresolved) == ((), ())
    assert "var.env_vars, whose value may stand outside the repository" in ended.unresolved[0]


# --- modules ------------------------------------------------------------------------------------

MODULE = """
variable "name" {}
variable "environment" { default = "" }
variable "env" { default = {} }
resource "google_cloud_run_v2_service" "this" {
  name = var.name
  template {
    containers {
      dynamic "env" {
        for_each = merge({ SENTRY_ENVIRONMENT = var.environment }, var.env)
        content {
          name  = env.key
          value = env.value
        }
      }
    }
  }
}
"""


def test_a_local_module_is_evaluated_where_it_is_called() -> None:
    files = {
        "modules/run/main.tf": MODULE,
        "envs/staging/main.tf": call(
            "api", "../../modules/run", 'name = "api"', 'environment = "staging"', 'env = { DEBUG = "true" }'
        ),
        "envs/production/main.tf": 'module "api" {\n source = "../../modules/run"\n name = "api"\n environment = "production"\n}\n',
    }
    items = by_environment(files)
    assert values(items["staging"]) == {"DEBUG": "true", "SENTRY_ENVIRONMENT": "staging"}
    assert values(items["production"]) == {"SENTRY_ENVIRONMENT": "production"}
    assert (items["staging"].path, items["staging"].line) == ("modules/run/main.tf", 5)
    assert [str(item) for item in items["staging"].evidence] == ["modules/run/main.tf:5", "envs/staging/main.tf:1"]


def test_a_module_that_is_called_for_each_environment() -> None:
    files = {
        "modules/run/main.tf": MODULE,
        "main.tf": call(
            "api",
            "./modules/run",
            'for_each = toset(["staging", "production"])',
            'name = "api-${each.key}"',
            "environment = each.key",
        ),
    }
    items = by_environment(files)
    assert {key: item.service for key, item in items.items()} == {
        "staging": "api-staging",
        "production": "api-production",
    }


def test_a_module_in_a_module_and_one_that_calls_itself() -> None:
    files = {
        "modules/run/main.tf": MODULE,
        "modules/app/main.tf": 'variable "n" {}\n'
        + call("run", "../run", 'name = "${var.n}-api"')
        + call("again", "../app", 'n = "x"'),
        "main.tf": call("app", "./modules/app", 'n = "shop"') + call("off", "./modules/app", "count = 0", 'n = "off"'),
    }
    assert deployments(files)[0].service == "shop-api"
    assert all(item.service != "off-api" for item in deployments(files))


def test_the_registry_module() -> None:
    (only,) = deployments(
        {
            "main.tf": """\
            module "api" {
              source       = "GoogleCloudPlatform/cloud-run/google"
              version      = "0.10.0"
              service_name = "api-staging"
              image        = "gcr.io/shop/api"
              env_vars     = [{ name = "SENTRY_ENVIRONMENT", value = "staging" }]
              env_secret_vars = [{
                name       = "SENTRY_DSN"
                value_from = [{ secret_key_ref = { name = "dsn", key = "latest" } }]
              }]
            }
            """
        }
    )
    assert (only.service, only.environment, only.line, only.image) == ("api-staging", "staging", 1, "gcr.io/shop/api")
    assert only.unresolved == ("module api from GoogleCloudPlatform/cloud-run/google was not read",)
    assert values(only) == {"SENTRY_ENVIRONMENT": "staging", "SENTRY_DSN": "dsn"}
    assert (named(only, "SENTRY_DSN").version, named(only, "SENTRY_DSN").line) == ("latest", 8)


def test_the_registry_module_with_containers() -> None:
    (only,) = deployments(
        {
            "main.tf": """\
            module "api" {
              source       = "GoogleCloudPlatform/cloud-run/google//modules/v2"
              service_name = "api"
              containers = [
                { container_image = "proxy", env_vars = { A = "1" } },
                {
                  container_image = "api"
                  ports           = { container_port = 80 }
                  env_vars        = { SENTRY_ENVIRONMENT = "qa" }
                  env_secret_vars = { SENTRY_DSN = { secret = "dsn", version = "2" } }
                },
              ]
            }
            """
        }
    )
    assert values(only) == {"SENTRY_ENVIRONMENT": "qa", "SENTRY_DSN": "dsn"}
    assert only.image == "api"


def test_other_remote_modules_say_nothing() -> None:
    files = {
        "main.tf": call("net", "terraform-google-modules/network/google")
        + call("run", "git::https://x/cloud_run.git", 'name = "api"')
    }
    assert [item.service for item in deployments(files)] == ["api"]


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ('resource "google_cloud_run_v2_service" "x" {\n  name = \n}\n', 2),
        ('resource "google_cloud_run_v2_service" "x" {\n  name = "a"\n', None),
        ('resource "google_cloud_run_v2_service" "x" {\n  name = "a"\n}}\n', None),
        ('resource "google_cloud_run_v2_service" "x" {\n\n  name "a"\n}\n', 3),
    ],
)
def test_a_broken_file_is_a_problem_and_the_others_are_read(broken: str, line: int | None) -> None:
    result = found({"a/main.tf": service(), "b/main.tf": broken})
    assert next(item.service for item in result.facts if isinstance(item, Deployment)) == "api"
    (problem,) = result.problems
    assert (problem.source, problem.kinds, problem.evidence.path) == ("repo", KINDS, "b/main.tf")
    assert "not valid HCL" in problem.reason
    assert problem.evidence.line is not None
    assert line is None or abs(problem.evidence.line - line) <= 1


def test_a_broken_file_of_values() -> None:
    result = found({"main.tf": service(), "staging.tfvars": "environment = \n"})
    assert [item.evidence.path for item in result.problems] == ["staging.tfvars"]


def test_a_file_whose_braces_mislead() -> None:
    text = 'locals {\n a = "${"{"}"\n b = <<EOT\n}\nEOT\n}\n'
    assert [item.service for item in deployments({"main.tf": text + service()})] == ["api"]


def test_templates_and_examples_are_not_read() -> None:
    assert found({"main.tf.tmpl": service(), "examples/main.tf": service(), "main.tf.j2": service()}).facts == []


def test_a_tree_without_cloud_run_is_not_parsed() -> None:
    assert found({"main.tf": 'resource "aws_instance" "x" {'}).problems == []
    assert found({"aws/main.tf": "broken {", "run/main.tf": service()}).problems == []


def test_windows_line_ends() -> None:
    only = deployments({"main.tf": service('env {\n name = "A"\n value = "b"\n }').replace("\n", "\r\n")})[0]
    assert (only.service, named(only, "A").line) == ("api", 10)


def test_hostile_modules_come_to_an_end() -> None:
    doubling = "\n".join(f'a{i} = "${{local.a{i + 1}}}${{local.a{i + 1}}}"' for i in range(60))
    lists = "\n".join(f"b{i} = concat(local.b{i + 1}, local.b{i + 1})" for i in range(60))
    deep = "(" * 400 + "1" + ")" * 400
    text = f'locals {{\n{doubling}\na60 = "xxxxxxxx"\n{lists}\nb60 = ["x"]\ndeep = {deep}\n}}\n'
    text += service(
        'dynamic "env" {\n for_each = flatten([local.b0, local.deep])\n content {\n name = env.value\n }\n }',
        "local.a0",
    )
    (only,) = deployments({"main.tf": text})
    assert only.service.startswith("${")


# --- never raises -------------------------------------------------------------------------------

WHOLE = (
    service(dynamic("merge(local.a, var.b)"), '"api-${var.environment}"', 'for_each = toset(["a"])')
    + 'variable "b" {\n type = map(object({ a = optional(string, "x") }))\n default = {}\n}\nvariable "environment" {}\n'
    + "locals {\n a = { for k, v in { x = 1 } : k => v if v != 2 }\n c = [1, 2][*]\n}\n"
    + 'resource "google_secret_manager_secret" "s" {\n count = 2\n secret_id = "s-${count.index}"\n}\n'
    + 'module "m" {\n source = "./m"\n name = try(local.a["x"], null)\n}\n'
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=200))
def test_never_raises_on_any_text(text: str) -> None:
    opened = 'resource "google_cloud_run_v2_service" "x" {' + text
    found({"main.tf": "google_cloud_run_service " + text, "a.tfvars": text, "m/x.tf": opened})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(WHOLE)), st.integers(0, 30), st.text('{}[]()"$%=.,:?!*\n#<-~ afornul0', max_size=12))
def test_never_raises_on_a_changed_module(start: int, length: int, put: str) -> None:
    found({"main.tf": WHOLE[:start] + put + WHOLE[start + length :], "m/x.tf": MODULE, "qa.tfvars": "environment = 1"})
