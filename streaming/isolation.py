"""Decoding in a child process, for a batch that a worker died of: a decoder's crash then costs the child, and a row.

The usual path decodes in the worker itself. A native library that crashes there, or takes all memory, takes the worker
with it, and nobody is left to say over which object.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from conf.errors import SetupError
from conf.tables import Reason
from streaming.decode import Photograph
from streaming.refusal import Refusal

Decode = Callable[[bytes, int, int], Photograph]
"""As `streaming.decode.decode`."""
_GOODBYE_SECONDS = 5.0


class Isolated:
    """Within a `with`, a function that decodes as another one does, but in a child process.

    There is one child, which decodes one object after another, and a new one in its place once it has died.
    """

    def __init__(self, decode: Decode) -> None:
        # Not imported above: the child imports this module, too, and has no use for Spark.
        from pyspark import cloudpickle

        self._decode: bytes = cloudpickle.dumps(decode)
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child:
            self._child.end()

    def __call__(self, data: bytes, side: int, max_pixels: int) -> Photograph:
        """Decode an object.

        Raises
        ------
        Refusal
            Whatever the function raises; CRASHED where the child died over it, with the signal that it died of.
        SetupError
            Where no child can be had.
        """
        # One that died between two objects did so of neither.
        if self._child is None or not self._child.lives():
            self._child = _Child(self._decode)
        try:
            outcome = self._child.ask(data, side, max_pixels)
        except (EOFError, OSError):
            died, self._child = self._child, None
            raise Refusal(Reason.CRASHED, f"{len(data):,} bytes: the decoder {died.end()}") from None
        if isinstance(outcome, MemoryError):
            raise Refusal(Reason.CRASHED, f"{len(data):,} bytes: to decode them takes more memory than there is")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class _Child:
    """The process, from our side.

    Not a fork: it would hold the worker's connections open beyond the worker's end, and a lock that another of the
    worker's threads held would stay locked for ever.
    """

    def __init__(self, decode: bytes) -> None:
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streaming.isolation", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                # What Spark added to the path of a worker while it ran is ours as well.
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        try:
            self._connection.send_bytes(decode)
            self._connection.recv()
        except (EOFError, OSError):
            raise SetupError(
                f"The process that was to decode apart {self.end()} before it began. Its own words are in the log of "
                "the Python worker: mend what they say, and start again."
            ) from None

    def lives(self) -> bool:
        return self._process.poll() is None

    def ask(self, data: bytes, side: int, max_pixels: int) -> Photograph | Exception:
        """What comes of an object; EOFError or OSError where the child dies over it."""
        self._connection.send((data, side, max_pixels))
        outcome: Photograph | Exception = self._connection.recv()
        return outcome

    def end(self) -> str:
        """Let it end, or see that it has; tells how it did."""
        self._connection.close()
        try:
            status = self._process.wait(_GOODBYE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if status >= 0:
            return f"ended its process with status {status}"
        name = signal.Signals(-status).name
        return f"was killed by {name}" + (", as by a kernel short of memory" if name == "SIGKILL" else "")


def _serve(connection: Connection) -> None:
    """The child's side: decode until nobody asks any more."""
    # Only its worker's end ends it: a Ctrl-C that reaches the whole group must not pass for a crash.
    for unwanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(unwanted, signal.SIG_IGN)
    decode: Decode = connection.recv()
    connection.send("ready")
    while True:
        try:
            asked = connection.recv()
        except EOFError:
            return
        outcome: Photograph | Exception
        try:
            outcome = decode(*asked)
        except Exception as error:
            outcome = error
        connection.send(outcome)


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
