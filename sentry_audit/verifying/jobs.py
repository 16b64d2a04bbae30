"""Runs a job to its end, where the hook raises an error, and keeps what came of it."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from sentry_audit.seen import Probe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_audit.verifying.driving import Driver

#: Seconds that a job may run, before the error is raised in its midst, and then to its end.
SECONDS, _GRACE = 15.0, 10.0


def order(timeout: float) -> dict[str, Any]:
    """What the hook is told: the number of the error, and the seconds after which it interrupts the job."""
    return {"job": secrets.token_hex(8), "job_seconds": min(timeout, SECONDS)}


def drive(driver: Driver, job: Mapping[str, Any]) -> str:
    """Why nothing can be said of it, ``""`` if something can; the probe is the driver's. ``job`` is what the hook was told."""
    process, number, seconds = driver.process, str(job["job"]), float(job["job_seconds"])
    driver.about = {"framework": ""}
    end = time.monotonic() + seconds + _GRACE
    while process.code is None and time.monotonic() < end:
        process.fresh()
        time.sleep(0.05)
    process.fresh()
    kinds = {str(item.get("kind")): item for item in process.known}
    ended = kinds.get("job-ended", {})
    if "job-interrupted" not in kinds and not ended:
        told = (
            f"ended with {process.code}"
            if process.code is not None
            else f"did not end within {seconds + _GRACE:g} seconds"
        )
        return f"it {told}, and not at its own end: {process.last()}"
    if "init" not in kinds and "init-raised" not in kinds and (ended.get("error") or ended.get("code")):
        said = f": {ended['said']}" if ended.get("said") else ""
        return f"it ended with {ended.get('error') or ended.get('code')} before it came to init{said}"
    driver.sink.wait(lambda: any(number in item.text for item in driver.sent() if item.type == "event"), 2)
    what = "an error that nothing catches, at the end of the job"
    if ended.get("error"):
        what = f"an error of the job's own ({ended['error']})"
    elif "job-interrupted" in kinds:
        what = f"an error that nothing catches, after {seconds:g} seconds of the job"
    elif ended.get("code"):
        what += f", which ended with {ended['code']}"
    driver.probes.append(Probe(name="error", id=number, what=what))
    return ""
