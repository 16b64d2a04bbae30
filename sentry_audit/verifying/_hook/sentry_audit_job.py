"""Runs a job to its end, and raises an error there: ``python -m sentry_audit_job script.py …`` or ``… -m module …``.

The error goes the way of any that the job does not catch: through ``sys.excepthook``, and what the SDK does at exit. A job
that does not end within ``job_seconds`` is interrupted by it, if it came to its init by then, and else a little later: a
machine may be slow to import. Only the standard library; Python 3.8.
"""

import os
import runpy
import signal
import sys
import time

import sentry_audit_harness as harness
from sentry_audit_hook import CONFIG, hidden, record, recorded

#: Seconds between the first interruption and the next ones, for jobs that swallow it.
_AGAIN = 1.0
#: Seconds more for a job that did not come to its init yet.
_LONGER = 8.0
_start = time.monotonic()


def _interrupt(*_):
    if "init" not in recorded and time.monotonic() < _start + CONFIG["job_seconds"] + _LONGER:
        return
    record("job-interrupted")
    harness.boom(CONFIG["job"])


def _run():
    words = sys.argv[1:]
    if words[0] == "-m":
        sys.path.insert(0, os.getcwd())
        sys.argv = [words[1], *words[2:]]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        sys.path.insert(0, os.path.dirname(os.path.abspath(words[0])))
        runpy.run_path(words[0], run_name="__main__")


def main():
    """Run it; whatever comes of that, raise the error of verify at its end."""
    sys.path[:] = [item for item in sys.path if item not in ("", os.getcwd())]
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, CONFIG["job_seconds"], _AGAIN)
    try:
        try:
            _run()
        except SystemExit as ended:
            said = "" if ended.code is None or isinstance(ended.code, int) else hidden(ended.code)[:200]
            record("job-ended", code=1 if said else ended.code, said=said)
        except harness.SentryAuditError:
            raise
        except Exception as error:
            record("job-ended", error=type(error).__name__, said=hidden(error)[:200])
            raise
        else:
            record("job-ended", code=0)
        harness.boom(CONFIG["job"])
    except harness.SentryAuditError:
        _disarm()
        raise
    except Exception as error:
        _disarm()
        raise harness.SentryAuditError("sentry-audit " + CONFIG["job"]) from error


def _disarm():
    if hasattr(signal, "SIGALRM"):
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
