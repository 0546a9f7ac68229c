"""A TCP proxy before an S3 endpoint that keeps each GET of a photograph waiting, as a distant store would.

One process of its own, all waits side by side in one event loop: neither does a wait cost processor time, nor does one
hold up another. Requests pass as they are, signatures and all, since the proxy's address is the one they were signed
for. Each costs about 0.1 ms of one core, which is taken from what is measured.
"""

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from urllib.parse import urlsplit


@contextmanager
def slow_gets(endpoint: str, path: str, seconds: float) -> Iterator[str]:
    """Another endpoint for the same store, where GETs of keys that begin with `path` take so much longer.

    Parameters
    ----------
    endpoint
        Such as http://127.0.0.1:1234.
    path
        Bucket and key prefix, as they stand in the request line after the first slash.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(endpoint, f"GET /{path}".encode(), seconds, sender), daemon=True)
    process.start()
    sender.close()
    try:
        yield f"http://127.0.0.1:{receiver.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(endpoint: str, slow: bytes, seconds: float, sender: Connection) -> None:
    asyncio.run(_serve_until_terminated(endpoint, slow, seconds, sender))


async def _serve_until_terminated(endpoint: str, slow: bytes, seconds: float, sender: Connection) -> None:
    loop = asyncio.get_running_loop()
    behind = urlsplit(endpoint)

    def connected() -> _Front:
        return _Front(str(behind.hostname), int(behind.port or 80), slow, seconds)

    server = await loop.create_server(connected, "127.0.0.1", 0, backlog=1024)
    sender.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


class _End(asyncio.Protocol):
    """One of the two connections; what the other cannot take yet is not read."""

    transport: asyncio.Transport
    other: "_End | None" = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (narrows for the type checker)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()


class _Back(_End):
    """To the store."""

    def __init__(self, front: "_Front") -> None:
        self.other = front

    def data_received(self, data: bytes) -> None:
        assert self.other is not None  # noqa: S101 (narrows for the type checker)
        self.other.transport.write(data)


class _Front(_End):
    """To a client. HTTP/1.1 without pipelining: a request begins a chunk, and none follows before its answer."""

    def __init__(self, host: str, port: int, slow: bytes, seconds: float) -> None:
        self._address = (host, port)
        self._slow = slow
        self._seconds = seconds
        # What waits for the connection behind, or for its time to come; None: nothing does.
        self._waiting: bytearray | None = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            _, back = await asyncio.get_running_loop().create_connection(lambda: _Back(self), *self._address)
        except OSError:
            self.transport.abort()
            return
        self.other = back
        came, self._waiting = bytes(self._waiting or b""), None
        if self.transport.is_closing():
            back.transport.close()
        elif came:
            self.data_received(came)

    def data_received(self, data: bytes) -> None:
        if self._waiting is not None:
            self._waiting += data
        elif data.startswith(self._slow):
            self._waiting = bytearray(data)
            asyncio.get_running_loop().call_later(self._seconds, self._release)
        else:
            self._pass_on(data)

    def _release(self) -> None:
        came, self._waiting = bytes(self._waiting or b""), None
        self._pass_on(came)

    def _pass_on(self, data: bytes) -> None:
        assert self.other is not None  # noqa: S101 (narrows for the type checker)
        self.other.transport.write(data)
