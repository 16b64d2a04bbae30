"""Which version of a package the lock files of JavaScript hold, in each format, and what stands in when they do not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sentry_audit.facts import FrontendSdk
from sentry_audit.javascript.analysis import Analysis
from sentry_audit.javascript.locks import locked, lowest, resolved
from sentry_audit.javascript.packages import discover
from sentry_audit.sources.tree import Tree
from tests.trees import Texts, audit, statuses, write

if TYPE_CHECKING:
    from pathlib import Path

    from sentry_audit.javascript.packages import Frontend

NPM_1 = """\
{
  "name": "web",
  "lockfileVersion": 1,
  "requires": true,
  "dependencies": {
    "eslint-plugin": {
      "version": "1.0.0",
      "requires": {
        "next": "^9.0.0"
      },
      "dependencies": {
        "next": {
          "version": "9.5.5"
        }
      }
    },
    "next": {
      "version": "12.3.4"
    }
  }
}
"""
NPM_3 = """\
{
  "name": "shop",
  "lockfileVersion": 3,
  "packages": {
    "": {
      "workspaces": ["web", "admin"]
    },
    "admin": {
      "dependencies": {
        "next": "^14.0.0"
      }
    },
    "node_modules/admin": {
      "resolved": "admin",
      "link": true
    },
    "node_modules/next": {
      "version": "15.3.1",
      "dependencies": {
        "next": {
          "version": "0.0.1"
        }
      }
    },
    "admin/node_modules/next": {
      "version": "14.2.35"
    },
    "web": {
      "dependencies": {
        "next": "^15.0.0"
      }
    }
  }
}
"""
PNPM_5 = """\
lockfileVersion: 5.4

specifiers:
  next: ^12.0.0

dependencies:
  next: 12.3.4_biqbaboplfbrettd7655fr4n2y

packages:

  /next/9.5.5:
    resolution: {integrity: sha512-x}
"""
PNPM_6 = """\
lockfileVersion: '6.0'

dependencies:
  '@sentry/nextjs':
    specifier: ^7.0.0
    version: 7.120.4(next@13.5.11)(react@18.3.1)

devDependencies:
  next:
    specifier: ^13.0.0
    version: 13.5.11(react@18.3.1)

packages:

  /next@9.5.5:
    resolution: {integrity: sha512-x}
"""
PNPM_9 = """\
---
lockfileVersion: '9.0'

importers:

  .:
    configDependencies: {}
    packageManagerDependencies:
      pnpm:
        specifier: 11.0.0
        version: 11.0.0

packages:
  next@1.0.0:
    resolution: {integrity: sha512-x}

---
lockfileVersion: '9.0'

importers:

  .:
    devDependencies:
      next:
        specifier: ^14.0.0
        version: 14.2.35

  web:
    dependencies:
      '@acme/next':
        specifier: workspace:*
        version: link:../next
      next:
        specifier: 'catalog:'
        version: 16.0.10(react@19.2.0)
      ui:
        specifier: workspace:*
        version: link:../ui

  web/e2e: {}

packages:

  next@9.5.5:
    resolution: {integrity: sha512-x}
"""
YARN_1 = """\
# yarn lockfile v1


"@sentry/nextjs@7.x", "@sentry/nextjs@^7.0.0":
  version "7.120.4"
  dependencies:
    next "^9"

next@^14.0.0:
  version "14.2.35"
  resolved "https://example.invalid/next-14.2.35.tgz"

next@^15.0.0, next@^15.1.0:
  version "15.3.1"
"""
YARN_4 = """\
__metadata:
  version: 8
  cacheKey: 10c0

"@sentry/nextjs@npm:^10.0.0":
  version: 10.2.0
  resolution: "@sentry/nextjs@npm:10.2.0"

"next@npm:^14.0.0, next@npm:~14.2.0":
  version: 14.2.35
  resolution: "next@npm:14.2.35"

"next@npm:^15.0.0":
  version: 15.3.1
  resolution: "next@npm:15.3.1"

"web@workspace:web":
  version: 0.0.0-use.local
  resolution: "web@workspace:web"
