"""Runs in the application's own interpreter, before anything of the application: watches the SDK, and keeps it on this machine.

Python imports it by itself, because its folder is on ``PYTHONPATH``. It writes what it sees, one JSON object a line, into
the file that ``SENTRY_AUDIT_VERIFY`` names, with the receiver's DSN. A DSN that the application gives the SDK is replaced
by that one; an empty one stays empty. Only the standard library, and the syntax of Python 3.8: any interpreter may run it.
"""

from __future__ import annotations

import errno
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import re
import socket
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = json.loads(os.environ.get("SENTRY_AUDIT_VERIFY") or "{}")
_LOOPBACK = re.compile(r"^(127\.|localhost$|.*\.localhost$|::1$|::ffff:127\.|0\.0\.0\.0$|::$|$)")
_NUMERIC = re.compile(r"^([\d.]+|[0-9a-fA-F:]*:[0-9a-fA-F:.%\w]*)$")
_PROBE = re.compile(r"sentry-audit ([0-9a-f]{16})")
_KEY = re.compile(r"(https?://)[^@/\s]+@")
#: What is done with a module once it has run, by its name; the harness adds to it.
AFTER = {}
#: The kinds of what was recorded.
recorded = set()
_inside = threading.local()
#: Files of variables that the application opened itself.
_dotenvs = []


def record(kind, **fields):
    """Write one line; a verdict must not depend on it, so it never fails."""
    recorded.add(kind)
    path = CONFIG.get("records")
    if not path:
        return
    if getattr(_inside, "probe", ""):
        fields["probe"] = _inside.probe
    try:
        line = json.dumps(dict(fields, kind=kind, pid=os.getpid()), default=repr) + "\n"
        _inside.on = True
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode("utf-8", "replace"))
        finally:
            os.close(handle)
    except Exception:  # noqa: BLE001, S110
        pass
    finally:
        _inside.on = False


def hidden(text):
    """``text`` without the keys of DSNs."""
    return _KEY.sub(r"\1…@", str(text))


