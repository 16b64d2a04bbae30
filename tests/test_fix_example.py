"""The example project's back ends, from dark to sound, by the fixers alone."""

from __future__ import annotations

import shutil
from pathlib import Path

from sentry_audit.fixing import Change
from tests.fixing_python import apply, cases, report, run, statuses

SHOP = Path(__file__).parent.parent / "examples" / "shop"
CHECKS = (
    "backend-sdk-declared", "backend-sdk-compatible", "backend-sdk-bounded", "backend-init-enabled", "backend-init-failure-visible",
    "backend-dsn-resolves", "config-env-mapping", "sample-rates-effective", "env-template-complete",
)  # fmt: skip


def test_the_example_s_back_ends_are_put_right(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    shutil.copytree(SHOP, root)
    before = statuses(report(root))
    for check in CHECKS:
        while found := [case for case in cases(root, check) if case.component.name != "web"]:
            change = run(found[0])
            assert isinstance(change, Change)
            apply(root, change)
    after = statuses(report(root))
    for check in CHECKS:
        for component in ("api", "worker"):
            assert {item.value for item in after[check, component]} <= {"pass", "skipped"}, (check, component)
    assert {key for key, seen in after.items() if {"gap", "error"} & {item.value for item in seen}} <= {
        key for key, seen in before.items() if "gap" in {item.value for item in seen}
    }
    assert (root / "api/app/config.py").read_text() == (SHOP / "api/app/config.py").read_text().replace(
        '    environment = "staging"\n',
        '    environment = "staging"\n\n    def __init__(self) -> None:\n        self.sentry_dsn = os.environ.get("SENTRY_DSN")\n',
    )
    compile((root / "api/app/observability.py").read_text(), "observability.py", "exec")
