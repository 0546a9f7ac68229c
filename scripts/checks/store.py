"""Whether the store is there, lets us in, and keeps the same time."""

from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from conf.regions import EU_REGIONS, check_places, on_aws, outside, places
from conf.s3 import REFUSED, control_client, error_code, explain
from conf.settings import EMBEDDED, Settings, Storage
from scripts.checks.check import Answer, failed, left_out, ok, warn
from scripts.session import opened

# S3 itself refuses requests of a clock that is so far off.
_REFUSED_SKEW = timedelta(minutes=15)
# A Date has whole seconds, and an answer takes a moment.
_SKEW = timedelta(seconds=30)
_METHODS = {
    "env": "environment variables",
    "shared-credentials-file": "the shared credentials file",
    "config-file": "the AWS config file",
    "assume-role": "a role assumed by a profile",
    "assume-role-with-web-identity": "a role assumed by web identity",
    "sso": "IAM Identity Center (SSO)",
    "container-role": "the role of this container",
    "iam-role": "the role of this instance",
    "custom-process": "a process that the profile names",
}


@dataclass
class Reached:
    """What one signed request to the bucket told."""

    settings: Settings | None = None
    """With an endpoint that answers; None where nothing more can be asked."""
    skew: timedelta | None = None
    """How far this machine's clock is ahead of the store's."""
    region: str | None = None
    """The bucket's, where the store tells."""


def reach(settings: Settings, stack: ExitStack, reached: Reached) -> Answer:
    """List the landing zone, once; an embedded S3 that is started for it stays up as long as the stack."""
    from botocore.exceptions import BotoCoreError, ClientError

    settings = stack.enter_context(opened(settings, reading=True))
    storage = settings.storage
    try:
        with closing(control_client(storage)) as client:
            answer: Any = client.list_objects_v2(Bucket=storage.bucket, MaxKeys=1, Prefix=storage.landing)
    except ClientError as error:
        _note(error.response, reached)
        if error_code(error) in REFUSED:
            # It knows who asks: the rights are looked at one by one.
            reached.settings = settings
        raise explain(error, storage) from None
    except BotoCoreError as error:
        raise explain(error, storage) from None
    _note(answer, reached)
    reached.settings = settings
    return ok(f"bucket {storage.bucket} answers at {storage.endpoint or storage.region}")


def _note(answer: Any, reached: Reached) -> None:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    if date := headers.get("date"):
        reached.skew = datetime.now(UTC) - parsedate_to_datetime(date)
    reached.region = headers.get("x-amz-bucket-region")


def clock(reached: Reached) -> Answer:
    """Whether this machine's clock is the store's."""
    if reached.skew is None:
        return left_out("The store did not tell its time.")
    ahead = reached.skew.total_seconds()
    off = f"this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the store's"
    if abs(reached.skew) > _REFUSED_SKEW:
        return failed(f"{off}: S3 refuses more than 15 minutes", "Set the clock, and keep it by NTP.")
    if abs(reached.skew) > _SKEW:
        return warn(off, "Keep it by NTP: S3 refuses more than 15 minutes.")
    return ok(f"within {max(1, round(abs(ahead)))} s of the store's")


def region(settings: Settings, reached: Reached) -> Answer:
    """Whether photographs stay in the European Union."""
    storage = settings.storage
    if not on_aws(storage):
        host = urlsplit(storage.endpoint or "").hostname
        if storage.endpoint == EMBEDDED or host in ("127.0.0.1", "::1", "localhost"):
            return ok("on this machine")
        return warn(f"{host} is not AWS: where it keeps its data, it alone knows", "Ask who runs it.")
    found = places(settings, reached.region)
    because = settings.privacy.outside_eu_because
    if (left := outside(found)) and because:
        return warn(f"{left}, outside the European Union. The reason given: {because}", "Is it still one?")
    check_places(found, settings)
    return ok(", ".join(f"{what} in {where} ({EU_REGIONS[where]})" for what, where in found.items()))


def credentials(storage: Storage) -> Answer:
    """Which link of the AWS chain gives credentials. They are not printed."""
    if storage.endpoint == EMBEDDED:
        return ok("of the embedded S3, for this machine alone")
    import boto3
    from botocore.exceptions import BotoCoreError, NoCredentialsError

    try:
        found = boto3.Session().get_credentials()
        if found is None:
            raise explain(NoCredentialsError(), storage)
        found.get_frozen_credentials()
    except NoCredentialsError as error:
        raise explain(error, storage) from None
    except BotoCoreError as error:
        return failed(str(error).splitlines()[0], "Mend AWS_PROFILE, or sign in again, as by `aws sso login`.")
    return ok(f"from {_METHODS.get(found.method, found.method)}")
