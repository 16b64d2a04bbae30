"""The server: gRPC and REST, on one port of 127.0.0.1."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from .calls import Calls, HangError, MalformedError, ResetError
from .errors import RefusedError
from .front import Front
from .rest import Rest, http_server

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from .state import State

#: No message of any kind: a length-delimited field that is longer than the message.
NO_MESSAGE = b"\x0a\xff\xff\xff\x07"


class GcpServer(Calls):
    """``with GcpServer(state) as server:`` serves a state at ``server.endpoint`` until the block ends.

    ``workers`` bounds the calls in flight, ``streams`` those of one connection (Google's front ends: 100); with
    ``tls`` the port speaks TLS alone.
    """

    def __init__(
        self,
        state: State,
        *,
        port: int = 0,
        workers: int = 160,
        streams: int = 100,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(state)
        self._wanted_port, self._workers, self._streams, self._tls = port, workers, streams, tls
        self._stopping = threading.Event()

    @property
    def endpoint(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self._front.port}"

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "silent" and "_front" in self.__dict__:
            self._front.silent = bool(value)

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="gcp-server")
        options = [("grpc.max_concurrent_streams", self._streams), ("grpc.so_reuseport", 0)]
        self._grpc = grpc.server(self._pool, handlers=[_Handlers(self)], options=options)
        port = self._grpc.add_insecure_port("127.0.0.1:0")
        self._grpc.start()
        self._http = http_server(Rest(self), self._reset, self._stopping.wait)
        threading.Thread(target=self._http.serve_forever, args=(0.05,), name="gcp-server-rest", daemon=True).start()
        self._front = Front(port, self._http.server_address[1], self._wanted_port, self._tls)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._front.close()
        self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(0).wait()
        self._pool.shutdown(cancel_futures=True)

    def serve(self, method: str, data: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer one gRPC call."""
        try:
            request = self.methods[method].request.FromString(data)
        except DecodeError:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The request is no message of its type.")
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        try:
            return bytes(self.answer(method, request, metadata).SerializeToString())
        except RefusedError as refused:
            context.abort_with_status(rpc_status.to_status(refused.status()))
        except MalformedError:
            return NO_MESSAGE
        except ResetError:
            self._reset(int(context.peer().rpartition(":")[2]))
        except HangError:
            pass
        self._wait(context)
        return b""

    def _reset(self, port: int) -> None:
        self._front.reset(port)

    def _wait(self, context: grpc.ServicerContext) -> None:
        """Until the caller gives up, or the server stops."""
        gone = threading.Event()
        if context.add_callback(gone.set):
            while not gone.wait(0.05) and not self._stopping.is_set():
                pass


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc comes without types
    """Every method of the table, with requests and answers as bytes."""

    def __init__(self, server: GcpServer) -> None:
        self._server = server

    def service(self, call: grpc.HandlerCallDetails) -> Any:
        """The handler of a call; None if there is no such method."""
        method = call.method.removeprefix("/")
        if method not in self._server.methods or self._server.methods[method].rest:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda data, context: self._server.serve(method, data, context))
