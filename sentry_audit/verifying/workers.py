"""Drives a Celery worker: its own process, with a broker in its memory, is told to send itself tasks that fail."""

from __future__ import annotations

import json
import secrets
import socket
from typing import TYPE_CHECKING

from sentry_audit.seen import Probe

if TYPE_CHECKING:
    from sentry_audit.seen import Stop
    from sentry_audit.verifying.driving import Driver


def drive(driver: Driver, timeout: float, *, to_the_end: bool) -> tuple[str, Stop | None]:
    """(why it did not start, how it ended); the probes are the driver's. ``to_the_end``: also what is lost then."""
    process = driver.process

    def control() -> int:
        process.fresh()
        return next((int(item["port"]) for item in process.known if item.get("kind") == "control"), 0)

    if failure := process.wait(lambda: bool(control()), timeout):
        return failure, None
    port = control()
    driver.about = {"framework": "celery"}

    def send(number: str) -> bool:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(json.dumps({"probe": number}).encode() + b"\n")
            return bool(connection.recv(16))

    number = secrets.token_hex(8)
    process.fresh()
    trouble = ""
    try:
        send(number)
    except OSError as error:
        trouble = f"no task could be sent to it ({error.strerror or type(error).__name__})"
    process.wait(lambda: any(item.get("kind") == "task-ended" for item in [*process.known, *process.fresh()]), 10)
    driver.sink.wait(lambda: any(number in item.text for item in driver.sent() if item.type == "event"), 2)
    process.fresh()
    probe = Probe(name="error", id=number, what="an error in a task", trouble=trouble)
    driver.probes.append(probe)
    return "", driver.stop(send) if to_the_end else None
