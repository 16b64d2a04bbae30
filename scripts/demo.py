"""The main job, on the example project: audit it against a Google Cloud that is a server on this machine.

Usage: ``python scripts/demo.py``. Ends with 0 if the audit found the gaps that the example has on purpose.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: What ``sentry-audit check`` answers where there are gaps.
GAPS = 1


def main() -> int:
    """Serve examples/cloud.yaml, audit examples/shop for staging, and stop the server again."""
    sys.path.insert(0, str(ROOT))
    from tests.gcp_server.server import GcpServer
    from tests.gcp_server.world import load

    with GcpServer(load(ROOT / "examples" / "cloud.yaml")) as server:
        arguments = ["check", "examples/shop", "--env", "staging", "--gcp-endpoint", server.endpoint]
        print(f"$ sentry-audit {' '.join(arguments)}", flush=True)
        code = subprocess.run([sys.executable, "-m", "sentry_audit", *arguments], cwd=ROOT, check=False).returncode
    if code != GAPS:
        print(f"expected exit code {GAPS}, got {code}", file=sys.stderr)
        return code or GAPS
    print("(exit code 1: the example has gaps, on purpose)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
