"""Which messages of the queue are in our hands, what each still waits for, and until when it stays ours.

Memory alone, no network: `streaming.queue` carries out what is decided here. Safe to share between threads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from streaming.manifests import Landed

_Version = tuple[str, str]


class Receipt(NamedTuple):
    """One delivery of one message."""

    message: str
    handle: str


@dataclass(slots=True)
class _Message:
    receipt: Receipt
    until: float
    missing: set[_Version] = field(default_factory=set)
    """What it tells of and no manifest lists yet."""
    manifest: int = 0
    """The last manifest that lists any of what it told of; 0 where it told of nothing."""


class InFlight:
    """Messages received and not deleted, and the versions that they tell of.

    A message is settled, and may be deleted, when manifests list all that it tells of and all these manifests are done.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._messages: dict[str, _Message] = {}
        self._untaken: dict[_Version, tuple[Landed, list[str]]] = {}
        """Each version that no manifest lists, with the messages that tell of it."""
        self._done = 0

    def __len__(self) -> int:
        """Messages or versions held, whichever is more."""
        return max(len(self._messages), len(self._untaken))

    def add(self, receipt: Receipt, until: float, versions: Sequence[Landed]) -> list[Landed]:
        """Take a message in hand until a moment; of what it tells of, those that no other message told of already."""
        with self._lock:
            known = self._messages.get(receipt.message)
            if known is not None:
                # Delivered again: only the newest receipt counts.
                known.receipt, known.until = receipt, until
                return []
            message = self._messages[receipt.message] = _Message(receipt, until)
            fresh = []
            for version in versions:
                if _identity(version) not in self._untaken:
                    self._untaken[_identity(version)] = version, []
                    fresh.append(version)
                self._untaken[_identity(version)][1].append(receipt.message)
                message.missing.add(_identity(version))
            return fresh

    def untaken(self) -> list[Landed]:
        """What messages told of and no manifest lists, the first heard of first."""
        with self._lock:
            return [version for version, _ in self._untaken.values()]

    def take(self, versions: Sequence[Landed], manifest: int) -> None:
        """A manifest lists these."""
        with self._lock:
            for version in versions:
                _, messages = self._untaken.pop(_identity(version), (None, ()))
                for name in messages:
                    if message := self._messages.get(name):
                        message.missing.discard(_identity(version))
                        message.manifest = max(message.manifest, manifest)

    def settle(self, manifest: int) -> None:
        """Everything up to this manifest is in the tables, and stays there."""
        with self._lock:
            self._done = max(self._done, manifest)

    def settled(self) -> list[Receipt]:
        """Messages that are of no more use."""
        return self._receipts(lambda message: not message.missing and message.manifest <= self._done)

    def ending(self, moment: float) -> list[Receipt]:
        """Messages that stop being ours before this moment."""
        return self._receipts(lambda message: message.until < moment)

    def all(self) -> list[Receipt]:
        """Every message."""
        return self._receipts(lambda message: True)

    def renew(self, receipts: Sequence[Receipt], until: float) -> None:
        """These stay ours until then."""
        with self._lock:
            for message in self._held(receipts):
                message.until = until

    def forget(self, receipts: Sequence[Receipt]) -> None:
        """These are deleted, or not ours any more. What they told of and nobody took, stays told of."""
        with self._lock:
            for message in self._held(receipts):
                del self._messages[message.receipt.message]

    def _receipts(self, wanted: Callable[[_Message], bool]) -> list[Receipt]:
        with self._lock:
            return [message.receipt for message in self._messages.values() if wanted(message)]

    def _held(self, receipts: Sequence[Receipt]) -> list[_Message]:
        """Of a message delivered again in the meantime, the earlier receipt says nothing any more."""
        found = ((receipt, self._messages.get(receipt.message)) for receipt in receipts)
        return [message for receipt, message in found if message is not None and message.receipt == receipt]


def _identity(version: Landed) -> _Version:
    return version.key, version.etag
