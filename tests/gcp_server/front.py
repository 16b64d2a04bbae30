"""The one port: tells protocols apart by a connection's first bytes, and can reset a connection.

It passes bytes on to what speaks the protocol, over loopback, in one thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

HTTP2 = b"PRI * HTTP/2.0"


class Front:
    """Listens on 127.0.0.1; ``grpc_port`` and ``http_port`` are where HTTP/2 and HTTP/1.1 go."""

    def __init__(self, grpc_port: int, http_port: int = 0, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.silent = False
        self._targets = (grpc_port, http_port)
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._by_port: dict[int, Incoming] = {}
        self.connections: set[Incoming] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gcp-server-front", daemon=True)
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(port), self._loop).result(10)

    async def _listen(self, port: int) -> int:
        self._server = await self._loop.create_server(
            lambda: Incoming(self), "127.0.0.1", port, ssl=self._tls, backlog=512
        )
        return int(self._server.sockets[0].getsockname()[1])

    def target(self, start: bytes) -> int:
        """The port that a connection goes on to, by its first bytes."""
        return self._targets[0] if start.startswith(HTTP2) else self._targets[1]

    def add(self, port: int, incoming: Incoming) -> None:
        self._by_port[port] = incoming

    def remove(self, port: int) -> None:
        self._by_port.pop(port, None)

    def reset(self, port: int) -> None:
        """Reset the connection that came on from this local ``port``."""
        self._loop.call_soon_threadsafe(lambda: self._by_port[port].reset() if port in self._by_port else None)

    def close(self) -> None:
        """Stop listening, and close what is open."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        for incoming in list(self.connections):
            incoming.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


class Incoming(asyncio.Protocol):
    """A connection from outside; what arrives before the way on is open waits in ``_start``."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._start = b""
        self._task: asyncio.Task[None] | None = None
        self._onward: asyncio.Transport | None = None
        self._port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._front.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._front.silent:
            return
        if self._onward is not None:
            self._onward.write(data)
            return
        self._start += data
        if self._task is None and len(self._start) >= len(HTTP2):
            self._task = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            port = self._front.target(self._start)
            onward, _ = await loop.create_connection(lambda: Outgoing(self.transport), "127.0.0.1", port)
        except OSError:
            self.abort()
            return
        self._port = onward.get_extra_info("sockname")[1]
        self._front.add(self._port, self)
        self._onward = onward
        onward.write(self._start)
        if self.transport.is_closing():
            self.connection_lost(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._front.connections.discard(self)
        self._front.remove(self._port)
        if self._onward is not None:
            self._onward.close()

    def reset(self) -> None:
        """Close with RST in place of FIN: no lingering (socket(7), SO_LINGER)."""
        raw = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    def abort(self) -> None:
        self.transport.abort()
        if self._onward is not None:
            self._onward.abort()


class Outgoing(asyncio.Protocol):
    """The way on, and back."""

    def __init__(self, back: asyncio.Transport) -> None:
        self._back = back

    def data_received(self, data: bytes) -> None:
        self._back.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._back.close()
