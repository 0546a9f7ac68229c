"""Clients of the object store, all from the same settings and the same AWS credential chain.

boto3 for control (listing, bucket checks), obstore where every millisecond counts (photographs, manifests, data files),
and the option tables that delta-rs and Hadoop's s3a want. No credential passes through here: the chain gives them.

Workers import this module for obstore alone, so boto3 and its 30 MB are imported only where they are used.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from obstore.store import S3Store

from conf.errors import StorageError
from conf.settings import EMBEDDED, Storage

if TYPE_CHECKING:
    from botocore.loaders import Loader
    from mypy_boto3_s3 import S3Client
    from obstore.store import ObjectStore
    from pyarrow.fs import S3FileSystem

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 60
_RETRY_SECONDS = 120
_KEY = "AWS_ACCESS_KEY_ID"
REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "403"})
"""What S3 and SQS call it where they know who asks, and that one lacks the right."""
EXPIRED = frozenset(
    {
        *("ExpiredToken", "ExpiredTokenException", "RequestExpired"),
        *("SSOTokenLoadError", "UnauthorizedSSOTokenError", "TokenRetrievalError"),
    }
)
"""What AWS, or boto3 before it asks, calls it where a sign-in is over."""
LOG_IN = "Log in again (`aws sso login`, or as your organization does it) and run this once more."


def control_client(storage: Storage, connections: int = 10, attempts: int = 3) -> "S3Client":
    """A boto3 client that gives up on a dead endpoint in seconds, or after so many attempts."""
    import boto3
    from botocore.config import Config
    from botocore.session import get_session

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_ANSWER_SECONDS,
        max_pool_connections=connections,
        retries={"mode": "standard", "total_max_attempts": attempts},
        s3={"addressing_style": "path" if storage.endpoint else "auto"},
        # Checksum trailers, boto3's newer default, are not understood by every S3-compatible store.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    # A session of its own: the one that boto3 keeps for all has the credentials of its first use.
    session = get_session()
    session.register_component("data_loader", _service_descriptions(session.get_config_variable("data_path")))
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
    return boto3.Session(botocore_session=session).client(
        "s3", region_name=storage.region, endpoint_url=_endpoint(storage), config=config
    )


@cache
def _service_descriptions(data_path: str | None) -> "Loader":
    """What boto3 knows of AWS's services, read once a process: most of what another client takes."""
    from botocore.loaders import create_loader

    return create_loader(data_path)


def _moment(told: Any) -> datetime:
    """What botocore reads in a timestamp. Its own parser guesses the form, for two thirds of the time of a listing."""
    from botocore.utils import parse_timestamp

    if isinstance(told, str) and told[10:11] == "T" and told[-1:] == "Z":
        with suppress(ValueError):
            return datetime.fromisoformat(told)
    guessed: datetime = parse_timestamp(told)
    return guessed


def object_store(storage: Storage) -> S3Store:
    """A client for whole keys of the bucket, quick enough for one GET a photograph; safe to share between threads.

    Raises
    ------
    StorageError
        Where there are no credentials to be had.
    """
    provider = None
    if _KEY not in os.environ:
        # Profiles, SSO and assumed roles are boto3's to resolve. Keys in the environment spare a worker its memory.
        from botocore.exceptions import BotoCoreError, NoCredentialsError
        from obstore.auth.boto3 import Boto3CredentialProvider

        try:
            provider = Boto3CredentialProvider()
        except BotoCoreError as error:
            raise explain(error, storage) from None
        except ValueError:  # its word for None found
            raise explain(NoCredentialsError(), storage) from None
    config: Any = {"region": storage.region, "virtual_hosted_style_request": storage.endpoint is None}
    if endpoint := _endpoint(storage):
        # It takes no None: AWS's own is that of the region.
        config["endpoint"] = endpoint
    return S3Store(
        storage.bucket,
        config=config,
        client_options={
            "allow_http": _is_http(storage),
            "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
            "timeout": timedelta(seconds=_ANSWER_SECONDS),
        },
        retry_config={"retry_timeout": timedelta(seconds=_RETRY_SECONDS)},
        credential_provider=provider,
    )


def arrow_filesystem(storage: Storage) -> "S3FileSystem":
    """A client for pyarrow's scans. It keeps the credentials of now, so it is for a question, not for a service."""
    from pyarrow.fs import S3FileSystem

    endpoint = _endpoint(storage)
    return S3FileSystem(
        region=storage.region,
        scheme="http" if _is_http(storage) else "https",
        endpoint_override=endpoint and endpoint.partition("://")[2],
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_ANSWER_SECONDS,
        **({} if _KEY in os.environ else _keys_of_now()),
    )


def delta_options(storage: Storage) -> dict[str, str]:
    """What delta-rs wants to be told to read a table."""
    options = {"region": storage.region, "allow_http": str(_is_http(storage)).lower(), "connect_timeout": "5s"}
    if endpoint := _endpoint(storage):
        options |= {"endpoint": endpoint, "virtual_hosted_style_request": "false"}
    return options