def site():
    """Where the application called: the first frame that is neither the SDK's nor ours, as (file, line)."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(HERE) and "sentry_sdk" + os.sep not in name and not name.startswith("<"):
            return [name, frame.f_lineno]
        frame = frame.f_back
    return ["", 0]


# --- nothing leaves this machine ------------------------------------------------------------------


def _host(address):
    if isinstance(address, tuple) and address:
        host = address[0]
        return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    return ""


def _is_here(host):
    return bool(_LOOPBACK.match(host)) or host.lower() == socket.gethostname().lower()


def _guard(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1] if len(arguments) > 1 else None
        if isinstance(address, tuple) and not _is_here(_host(address)):
            record("blocked", host=_host(address), port=address[1], how=event)
            raise OSError(errno.ENETUNREACH, "sentry-audit verify lets nothing leave this machine")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        name = arguments[0] if arguments else None
        name = name.decode("ascii", "replace") if isinstance(name, bytes) else str(name or "")
        if not _is_here(name) and not _NUMERIC.match(name):
            port = arguments[1] if len(arguments) > 1 else None
            record("blocked", host=name, port=port, how=event)
            raise socket.gaierror(socket.EAI_AGAIN, "sentry-audit verify lets nothing leave this machine")
    elif event == "open" and not getattr(_inside, "on", False):
        path = arguments[0]
        if isinstance(path, str) and ".env" in os.path.basename(path) and os.path.abspath(path) not in _dotenvs:
            _dotenvs.append(os.path.abspath(path))
    elif event == "socket.bind":
        address = arguments[1] if len(arguments) > 1 else None
        if isinstance(address, tuple) and len(address) > 1 and address[1]:
            record("bind", host=_host(address), port=address[1])


def _connect_ex(self, address):
    try:
        return _plain_connect_ex(self, address)
    except OSError as error:
        return error.errno or errno.ENETUNREACH


_plain_connect_ex = socket.socket.connect_ex


# --- modules that are looked at once they have run --------------------------------------------------


def _from_uvicorn():
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("uvicorn."):
            return True
        frame = frame.f_back
    return False


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in CONFIG.get("absent", ()):
            record("absent", module=name)
            raise ModuleNotFoundError("No module named %r" % name, name=name)
        if name == "uvloop" and _from_uvicorn():  # its sockets are not Python's, and could not be watched
            raise ModuleNotFoundError("No module named 'uvloop'", name=name)
        after = AFTER.get(name) or (_watch_integrations if name.startswith("sentry_sdk.integrations.") else None)
        if after is None or getattr(_inside, "finding", None) == name:
            return None
        _inside.finding = name
        try:
            spec = importlib.util.find_spec(name)
        finally:
            _inside.finding = None
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return None
        spec.loader = _Loader(spec.loader, after)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader, after):
        self.loader = loader
        self.after = after

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.loader.exec_module(module)
        try:
            self.after(module)
        except Exception as error:  # noqa: BLE001 - the application must start as it does without us
            record("hook-failed", module=module.__name__, error="%s: %s" % (type(error).__name__, error))


# --- the SDK --------------------------------------------------------------------------------------


def _watch_client(module):
    import sentry_sdk.consts

    client = module._Client
    record("sdk", version=sentry_sdk.consts.VERSION)
    plain_init, plain_impl = client.__init__, client._init_impl

    def __init__(self, *args, **kwargs):
        try:
            plain_init(self, *args, **kwargs)
        except BaseException as error:
            where = site()
            record("init-raised", error=type(error).__name__, message=hidden(error), file=where[0], line=where[1])
            raise

    def _init_impl(self):
        options = self.options
        dsn = options.get("dsn")
        given = str(dsn).strip() if dsn else ""
        seen = {"had_dsn": bool(dsn), "valid": True, "host": "", "variable": "", "file": "", "line": 0}
        seen["file"], seen["line"] = site()
        if dsn:
            try:
                parsed = _dsn_class()(dsn)
                if (
                    "org_id" in options
                    and not options["org_id"]
                    and (found := re.match(r"o(\d+)\.", parsed.host or ""))
                ):
                    options["org_id"] = found.group(1)
                seen["host"], seen["project"] = parsed.host, str(parsed.project_id)
                seen["variable"] = next((n for n, v in CONFIG.get("dsns", {}).items() if v == given), "")
                seen["dotenv"] = "" if seen["variable"] else next((p for p in _dotenvs if _holds(p, given)), "")
                options["dsn"] = CONFIG["dsn"]
            except Exception:  # noqa: BLE001 - the SDK says what is wrong with it
                seen["valid"] = False
        if options.get("spotlight"):
            options["spotlight"] = None
        for name in ("http_proxy", "https_proxy"):
            if options.get(name):
                options[name] = None
        for name in ("before_send", "before_send_transaction", "before_breadcrumb"):
            if callable(options.get(name)):
                options[name] = _hook(name, options[name])
        plain_impl(self)
        _told(self, options, seen)

    client.__init__, client._init_impl = __init__, _init_impl
    _watch_capture(client)


def _watch_integrations(module):
    """Say when an integration cannot be made: init is then never called."""
    from sentry_sdk.integrations import Integration

    for found in list(vars(module).values()):
        if isinstance(found, type) and issubclass(found, Integration) and "__init__" in vars(found):
            found.__init__ = _told_when_raised(found.__init__)


def _told_when_raised(plain):
    import functools

    @functools.wraps(plain)
    def __init__(self, *args, **kwargs):
        try:
            plain(self, *args, **kwargs)
        except BaseException as error:
            where = site()
            record("init-raised", error=type(error).__name__, message=hidden(error), file=where[0], line=where[1])
            raise

    return __init__


def _holds(path, text):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return text in file.read()
    except OSError:
        return False


def _dsn_class():
    from sentry_sdk.utils import Dsn

    return Dsn


def _told(client, options, seen):
    """Record what an init came to."""
    transport = client.transport
    if transport is not None and hasattr(transport, "record_lost_event"):
        plain = transport.record_lost_event

        def record_lost_event(reason, data_category=None, *args, **kwargs):
            record("lost", reason=reason, category=str(data_category))
            return plain(reason, data_category, *args, **kwargs)

        transport.record_lost_event = record_lost_event
    kept = ("environment", "release", "sample_rate", "traces_sample_rate", "send_default_pii", "default_integrations")
    record(
        "init",
        transport=type(transport).__name__ if transport is not None else "",
        integrations=sorted(getattr(client, "integrations", None) or ()),
        traces_sampler=callable(options.get("traces_sampler")),
        before_send=getattr(options.get("before_send"), "name", ""),
        **dict(seen, **{name: options.get(name) for name in kept}),
    )


class _hook:
    """A before_send that says when it drops an event."""

    def __init__(self, option, function):
        self.option = option
        self.function = function
        code = getattr(function, "__code__", None)
        self.name = getattr(function, "__name__", type(function).__name__)
        self.place = [code.co_filename, code.co_firstlineno] if code else ["", 0]

    def __call__(self, event, hint):
        try:
            kept = self.function(event, hint)
        except BaseException as error:
            record("hook-raised", option=self.option, name=self.name, error=type(error).__name__, message=hidden(error),
                   file=self.place[0], line=self.place[1])  # fmt: skip
            raise
        if kept is None and self.option != "before_breadcrumb":
            record("hook-dropped", option=self.option, name=self.name, file=self.place[0], line=self.place[1])
        return kept


def _watch_capture(client):
    plain = client.capture_event

    def capture_event(self, event, *args, **kwargs):
        if not isinstance(event, dict) or event.get("type") == "transaction":
            return plain(self, event, *args, **kwargs)
        values = (event.get("exception") or {}).get("values") or [{}]
        found = _PROBE.search(" ".join(str(item.get("value")) for item in values))
        _inside.probe = found.group(1) if found else ""
        try:
            kept = plain(self, event, *args, **kwargs)
            record("captured", exception=values[-1].get("type"), sent=bool(kept), transport=self.transport is not None)
        finally:
            _inside.probe = ""
        return kept

    client.capture_event = capture_event
    ignored = getattr(client, "_is_ignored_error", None)
    if ignored is not None:

        def _is_ignored_error(self, event, hint):
            found = ignored(self, event, hint)
            if found:
                record("ignored")
            return found

        client._is_ignored_error = _is_ignored_error


# --- the application's own sitecustomize -------------------------------------------------------------


def _go_on():
    """Run the ``sitecustomize`` that Python would have found without us."""
    places = [item for item in sys.path if os.path.abspath(item or ".") != HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", places)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def _start():
    AFTER["sentry_sdk.client"] = _watch_client
    sys.modules["sentry_audit_hook"] = sys.modules[__name__]
    record("hello", python=list(sys.version_info[:3]))
    sys.addaudithook(_guard)
    socket.socket.connect_ex = _connect_ex
    import sentry_audit_harness

    AFTER.update(sentry_audit_harness.AFTER)
    sys.meta_path.insert(0, _Finder())


if CONFIG:
    try:
        _start()
    except Exception as error:  # noqa: BLE001 - without a hello nothing is judged
        record("hook-failed", module="sitecustomize", error="%s: %s" % (type(error).__name__, error))
_go_on()
