"""Sends tasks that fail to a Celery worker, from inside it, when it is told to: one line on a socket of this machine each."""

import json
import socketserver
import threading

import sentry_audit_harness as harness
from sentry_audit_hook import record

NAME = "sentry_audit.boom"
_tasks = {}


def watch(module):
    """Register the task before the worker reads which there are, and listen once it is ready."""
    module.worker_init.connect(_register, weak=False)
    module.worker_ready.connect(_listen, weak=False)
    module.task_postrun.connect(_ended, weak=False)


def _ended(sender=None, **_):
    if getattr(sender, "name", "") == NAME:
        record("task-ended")


def _register(sender=None, **_):
    app = getattr(sender, "app", None)
    if app is None:
        return

    @app.task(name=NAME)
    def boom(probe):
        harness.boom(probe)

    _tasks["app"] = app
    record("harness", framework="celery")


def _listen(sender=None, **_):
    app = _tasks.get("app") or sender.app

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            for line in self.rfile:
                app.send_task(NAME, args=[json.loads(line)["probe"]])
                self.wfile.write(b"sent\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    record("control", port=server.server_address[1])