def hadoop_options(storage: Storage) -> dict[str, str]:
    """What Hadoop's s3a wants to be told, as Spark properties."""
    options = {"spark.hadoop.fs.s3a.endpoint.region": storage.region}
    if endpoint := _endpoint(storage):
        options |= {
            "spark.hadoop.fs.s3a.endpoint": endpoint,
            "spark.hadoop.fs.s3a.path.style.access": "true",
            "spark.hadoop.fs.s3a.connection.ssl.enabled": str(not _is_http(storage)).lower(),
            "spark.hadoop.fs.s3a.attempts.maximum": "3",
            "spark.hadoop.fs.s3a.retry.limit": "3",
            "spark.hadoop.fs.s3a.connection.establish.timeout": f"{_CONNECT_SECONDS}s",
        }
    return options


def check_bucket(storage: Storage) -> None:
    """Make sure that the bucket is there and lets us list it.

    Raises
    ------
    StorageError
        Where it does not exist, refuses, or its endpoint does not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        with closing(control_client(storage)) as client:
            client.list_objects_v2(Bucket=storage.bucket, MaxKeys=1, Prefix=storage.landing)
    except (ClientError, BotoCoreError) as error:
        raise explain(error, storage) from None


@contextmanager
def store_answers(path: str, shown: str | None = None) -> Iterator[None]:
    """Turn whatever obstore still raises after its retries into one message that names the path, or what may be shown.

    A bucket that is gone is a FileNotFoundError to it, like an object that is.

    Raises
    ------
    StorageError
        What a caller wants to treat by itself, such as an object that is not there, it catches within.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        # Of what it was that failed, the message holds the URL.
        first = str(error).splitlines()[0][:300] if shown in (None, path) else type(error).__name__
        raise StorageError(
            f"The store failed at {shown or path}: {first}. Is it up, and may this role use it?"
        ) from None


def read_object(store: "ObjectStore", path: str) -> bytes | None:
    """All bytes of an object; None where it is not there.

    Raises
    ------
    StorageError
        Where the store does not answer.
    """
    import obstore
    from obstore.exceptions import NotFoundError

    with store_answers(path):
        try:
            return bytes(obstore.get(store, path).bytes())
        except (NotFoundError, FileNotFoundError):
            return None


def error_code(error: Exception) -> str:
    """What the service calls an error that boto3 met; of any other, the name of its kind."""
    from botocore.exceptions import ClientError

    if not isinstance(error, ClientError):
        return type(error).__name__
    return error.response.get("Error", {}).get("Code", "").removeprefix("AWS.SimpleQueueService.")


def explain(error: Exception, storage: Storage) -> StorageError:
    """One message for whatever boto3 or obstore met, with what to do about it."""
    where = f"bucket {storage.bucket!r} at {storage.endpoint or f'AWS {storage.region}'}"
    match code := error_code(error):
        case "NoSuchBucket" | "404":
            return StorageError(f"There is no {where}. Create it, or set storage.bucket to one that exists.")
        case _ if code in REFUSED | {"InvalidAccessKeyId", "SignatureDoesNotMatch", "PermissionDeniedError"}:
            return StorageError(
                f"The {where} refuses these credentials ({code}). Check the role's rights or AWS_PROFILE."
            )
        case "NoCredentialsError" | "PartialCredentialsError" | "UnauthenticatedError":
            return StorageError(
                f"No AWS credentials found for {where}. Set AWS_PROFILE, or run where a role is attached."
            )
        case _ if code in EXPIRED:
            return StorageError(f"The AWS credentials for {where} have expired ({code}). {LOG_IN}")
        case "ProfileNotFound":
            return StorageError(f"{error}. Set AWS_PROFILE to one that `aws configure list-profiles` names.")
        case "EndpointConnectionError" | "ConnectTimeoutError" | "ConnectionClosedError" | "ReadTimeoutError":
            return StorageError(f"No answer from {where}. Is it up, and storage.endpoint right?")
        case _:
            return StorageError(f"The {where} failed: {_shortened(error)}. Try again; look at its own log.")


def _shortened(error: Exception) -> str:
    """The first line. A long one begins with a long key, and ends with what was wrong."""
    line = str(error).splitlines()[0]
    return line if len(line) <= 300 else f"{line[:150]}…{line[-150:]}"


def _keys_of_now() -> dict[str, str | None]:
    """What boto3's chain resolves, as pyarrow's own knows neither SSO nor profiles that assume a role."""
    import boto3

    found = boto3.Session().get_credentials()
    if found is None:
        return {}
    keys = found.get_frozen_credentials()
    return {"access_key": keys.access_key, "secret_key": keys.secret_key, "session_token": keys.token}


def _endpoint(storage: Storage) -> str | None:
    if storage.endpoint == EMBEDDED:
        raise StorageError(
            "The embedded S3 is not up for this session. The `fruits` command starts it by itself; "
            "in Python, open it first: `with scripts.session.opened(settings) as settings:`."
        )
    return storage.endpoint


def _is_http(storage: Storage) -> bool:
    return (storage.endpoint or "").startswith("http://")
