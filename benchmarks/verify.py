"""How long ``verify`` takes, as a ratio against the server that the application is deployed with, in the same run.

Usage: ``python benchmarks/verify.py [--times 5]``. For each application of tests/apps that answers HTTP, the best of the runs,
taking turns:

- ``sentry-audit verify --yes`` with every proof, as a whole process (Python's start and the report included);
- uvicorn or gunicorn with the same application: from its start to its first answer, then SIGTERM, until it has ended.

The difference is what proving costs beyond booting: the audit before, the drive, what is awaited at the end, the report.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from sentry_audit.verifying.booting import free_port

APPS = Path(__file__).parent.parent / "tests" / "apps"
#: What each application is deployed with; ``{port}`` is one that is free.
SERVERS = {
    "fastapi": ["uvicorn", "app.main:app", "--port", "{port}"],
    "flask": ["gunicorn", "shop:app", "--bind", "127.0.0.1:{port}"],
    "django": ["gunicorn", "site_.wsgi:application", "--bind", "127.0.0.1:{port}"],
}
#: A verify of the FastAPI application takes less, in seconds.
LIMIT = 10.0


def verified(folder: Path) -> float:
    """Seconds of a whole ``verify`` of ``folder``, which has to be green."""
    command = [sys.executable, "-m", "sentry_audit", "verify", str(folder), "--env", "staging", "--yes"]
    start = time.perf_counter()
    done = subprocess.run(
        [*command, "--python", sys.executable], capture_output=True, text=True, check=False, timeout=120
    )
    took = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return took


def answered(folder: Path, server: list[str]) -> float:
    """Seconds from the start of ``server`` in ``folder`` over one answer to its end."""
    port = free_port()
    words = [word.format(port=port) for word in server]
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while not _answers(f"http://127.0.0.1:{port}/"):
            if process.poll() is not None or time.perf_counter() - start > 60:
                raise SystemExit(f"{' '.join(words)} does not come up in {folder}")
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    return time.perf_counter() - start


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=10).close()
    except urllib.error.HTTPError:  # an answer as well
        return True
    except OSError:
        return False
    return True


def main() -> None:
    """Read the command line, and say what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as place:
        for name, server in SERVERS.items():
            folder = Path(place) / name
            shutil.copytree(APPS / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
            rounds = [(verified(folder), answered(folder, server)) for _ in range(times)]
            ours, theirs = min(item[0] for item in rounds), min(item[1] for item in rounds)
            verdict = f" (limit {LIMIT:g} s)  {'ok' if ours <= LIMIT else 'TOO SLOW'}" if name == "fastapi" else ""
            print(f"verify of {name}: {ours:.2f} s, {server[0]}: {theirs:.2f} s = {ours / theirs:.1f}x{verdict}")


if __name__ == "__main__":
    main()
