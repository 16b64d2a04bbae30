"""Secrets that Terraform makes for each entry of a list or a map: one more entry, where that is written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hcl2
import pytest

from sentry_audit.fixers import terraforming
from tests.fixing_deploy import fixed, refused
from tests.test_fix_deploying import APP

if TYPE_CHECKING:
    from pathlib import Path

CHECK = "terraform-dsn-secret"


def module(entries: str, name: str, more: str = "") -> dict[str, str]:
    text = f"""\
{more}resource "google_secret_manager_secret" "all" {{
  project   = "shop-staging"
  for_each  = {entries}
  secret_id = {name}
  replication {{
    auto {{}}
  }}
}}
"""
    return {**{f"api/{path}": value for path, value in APP.items()}, "infra/main.tf": text}


@pytest.mark.parametrize(
    ("entries", "name", "more", "before", "after"),
    [
        ("toset(var.names)", "each.value", 'variable "names" {\n  default = ["shop-db-staging"]\n}\n',
         '["shop-db-staging"]', '["shop-db-staging", "sentry-dsn-staging"]'),
        ("var.names", "each.key", 'variable "names" {\n  type    = set(string)\n  default = [\n    "shop-db-staging",\n  ]\n}\n',
         '    "shop-db-staging",\n', '    "shop-db-staging",\n    "sentry-dsn-staging",\n'),
        ("local.ids", "each.value", 'locals {\n  ids = {\n    database = "shop-db-staging" # ours\n  }\n}\n',
         '    database = "shop-db-staging" # ours\n',
         '    database = "shop-db-staging"\n    sentry_dsn = "sentry-dsn-staging" # ours\n'),
        ("local.ids", "each.value", 'locals {\n  ids = {\n    data-base-of-it = "shop-db-staging",\n  }\n}\n',
         '"shop-db-staging",\n', '"shop-db-staging",\n    sentry-dsn      = "sentry-dsn-staging",\n'),
        ('{ db = "shop-db-staging" }', "each.value", "", "{ db = ", '{ db = "shop-db-staging", sentry_dsn = "sentry-dsn-staging" }'),
        ("local.ids", "each.key", 'locals {\n  ids = {\n    "shop-db-staging" = {}\n  }\n}\n',
         '    "shop-db-staging" = {}\n', '    "shop-db-staging" = {}\n    "sentry-dsn-staging" = {}\n'),
        ("toset(local.names)", '"${each.key}-staging"', 'locals {\n  names = ["shop-db"]\n}\n',
         '["shop-db"]', '["shop-db", "sentry-dsn"]'),
    ],
    ids=["list of a variable", "on lines", "values", "aligned", "inline", "keys", "named after it"],
)  # fmt: skip
def test_the_secret_is_one_more_entry(
    tmp_path: Path, entries: str, name: str, more: str, before: str, after: str
) -> None:
    files = module(entries, name, more)
    assert before in files["infra/main.tf"]
    written = fixed(tmp_path, files, CHECK, terraforming.manage)
    assert set(written) == {"infra/main.tf"}
    text = written["infra/main.tf"]
    hcl2.loads(text)
    assert after in text
    old, new = files["infra/main.tf"].splitlines(), text.splitlines()
    assert len(new) - len(old) <= 1


@pytest.mark.parametrize(
    ("entries", "name", "more", "file"),
    [
        ("toset([for name in var.names : name])", "each.key", 'variable "names" {\n  default = ["shop-db-staging"]\n}\n', {}),
        ("local.ids", "each.key", 'locals {\n  ids = {\n    "shop-db-staging" = { a = 1 }\n    "shop-x-staging" = { a = 2 }\n  }\n}\n', {}),
        ("local.ids", "each.value.id", 'locals {\n  ids = {\n    db = { id = "shop-db-staging" }\n  }\n}\n', {}),
        ("toset(local.names)", '"shop-${each.key}-staging"', 'locals {\n  names = ["db"]\n}\n', {}),
        ("toset(var.names)", "each.value", 'variable "names" {\n  default = ["shop-db-staging"]\n}\n',
         {"infra/staging.tfvars": 'names = ["shop-db-staging"]\n'}),
    ],
    ids=["computed", "unlike each other", "of objects", "named otherwise", "given by a file"],
)  # fmt: skip
def test_what_is_not_written_out_is_left(
    tmp_path: Path, entries: str, name: str, more: str, file: dict[str, str]
) -> None:
    answer = refused(tmp_path, {**module(entries, name, more), **file}, CHECK, terraforming.manage)
    assert "a list that was not followed" in answer.reason


def test_services_of_several_projects_are_left(tmp_path: Path) -> None:
    """A secret beside them would speak of ``each``, which there is none of."""
    text = """\
locals {
  places = {
    staging    = { secrets = { DATABASE_URL = "shop-db" } }
    production = { secrets = { DATABASE_URL = "shop-db" } }
  }
}

resource "google_cloud_run_v2_service" "api" {
  for_each = local.places
  name     = "shop-api-${each.key}"
  project  = "shop-${each.key}"
  location = "europe-west1"
  template {
    containers {
      image = "europe-docker.pkg.dev/shop/api:1"
      dynamic "env" {
        for_each = each.value.secrets
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = env.value
              version = "latest"
            }
          }
        }
      }
    }
  }
}
"""
    files = {**{f"api/{path}": value for path, value in APP.items()}, "infra/main.tf": text}
    answer = refused(tmp_path, files, CHECK, terraforming.manage)
    assert "one service for each entry of a list" in answer.reason
