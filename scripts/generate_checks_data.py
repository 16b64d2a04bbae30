"""Write the catalogue as JSON, which is read at a tenth of the time that YAML takes.

    python scripts/generate_checks_data.py

To be run after each change of ``checks.yaml``, and when a check gets its first fixer: until then the tool reads the
YAML, and a test says so. The checks' examples are left out, as a run that audits something leaves them out.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import yaml

from sentry_audit.known_fixers import fixers

#: Their fixers only say what a person may do.
REFUSED = {
    "cloud-run-cpu-throttled", "cloud-run-egress", "deploy-drift", "dsn-format", "frontend-user-context",
}  # fmt: skip
ROOT = Path(__file__).parent.parent
TARGET = ROOT / "sentry_audit" / "data" / "checks.json"
FIXABLE = TARGET.with_name("fixable.txt")
_NO_EXAMPLES: dict[str, list[object]] = {"pass": [{"facts": []}], "fail": [{"facts": []}]}


def main() -> None:
    """Write ``sentry_audit/data/checks.json``, one check a line, and ``fixable.txt``."""
    text = (ROOT / "checks.yaml").read_text(encoding="utf-8")
    checks = [{**check, "examples": _NO_EXAMPLES} for check in yaml.safe_load(text)["checks"]]
    lines = ",\n".join(json.dumps(check, ensure_ascii=False, separators=(",", ":")) for check in checks)
    TARGET.write_text(f'{{"crc32": {zlib.crc32(text.encode())}, "checks": [\n{lines}\n]}}\n', encoding="utf-8")
    FIXABLE.write_text("\n".join(fixable()) + "\n", encoding="utf-8")


def fixable() -> list[str]:
    """The checks whose gaps ``fix`` may close by itself."""
    return sorted(fixers().keys() - REFUSED)


if __name__ == "__main__":
    main()
