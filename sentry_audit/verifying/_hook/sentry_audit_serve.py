"""Serves a WSGI application with Python's own server: ``python -m sentry_audit_serve module:attribute port``."""

import importlib
import os
import socketserver
import sys
import wsgiref.simple_server


class _Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class _Handler(wsgiref.simple_server.WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]  # no name is asked for


def main():
    """Import it, call it if it is a factory, and serve until the end."""
    sys.path.insert(0, os.getcwd())
    name, _, attribute = sys.argv[1].partition(":")
    found = importlib.import_module(name)
    for part in attribute.split("."):
        found = getattr(found, part)
    if type(found).__name__ == "function" and found.__code__.co_argcount == len(found.__defaults__ or ()):
        found = found()
    with wsgiref.simple_server.make_server("127.0.0.1", int(sys.argv[2]), found, _Server, _Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
