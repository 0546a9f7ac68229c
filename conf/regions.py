"""The region guard: photographs stay in member states of the European Union, unless a reason is given why not.

What is told is believed nowhere: the bucket itself says where it is, the queue's URL where that one is, and on a
platform the machines where they are.
"""

import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cache
from types import MappingProxyType
from urllib.parse import urlsplit

from conf.errors import SettingsError
from conf.settings import EMBEDDED, REGION, Settings, Storage

_log = logging.getLogger(__name__)
_AWS = (".amazonaws.com", ".amazonaws.eu")
# S3 and SQS answer there for their first region, too, under a name without one.
_NAMELESS = "us-east-1"
_tells_region: Callable[[], str | None] | None = None


EU_REGIONS: Mapping[str, str] = MappingProxyType(
    {
        "eu-central-1": "Germany",
        "eu-north-1": "Sweden",
        "eu-south-1": "Italy",
        "eu-south-2": "Spain",
        "eu-west-1": "Ireland",
        "eu-west-3": "France",
        "eusc-de-east-1": "Germany",
    }
)
"""AWS's regions in a member state of the European Union, and which; the last is the European Sovereign Cloud.

They are those of the list of regions that comes with botocore (`partitions.json`), which calls London (eu-west-2) and
Zurich (eu-central-2) European, too: they are not in the Union.
"""


def on_aws(storage: Storage) -> bool:
    """Whether this is AWS's own S3, and no other that speaks like it."""
    if storage.endpoint is None:
        return True
    return storage.endpoint != EMBEDDED and _is_aws(storage.endpoint)


def queue_region(url: str) -> str | None:
    """The region in a queue's URL; None where that is no queue of AWS's."""
    return _named_region(url) if _is_aws(url) else None


def runs_on(tells_region: Callable[[], str | None]) -> None:
    """Have the guard ask where the machines are, too. A platform's entry point says so; a laptop may be anywhere."""
    global _tells_region
    _tells_region = tells_region


def region_of_machines() -> str | None:
    """The region of a machine of AWS's, as its environment has it or else its metadata; None where neither tells."""
    from botocore.utils import InstanceMetadataRegionFetcher

    told = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return told or InstanceMetadataRegionFetcher(timeout=1, num_attempts=2).retrieve_region()


def check_region(settings: Settings) -> None:
    """Before anything starts: that all is in the European Union. One request, once a process, and none of other stores.

    Raises
    ------
    SettingsError
        Where bucket, setting or queue are outside without `privacy.outside_eu_because`, bucket and setting differ, or
        the machines of a platform are in another region.
    StorageError
        Where the bucket is not there or does not answer.
    """
    storage = settings.storage
    check_places(places(settings, _bucket_region(storage) if on_aws(storage) else None), settings)
    if _tells_region is None or not on_aws(storage):
        return
    machines_in = _tells_region()
    if machines_in is None:
        _warn_once("Nothing tells in which region these machines are: see to it that they are in the bucket's.")
    elif machines_in != storage.region:
        raise SettingsError(
            f"These machines are in {machines_in}, and storage.region is {storage.region}: photographs would leave "
            "their region. Run the job in the bucket's region."
        )


def places(settings: Settings, bucket_in: str | None) -> dict[str, str]:
    """The region of each thing on AWS that these settings name, the bucket's as itself tells.

    Raises
    ------
    SettingsError
        Where the bucket is not in the region that the settings name.
    """
    storage, url = settings.storage, settings.discovery.queue_url
    found = {}
    if on_aws(storage):
        there = bucket_in or storage.region
        if there != storage.region:
            raise SettingsError(
                f"Bucket {storage.bucket!r} is in {there}, storage.region says {storage.region}. "
                f"Set storage.region={there}, or storage.bucket to one that is in {storage.region}."
            )
        found[f"bucket {storage.bucket!r}"] = there
    if url and (queue_in := queue_region(url)):
        found[f"queue {url}"] = queue_in
    return found


def outside(places: Mapping[str, str]) -> str:
    """Those that are outside the European Union, in words; empty where none is."""
    return ", ".join(f"{what} is in {region}" for what, region in places.items() if region not in EU_REGIONS)


def check_places(places: Mapping[str, str], settings: Settings) -> None:
    """That these are in the European Union, by their regions; with a reason why not, that one is logged.

    Raises
    ------
    SettingsError
        Where one is outside, and there is no reason.
    """
    found = outside(places)
    if not found:
        return
    because = settings.privacy.outside_eu_because
    if because is None:
        members = ", ".join(f"{name} ({country})" for name, country in EU_REGIONS.items())
        raise SettingsError(
            f"Photographs would leave the European Union: {found}. Move to one of {members}; or, if they may, say "
            'why: --set privacy.outside_eu_because="…". The reason is logged at each start.'
        )
    _warn_once(f"Outside the European Union: {found}. The reason given: {because}")


@cache
def _warn_once(message: str) -> None:
    """A command looks several times, and starts once."""
    _log.warning(message)


@cache
def _bucket_region(storage: Storage) -> str | None:
    """Where the bucket is. HEAD tells whoever asks, from any region, and wants no right but that to list."""
    from botocore.exceptions import BotoCoreError, ClientError

    from conf.s3 import control_client, explain

    try:
        with closing(control_client(storage)) as client:
            return client.head_bucket(Bucket=storage.bucket).get("BucketRegion")
    except (ClientError, BotoCoreError) as error:
        raise explain(error, storage) from None


def _is_aws(url: str) -> bool:
    return (urlsplit(url).hostname or "").endswith(_AWS)


def _named_region(url: str) -> str:
    labels = (urlsplit(url).hostname or "").split(".")
    return next((label for label in labels if re.fullmatch(REGION, label)), _NAMELESS)
