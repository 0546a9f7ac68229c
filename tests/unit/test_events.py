"""Events: what a message tells of, in each of the wordings it may come in, and what nobody should have to guess."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conf.settings import Storage
from streaming.events import NotUnderstood, landed_in
from streaming.manifests import Landed

# A busy machine is no fault of the code.
_PATIENTLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

STORAGE = Storage(bucket="fruit-photos", prefix="eu/")
AT = datetime(2026, 5, 4, 10, 20, 30, 123000, tzinfo=UTC)
ETAG = "d16fb36f0911f878998c136191af705e"
PHOTOGRAPH = Landed("eu/landing/apple/1.jpg", ETAG, 4321, AT)


def record(key: str = PHOTOGRAPH.key, *, event: str = "ObjectCreated:Put", **changes: Any) -> dict[str, Any]:
    """One record as S3 sends it; a change of None leaves that part of the object out."""
    found = {"size": 4321, "eTag": ETAG, "sequencer": "0055AED6DCD90281E5", **changes}
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": "2026-05-04T10:20:30.123Z",
        "eventName": event,
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "landing",
            "bucket": {"name": "fruit-photos", "arn": "arn:aws:s3:::fruit-photos"},
            "object": {
                "key": quote_plus(key, safe="/"),
                **{name: value for name, value in found.items() if value is not None},
            },
        },
    }


def notification(*records: dict[str, Any]) -> str:
    return json.dumps({"Records": records})


def bridged(key: str = PHOTOGRAPH.key, kind: str = "Object Created", bucket: str = "fruit-photos") -> str:
    """As EventBridge sends it."""
    return json.dumps(
        {
            "version": "0",
            "id": "17793124-05d4-b198-2fde-7ededc63b103",
            "detail-type": kind,
            "source": "aws.s3",
            "account": "111122223333",
            "time": "2026-05-04T10:20:30.123Z",
            "region": "eu-west-1",
            "resources": [f"arn:aws:s3:::{bucket}"],
            "detail": {
                "version": "0",
                "bucket": {"name": bucket},
                "object": {"key": key, "size": 4321, "etag": ETAG, "sequencer": "00617F08299329D189"},
                "reason": "PutObject",
            },
        }
    )


def through_sns(body: str) -> str:
    """As an SNS topic without raw delivery wraps it."""
    return json.dumps(
        {"Type": "Notification", "MessageId": "22b80b92", "Subject": "Amazon S3 Notification", "Message": body}
    )


TEST_EVENT = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-05-04T10:20:30Z"})

ENVELOPES = {
    "bare": notification(record()),
    "sns": through_sns(notification(record())),
    "eventbridge": bridged(),
    "eventbridge through sns": through_sns(bridged()),
}


@pytest.mark.parametrize("body", ENVELOPES.values(), ids=ENVELOPES)
def test_every_envelope_tells_of_the_same_version(body: str) -> None:
    assert landed_in(body, STORAGE) == (PHOTOGRAPH,)


@pytest.mark.parametrize(
    "name",
    [
        "a b.jpg",
        "a+b.jpg",
        "100%.jpg",
        "100%25.jpg",
        "%2B.jpg",
        "pomme d'été/ä ü.jpg",
        "梨/🍐.jpg",
        "line\nbreak.jpg",
        "a&b=c;d?e#f.jpg",
        'quote".jpg',
    ],
)
def test_keys_are_what_was_dropped_to_the_letter(name: str) -> None:
    key = f"eu/landing/{name}"
    for body in (notification(record(key)), through_sns(notification(record(key))), bridged(key)):
        assert [version.key for version in landed_in(body, STORAGE)] == [key]


@_PATIENTLY
@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100).map(lambda name: f"eu/landing/x{name}x")
)
def test_any_key_survives_its_encoding(key: str) -> None:
    bare, by_bridge = landed_in(notification(record(key)), STORAGE), landed_in(bridged(key), STORAGE)
    assert bare == by_bridge
    assert all(version.key == key for version in bare)


@pytest.mark.parametrize("kind", ["Put", "Post", "Copy", "CompleteMultipartUpload"])
def test_every_way_to_create_an_object_counts(kind: str) -> None:
    assert landed_in(notification(record(event=f"ObjectCreated:{kind}")), STORAGE) == (PHOTOGRAPH,)
    assert landed_in(notification(record(event=f"s3:ObjectCreated:{kind}")), STORAGE) == (PHOTOGRAPH,)


def test_a_message_of_several_records_tells_of_all_in_order() -> None:
    keys = [f"eu/landing/{n}.jpg" for n in (3, 1, 2)]
    gone = record("eu/landing/0.jpg", event="ObjectRemoved:Delete", eTag=None, size=None)
    body = notification(gone, *map(record, keys))
    assert [version.key for version in landed_in(body, STORAGE)] == keys


def test_quotes_around_an_etag_are_none_of_it() -> None:
    assert landed_in(notification(record(eTag=f'"{ETAG}"')), STORAGE) == (PHOTOGRAPH,)


def test_an_empty_object_is_a_version_like_any() -> None:
    (version,) = landed_in(notification(record(size=0)), STORAGE)
    assert version.size == 0


NOTHING = {
    "test event": TEST_EVENT,
    "test event through sns": through_sns(TEST_EVENT),
    "deletion": notification(record(event="ObjectRemoved:Delete", eTag=None, size=None)),
    "delete marker": notification(record(event="ObjectRemoved:DeleteMarkerCreated", size=None)),
    "deletion by life cycle": notification(record(event="LifecycleExpiration:Delete", eTag=None, size=None)),
    "transition": notification(record(event="LifecycleTransition")),
    "restore": notification(record(event="ObjectRestore:Completed")),
    "tags": notification(record(event="ObjectTagging:Put", size=None)),
    "deletion by eventbridge": bridged(kind="Object Deleted"),
    "tags by eventbridge": bridged(kind="Object Tags Added"),
    "other prefix": notification(record("eu/tables/features/part-0.parquet")),
    "a prefix that only begins alike": notification(record("eu/landing.jpg")),
    "somebody else's landing zone": notification(record("landing/1.jpg")),
    "folder marker": notification(record("eu/landing/apple/", size=0)),
    "the landing zone's own marker": notification(record("eu/landing/", size=0)),
    "hidden name": notification(record("eu/landing/apple/.DS_Store")),
    "hidden folder": notification(record("eu/landing/_tmp/1.jpg")),
    "folder marker without etag": notification(record("eu/landing/apple/", eTag=None, size=None)),
    "no record at all": notification(),
}


@pytest.mark.parametrize("body", NOTHING.values(), ids=NOTHING)
def test_what_lands_no_photograph_tells_of_nothing(body: str) -> None:
    assert landed_in(body, STORAGE) == ()


def _moved(moment: str) -> str:
    return notification({**record(), "eventTime": moment})


POISON = {
    "no text": "",
    "no json": "apple.jpg has landed",
    "cut short": notification(record())[:-20],
    "json of something else": json.dumps({"hello": "world"}),
    "a list": json.dumps([record()]),
    "a number": "42",
    "null": "null",
    "records that are none": json.dumps({"Records": ["landing/1.jpg"]}),
    "another service's event": bridged().replace("aws.s3", "aws.ec2"),
    "another service's record": json.dumps({"Records": [{"eventName": "INSERT", "eventTime": "2026-05-04T10:20:30Z"}]}),
    "sns around nothing": through_sns("hello"),
    "sns around sns": through_sns(through_sns(notification(record()))),
    "another bucket": notification(record()).replace('"name": "fruit-photos"', '"name": "holiday-photos"'),
    "another bucket by eventbridge": bridged(bucket="holiday-photos"),
    "no etag": notification(record(eTag=None)),
    "empty etag": notification(record(eTag="")),
    "an etag that would break a header": notification(record(eTag="a\r\nX-Evil: 1")),
    "no size": notification(record(size=None)),
    "negative size": notification(record(size=-1)),
    "a size that no column holds": notification(record(size=2**63)),
    "a size that is no number": notification(record(size="many")),
    "a key that is not utf-8": notification(record("eu/landing/X.jpg")).replace("X.jpg", "%FF.jpg"),
    "half a surrogate in a key": bridged("eu/landing/\ud83c.jpg"),
    "a key longer than s3's": bridged("eu/landing/" + "ä" * 600),
    "a moment that is none": _moved("yesterday"),
    "a moment before the first": _moved("0001-01-01T00:00:00+05:00"),
    "a moment after the last": _moved("9999-12-31T23:59:59-05:00"),
    "deep nesting": "[" * 200_000,
    "one bad record beside a good one": notification(record(), record(eTag=None)),
    "text that is no unicode": "\ud800",
}


@pytest.mark.parametrize("body", POISON.values(), ids=POISON)
def test_what_cannot_be_understood_says_so_without_quoting_it(body: str) -> None:
    with pytest.raises(NotUnderstood) as raised:
        landed_in(body, STORAGE)
    words = str(raised.value)
    assert words
    assert "\n" not in words
    for secret in ("holiday", "Evil", "hello", "1.jpg", ETAG):
        assert secret not in words


def test_a_moment_without_a_zone_is_utc_and_others_become_it() -> None:
    for moment in ("2026-05-04T10:20:30.123", "2026-05-04T12:20:30.123+02:00"):
        (version,) = landed_in(_moved(moment), STORAGE)
        assert version.last_modified == AT
        assert version.last_modified.tzinfo is UTC


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([ETAG, "aws.s3"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Records", "Message", "Type", "detail", "source", "time", "s3", "object", "bucket", "key"]
            ),
            inner,
        )
    ),
    max_leaves=8,
)


@_PATIENTLY
@given(_JSON.map(json.dumps) | st.text())
def test_whatever_is_sent_is_a_version_of_ours_or_not_understood(body: str) -> None:
    try:
        versions = landed_in(body, STORAGE)
    except NotUnderstood:
        return
    assert all(version.key.startswith(STORAGE.landing) for version in versions)


@pytest.mark.parametrize("part", ["eventName", "eventTime", "s3"])
@_PATIENTLY
@given(value=_JSON)
def test_no_part_of_a_record_is_taken_at_its_word(part: str, value: Any) -> None:
    for odd in ({**record(), part: value}, {**record(), "s3": {**record()["s3"], "object": value}}):
        try:
            versions = landed_in(notification(odd), STORAGE)
        except NotUnderstood:
            continue
        assert versions in ((), (PHOTOGRAPH,))
