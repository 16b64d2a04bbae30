"""Serve a world: ``python -m tests.gcp_server FILE.yaml [--port N] [--print-endpoint]``.

Prints ``listening on 127.0.0.1:PORT`` (or the endpoint alone), and runs until SIGTERM or SIGINT, or until the process
that started it ends.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path


def main() -> int:
    """Serve until told to stop; gives the exit code."""
    parent = os.getppid()
    options = _arguments()
    from .server import GcpServer
    from .world import WorldError, load

    try:
        state = load(options.file)
    except WorldError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with GcpServer(state, port=options.port) as server:
        line = server.endpoint if options.print_endpoint else f"listening on {server.endpoint}"
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        while not stop.wait(0.2) and os.getppid() == parent:
            pass
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.gcp_server", description="A loopback Google Cloud.")
    parser.add_argument("file", type=Path, help="the world, a YAML file")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--print-endpoint", action="store_true", help="print 127.0.0.1:PORT and nothing else")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
