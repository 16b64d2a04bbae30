"""A surrounding in which programs find Google Cloud here without being told: TLS, and a proxy that maps Google's hosts.

``with Rig(server_state) as rig: subprocess.run(…, env=rig.env)``. The program runs as a made-up service account whose
e-mail address is ``rig.email``. Hosts that are not Google's are refused, and kept in ``rig.refused``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import ssl
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .server import GcpServer

if TYPE_CHECKING:
    from types import TracebackType

    from .state import State

HOSTS = {
    f"{name}.googleapis.com"
    for name in ("secretmanager", "run", "cloudresourcemanager", "iamcredentials", "oauth2", "sts")
}
#: Cloud Run's endpoints of single regions, which gcloud asks.
REGIONAL = re.compile(r"[a-z0-9-]+-run\.googleapis\.com")


class Proxy:
    """An HTTP proxy that knows CONNECT alone; ``refused`` are the hosts that it does not know."""

    def __init__(self, target: int) -> None:
        self.refused: list[str] = []
        self.reached: list[str] = []
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gcp-server-proxy", daemon=True)
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            verb, place, *_ = head.decode("latin-1").split()
            host = place.rpartition(":")[0] if verb == "CONNECT" else place
            if host not in HOSTS and not REGIONAL.fullmatch(host):
                self.refused.append(host)
                writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                await writer.drain()
                return
            self.reached.append(host)
            onward_reader, onward = await asyncio.open_connection("127.0.0.1", self._target)
            self._open.add(onward)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(self._pump(reader, onward), self._pump(onward_reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        self._open.discard(writer)
        writer.close()

    def close(self) -> None:
        """Stop listening, and close what is open."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


class Rig:
    """A server with TLS, the proxy in front of it, and the environment that leads there.

    ``env`` is a whole environment: nothing of this process's but PATH and the language is in it.
    """

    def __init__(self, state: State, email: str = "auditor@fictitious.iam.gserviceaccount.com") -> None:
        self.email = email
        self._state = state
        state.anonymous = None
        state.identities.setdefault(email, "*")

    @property
    def refused(self) -> list[str]:
        """Hosts that were asked for and are not Google Cloud's."""
        return self._proxy.refused

    @property
    def reached(self) -> list[str]:
        """Google's hosts that were asked for."""
        return self._proxy.reached

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="gcp-server-")
        folder = Path(self._folder.name)
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        names = ("*.googleapis.com", "*.rep.googleapis.com", "localhost", "127.0.0.1")
        authority.issue_cert(*names, key_type=trustme.KeyType.ECDSA).configure_cert(context)
        context.set_alpn_protocols(["h2", "http/1.1"])
        authority.cert_pem.write_to_path(folder / "ca.pem")
        (folder / "key.json").write_text(json.dumps(service_account_key(self.email)), encoding="utf-8")
        self.server = GcpServer(self._state, tls=context).__enter__()
        self._proxy = Proxy(int(self.server.endpoint.rpartition(":")[2]))
        self.env = self._env(folder)
        return self

    def _env(self, folder: Path) -> dict[str, str]:
        proxy = f"http://127.0.0.1:{self._proxy.port}"
        return {
            "PATH": os.environ["PATH"],
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "HOME": str(folder),
            "CLOUDSDK_CONFIG": str(folder / "gcloud"),
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(folder / "ca.pem"),
            "REQUESTS_CA_BUNDLE": str(folder / "ca.pem"),
            "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": str(folder / "ca.pem"),
            "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "key.json"),
            "NO_GCE_CHECK": "true",
        }

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._proxy.close()
        self.server.__exit__(kind, error, trace)
        self._folder.cleanup()


def service_account_key(email: str) -> dict[str, Any]:
    """A key file of a service account that does not exist."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account",
        "project_id": "fictitious",
        "private_key_id": "0" * 40,
        "private_key": pem.decode(),
        "client_email": email,
        "client_id": "0" * 21,
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    }
