"""A proxy between every client of the store and the store: it is where faults come in, and where we know what happens.

Everything that a stream does to the outside passes here as an HTTP request, whichever of its processes sends it. So it
is here that a test can be sure of a moment ("the commit has landed, and its answer has not been heard"), and here that
answers are lost, delayed and cut short.

Requests are handed on as they came, with their `Host`, so that AWS signatures stay valid.
"""

import hashlib
import http.client
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Literal
from urllib.parse import unquote, urlsplit

Phase = Literal["before", "after"]
"""Whether the store has not heard of a request yet, or has answered it and the client has not heard of that."""
Fault = Literal["500", "503", "reset before", "reset after", "stall", "cut"]
FAULTS: tuple[Fault, ...] = ("500", "503", "reset before", "reset after", "stall", "cut")
_ERRORS = {"500": ("InternalError", "500 Internal Server Error"), "503": ("SlowDown", "503 Slow Down")}
_UPSTREAM_SECONDS = 60.0
# Between the two sides, but not through a proxy: these belong to one connection.
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}


@dataclass(frozen=True)
class Request:
    """What a client asks."""

    method: str
    key: str
    """Below the bucket, decoded; with the query string where there is one."""
    number: int
    """How many came before it, of all, plus one."""
    occurrence: int
    """How many of the same method and key came before it, plus one."""


Hook = Callable[[Request, Phase], bool]
"""Called twice for each request that gets through; it may kill, pause, or wait, and tells whether all goes on."""


@dataclass(frozen=True)
class Odds:
    """Faults by chance, the same for the same seed, request and occurrence, in whatever order requests come."""

    seed: int
    probability: float
    stall_seconds: float = 2.0

    def draw(self, request: Request) -> Fault | None:
        """The fault that this request meets."""
        what = f"{self.seed} {request.method} {request.key} {request.occurrence}"
        number = int.from_bytes(hashlib.sha256(what.encode()).digest()[:8]) / 2**64
        if number >= self.probability:
            return None
        return FAULTS[int(number / self.probability * len(FAULTS))]


@dataclass
class Faults:
    """The proxy, to be changed while it runs.

    Attributes
    ----------
    upstream
        Host and port of the store behind; None while there is none, and connections are reset.
    odds
        Faults by chance; None for none.
    hook
        Told of every request.
    met
        Faults given so far, by kind.
    """

    upstream: str | None
    odds: Odds | None = None
    hook: Hook | None = None
    met: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    endpoint: str = ""

    def __post_init__(self) -> None:
        self._lock = Lock()
        self._occurrences: Counter[tuple[str, str]] = Counter()

    def enter(self, method: str, target: str) -> tuple[Request, Fault | None]:
        """Number a request and decide its fate."""
        parts = urlsplit(target)
        key = unquote(parts.path).removeprefix("/").partition("/")[2] + (f"?{parts.query}" if parts.query else "")
        with self._lock:
            self.requests += 1
            self._occurrences[method, key] += 1
            request = Request(method, key, self.requests, self._occurrences[method, key])
            fault = self.odds.draw(request) if self.odds else None
            if fault:
                self.met[fault] += 1
        return request, fault

    def goes_on(self, request: Request, phase: Phase) -> bool:
        """Tell the hook; False where request or answer is lost."""
        return self.hook is None or self.hook(request, phase)

    @contextmanager
    def calm(self) -> Iterator[None]:
        """No faults, and nobody told, for as long as this lasts."""
        odds, hook = self.odds, self.hook
        self.odds = self.hook = None
        try:
            yield
        finally:
            self.odds, self.hook = odds, hook


@contextmanager
def proxy(upstream: str) -> Iterator[Faults]:
    """Run a proxy on a free port of the loopback."""
    faults = Faults(upstream.removeprefix("http://"))

    handler = type("Handler", (_Handler,), {"faults": faults})
    with _Server(("127.0.0.1", 0), handler) as server:
        faults.endpoint = f"http://127.0.0.1:{server.server_port}"
        serving = Thread(target=server.serve_forever, name="proxy", daemon=True)
        serving.start()
        try:
            yield faults
        finally:
            server.shutdown()
            serving.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle is what this is all about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faults: Faults
    disable_nagle_algorithm = True

    def _pass(self) -> None:
        body = self._body()
        request, fault = self.faults.enter(self.command, self.path)
        match fault:
            case "500" | "503":
                return self._refuse(*_ERRORS[fault])
            case "reset before":
                return self._reset()
            case "stall":
                assert self.faults.odds
                time.sleep(self.faults.odds.stall_seconds)
        if not self.faults.goes_on(request, "before"):
            return self._reset()
        try:
            status, headers, answer = self._ask(body)
        except (OSError, http.client.HTTPException):
            return self._reset()
        lost = not self.faults.goes_on(request, "after")
        if lost or fault == "reset after" or (fault == "cut" and not answer):
            return self._reset()
        self._answer(status, headers, answer, cut=fault == "cut")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815 (names that http.server looks for)

    def _body(self) -> bytes:
        """All of the request's body: a request is handed on whole, or not at all."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        if self.faults.upstream is None:
            raise ConnectionRefusedError
        connection = http.client.HTTPConnection(self.faults.upstream, timeout=_UPSTREAM_SECONDS)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                    connection.putheader(name, value)
            if body or self.command in ("PUT", "POST"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, *, cut: bool) -> None:
        self.send_response_only(status)
        length = None
        for name, value in headers:
            if name.lower() == "content-length":
                length = value
            elif name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if status not in (204, 304):
            # That of a HEAD tells of a body which is not there.
            self.send_header("Content-Length", length or str(len(body)) if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if cut:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            return self._reset()
        self.wfile.write(body)
        self.wfile.flush()

    def _refuse(self, code: str, status: str) -> None:
        number, _, phrase = status.partition(" ")
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>by chance</Message></Error>".encode()
        self.send_response_only(int(number), phrase)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _reset(self) -> None:
        """End the connection by RST, as a client meets it whose peer has died."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Faults are counted, not printed."""