"""
BUN = """\
{
  "lockfileVersion": 1,
  "workspaces": {
    "": {
      "name": "shop",
    },
    "web": {
      "name": "@shop/web",
      "dependencies": {
        "next": "^15.0.0",
      },
    },
  },
  "packages": {
    "eslint-config": ["eslint-config@1.0.0", "", { "dependencies": { "next": "^9.0.0" } }, "sha512-x"],

    "next": ["next@14.2.35", "", { "bin": "x" }, "sha512-x"],

    "@shop/web/next": ["next@15.3.1", "", {}, "sha512-x"],

    "eslint-config/next": ["next@9.5.5", "", {}, "sha512-x"],
  }
}
"""


def front_end(
    files: dict[str, str], folder: str, specifier: str = "^15.0.0", name: str = "web"
) -> tuple[Texts, Frontend]:
    manifest = {"name": name, "scripts": {"build": "next build"}, "dependencies": {"next": specifier}}
    path = f"{folder}/package.json".lstrip("/")
    texts = Texts({path: json.dumps(manifest), **files})
    return texts, next(item for item in discover(texts)[0] if item.manifest.path == path)


def version(files: dict[str, str], folder: str, specifier: str = "^15.0.0", name: str = "web") -> str:
    return resolved(*front_end(files, folder, specifier, name), "next")


# --- each format -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "folder", "expected"),
    [
        ("package-lock.json", NPM_1, "", "12.3.4"),
        ("package-lock.json", NPM_3, "", "15.3.1"),
        ("package-lock.json", NPM_3, "web", "15.3.1"),
        ("package-lock.json", NPM_3, "admin", "14.2.35"),
        ("npm-shrinkwrap.json", NPM_3, "", "15.3.1"),
        ("package-lock.json", NPM_3.replace("  ", "\t"), "admin", "14.2.35"),
        ("package-lock.json", NPM_3.replace("\n", "\r\n"), "admin", "14.2.35"),
        ("pnpm-lock.yaml", PNPM_5, "", "12.3.4"),
        ("pnpm-lock.yaml", PNPM_6, "", "13.5.11"),
        ("pnpm-lock.yaml", PNPM_9, "", "14.2.35"),
        ("pnpm-lock.yaml", PNPM_9, "web", "16.0.10"),
        ("yarn.lock", YARN_1, "", "15.3.1"),
        ("yarn.lock", YARN_4, "", "15.3.1"),
        ("yarn.lock", YARN_4, "web", "15.3.1"),
        ("bun.lock", BUN, "", "14.2.35"),
    ],
)
def test_the_version_of_a_direct_dependency(name: str, text: str, folder: str, expected: str) -> None:
    assert version({name: text}, folder) == expected


def test_a_workspace_of_bun_with_a_version_of_its_own() -> None:
    assert version({"bun.lock": BUN}, "web", name="@shop/web") == "15.3.1"


def test_a_workspace_of_an_older_pnpm_lock() -> None:
    lock = (
        "lockfileVersion: 5.4\n\nimporters:\n\n  web:\n    specifiers:\n      next: ^13\n    dependencies:\n"
        "      next: 13.5.11_react@18.3.1\n\npackages:\n"
    )
    assert version({"pnpm-lock.yaml": lock}, "web") == "13.5.11"


def test_the_place_in_the_lock_is_told() -> None:
    found = locked(*front_end({"package-lock.json": NPM_3}, "admin"), "next")
    assert str(found.evidence) == "package-lock.json:25"


# --- which lock ------------------------------------------------------------------------------------


def test_the_nearest_lock_counts() -> None:
    near = YARN_1.replace("15.3.1", "15.0.4")
    assert version({"web/yarn.lock": near, "package-lock.json": NPM_3}, "web") == "15.0.4"


def test_a_lock_above_that_does_not_know_the_folder_says_nothing() -> None:
    assert version({"package-lock.json": NPM_3}, "site") == ""
    assert version({"pnpm-lock.yaml": PNPM_9}, "site") == ""
    assert version({"bun.lock": BUN}, "site") == ""


def test_locks_of_two_package_managers_must_agree() -> None:
    assert version({"package-lock.json": NPM_3, "yarn.lock": YARN_1}, "") == "15.3.1"
    assert version({"package-lock.json": NPM_3, "yarn.lock": YARN_1.replace("15.3.1", "15.0.4")}, "") == ""


def test_several_versions_and_none_that_was_asked_for() -> None:
    assert version({"yarn.lock": YARN_1}, "", "^16.0.0") == ""
    assert version({"yarn.lock": YARN_1.replace("14.2.35", "15.3.1")}, "", "^16.0.0") == "15.3.1"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "\0", NPM_3[:300], '{\n  "packages": {\n    "node_modules/next": {']
)
@pytest.mark.parametrize("name", ["package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock"])
def test_what_is_no_lock_says_nothing(name: str, text: str) -> None:
    assert version({name: text}, "") == ""


def test_another_package_under_the_name_is_not_its_version() -> None:
    lock = NPM_3.replace('"version": "15.3.1",', '"name": "@acme/next", "version": "1.0.0",')
    assert version({"package-lock.json": lock}, "") == ""
    assert version({"pnpm-lock.yaml": PNPM_9.replace("version: 14.2.35", "version: '@acme/next@1.0.0'")}, "") == ""


# --- what stands in --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("specifier", "expected"),
    [
        ("13.4.1", "13.4.1"), ("^13.4", "13.4"), ("~13", "13"), (">=14 <17", "14"), ("14.x", "14"), ("^15 || ^9.1", "9.1"),
        ("v12.0.0", "12.0.0"), ("16.0.0-canary.3", "16.0.0-canary.3"), ("npm:@acme/next@14.0.0", "14.0.0"),
        ("latest", ""), ("*", ""), ("<16", ""), ("catalog:", ""), ("workspace:*", ""), ("github:vercel/next.js", ""), ("", ""),
    ],
)  # fmt: skip
def test_the_lowest_version_that_a_specifier_allows(specifier: str, expected: str) -> None:
    assert lowest(specifier) == expected


def test_a_lock_with_conflicts_gives_way_to_the_specifier() -> None:
    lock = NPM_3.replace('      "version": "15.3.1",', '<<<<<<< HEAD\n      "version": "15.3.1",\n=======\n>>>>>>> x')
    files, frontend = front_end({"package-lock.json": lock}, "")
    found = locked(files, frontend, "next")
    assert found.version == ""
    assert found.evidence is not None
    assert "conflicts" in found.evidence.saw
    assert Analysis(files, frontend).version("next") == "15.0.0"


def test_the_sdk_has_the_version_of_the_lock() -> None:
    manifest = {"scripts": {"build": "next build"}, "dependencies": {"next": "13", "@sentry/nextjs": "^7.0.0"}}
    texts = Texts({"package.json": json.dumps(manifest), "pnpm-lock.yaml": PNPM_6})
    [frontend] = discover(texts)[0]
    sdk = next(item for item in Analysis(texts, frontend).facts() if isinstance(item, FrontendSdk))
    assert (sdk.specifier, sdk.version) == ("^7.0.0", "7.120.4")


@pytest.mark.parametrize(("held", "expected"), [("15.5.9", "pass"), ("16.0.1", "gap")])
def test_the_bundler_follows_from_the_version_that_is_locked(tmp_path: Path, held: str, expected: str) -> None:
    init = "import * as Sentry from '@sentry/nextjs';\nSentry.init({ dsn: process.env.NEXT_PUBLIC_SENTRY_DSN });\n"
    manifest = {"scripts": {"build": "next build"}, "dependencies": {"next": ">=15", "@sentry/nextjs": "^10"}}
    lock = f'# yarn lockfile v1\n\nnext@>=15:\n  version "{held}"\n'
    files = {
        "package.json": json.dumps(manifest), "yarn.lock": lock, "sentry.client.config.ts": init,
        "next.config.js": "const { withSentryConfig } = require('@sentry/nextjs');\nmodule.exports = withSentryConfig({});\n",
    }  # fmt: skip
    report = audit(tmp_path, files)
    assert statuses(report, "frontend-init-ignored-by-bundler") == {expected}


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("pnpm-lock.yaml", lambda n: f"  pkg-{n}@1.0.0:\n    resolution: {{integrity: sha512-{'x' * 60}}}\n\n"),
        ("yarn.lock", lambda n: f'pkg-{n}@^1.0.0:\n  version "1.0.0"\n  integrity sha512-{"x" * 60}\n\n'),
    ],
)
def test_a_lock_of_ten_megabytes_is_read(tmp_path: Path, name: str, lines: object) -> None:
    head = {"pnpm-lock.yaml": PNPM_9, "yarn.lock": YARN_1}[name]
    files, frontend = front_end({}, "web")
    filler = "".join(lines(number) for number in range(90_000))  # type: ignore[operator]
    write(tmp_path, files.files)
    (tmp_path / name).write_text(head + "\n" + filler, encoding="utf-8")
    assert (tmp_path / name).stat().st_size > 8_000_000
    tree = Tree.open(tmp_path)
    assert resolved(tree, frontend, "next") in {"16.0.10", "15.3.1"}
    assert not tree.problems
