"""What a message of the queue says: S3's event notifications in, object versions out.

They come bare, as S3 itself sends them to a queue; wrapped by an SNS topic; or as EventBridge words them.

Events come late, twice and in any order, and need no sorting: S3's `sequencer` is not looked at. A version is its key
and etag. One heard of twice is known by then. One that a newer has replaced costs a GET with If-Match, which S3
refuses, and ends as a reject of its own. Which version is there now, S3 says better than the order of its events.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple
from urllib.parse import unquote_plus

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from conf.settings import Storage
from streaming.listing import is_photograph
from streaming.manifests import Landed

_CREATED = "ObjectCreated:"
_MAX_KEY_BYTES = 1024


class NotUnderstood(Exception):
    """A message that is no event of our bucket. Its words are ours, never the message's."""


def landed_in(body: str, storage: Storage) -> tuple[Landed, ...]:
    """The versions of photographs in the landing zone that a message tells of.

    Empty for what changes nothing there: S3's test event, deletions, tags, life cycles, other prefixes, folder markers
    and hidden names. A message counts whole or not at all: next to one record that cannot be read, none is.

    Raises
    ------
    NotUnderstood
        It is no event, one of another bucket, or one of a photograph that lacks its etag or size, as some emulators
        send. No version can be made of that: a made-up etag would fail every GET, and a size of 0 would be refused
        unread. The object itself is safe, as a listing shows it whatever the queue said.
    """
    try:
        return tuple(_landed(created, storage) for created in _read(body) if _is_ours(created, storage))
    except ValidationError:
        raise NotUnderstood("it is no S3 event") from None
    except UnicodeDecodeError:
        raise NotUnderstood("its key is not UTF-8") from None


def _in_utc(moment: datetime) -> datetime:
    try:
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("beyond the calendar") from None
    if moment.year < 1970:
        raise ValueError("before time began")
    return moment


_Moment = Annotated[datetime, AfterValidator(_in_utc)]
# It goes into an HTTP header as it is: visible ASCII, with or without the quotes around it.
_Etag = Annotated[str, Field(pattern=r'^"?[!#-~]{1,128}"?$')]
_Size = Annotated[int, Field(ge=0, lt=2**63)]


class _Part(BaseModel):
    """Of what anybody may send to a queue, types and ranges are taken at nobody's word."""

    model_config = ConfigDict(strict=True, frozen=True)


class _Bucket(_Part):
    name: str


class _Object(_Part):
    key: str
    etag: _Etag | None = Field(None, validation_alias=AliasChoices("eTag", "etag"))
    """As S3 itself spells it, or as EventBridge does."""
    size: _Size | None = None


class _Entity(_Part):
    bucket: _Bucket
    object: _Object


class _Created(NamedTuple):
    """An object that came, in any wording."""

    bucket: str
    key: str
    etag: str | None
    size: int | None
    at: datetime


class _Record(_Part):
    name: str = Field(alias="eventName")
    at: _Moment = Field(alias="eventTime")
    s3: _Entity


class _Notification(_Part):
    """S3's own, its keys URL-encoded. SNS with raw delivery passes it on as it is."""

    records: list[_Record] = Field(alias="Records")

    def created(self) -> Iterator[_Created]:
        for record in self.records:
            # S3 leaves out the "s3:" that its configuration wants; some stores that speak its protocol do not.
            if record.name.removeprefix("s3:").startswith(_CREATED):
                found = record.s3.object
                key = unquote_plus(found.key, errors="strict")
                yield _Created(record.s3.bucket.name, key, found.etag, found.size, record.at)


class _TestEvent(_Part):
    """What S3 sends when a notification is set up."""

    event: Literal["s3:TestEvent"] = Field(alias="Event")

    def created(self) -> Iterator[_Created]:
        return iter(())


class _BridgeEvent(_Part):
    """EventBridge's, its key as it is."""

    source: Literal["aws.s3"]
    kind: str = Field(alias="detail-type")
    at: _Moment = Field(alias="time")
    detail: _Entity

    def created(self) -> Iterator[_Created]:
        if self.kind == "Object Created":
            found = self.detail.object
            yield _Created(self.detail.bucket.name, found.key, found.etag, found.size, self.at)


class _Topic(_Part):
    """SNS's envelope around any of the others."""

    kind: Literal["Notification"] = Field(alias="Type")
    message: str = Field(alias="Message")


_Event = _Notification | _TestEvent | _BridgeEvent
_EVENT: TypeAdapter[_Event] = TypeAdapter(_Event)
_MESSAGE: TypeAdapter[_Event | _Topic] = TypeAdapter(_Event | _Topic)


def _read(body: str) -> Iterator[_Created]:
    message = _MESSAGE.validate_json(body)
    event = _EVENT.validate_json(message.message) if isinstance(message, _Topic) else message
    return event.created()


def _is_ours(created: _Created, storage: Storage) -> bool:
    if created.bucket != storage.bucket:
        raise NotUnderstood(f"it is of another bucket than {storage.bucket!r}")
    key = created.key
    return key.startswith(storage.landing) and is_photograph(key.removeprefix(storage.landing))


def _landed(created: _Created, storage: Storage) -> Landed:
    if created.etag is None or created.size is None:
        raise NotUnderstood("it lacks the object's etag or size")
    if len(created.key.encode()) > _MAX_KEY_BYTES:
        raise NotUnderstood(f"its key is longer than S3's {_MAX_KEY_BYTES} bytes")
    return Landed(created.key, created.etag.strip('"'), created.size, created.at)
