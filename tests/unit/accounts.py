"""Figures of a store where all is well, for tests to change."""

from datetime import UTC, datetime, timedelta

from scripts.accounting import Accounting
from scripts.liveness import Liveness, State

MOMENT = datetime(2026, 5, 4, 12, 0, 30, tzinfo=UTC)
MODEL = "efficientnet_lite0/0123456789ab/rgb224-bilinear"
RUNNING = Liveness(
    State.RUNNING,
    "process 4711 on a-host",
    MOMENT + timedelta(seconds=25),
    "process 4711 on a-host has the lease until 2026-05-04 12:00:55 UTC, and renews it",
    since=MOMENT - timedelta(days=2),
    renewed=MOMENT - timedelta(seconds=5),
    seconds_left=25,
    seconds=30,
)
WELL = Accounting(
    stream=RUNNING,
    last_batch={
        "at": "2026-05-04T11:00:00.000+00:00",
        "objects": 43,
        "images_per_second": 14.333,
        "oldest_age_seconds": 12.5,
    },
    landed=500,
    waiting=0,
    lag_seconds=None,
    discovered=500,
    features=500,
    under_way=0,
    backlog=0,
    model_id=MODEL,
    last_ingested=MOMENT,
    features_files=4,
    features_bytes=8_000_000,
    current=499,
    reduced=499,
    pca_version=3,
    features_since_pca=0,
    store="s3://fruits/",
    at=MOMENT,
    images_per_second=14.333,
    rejects_last_hour={},
    rejects_last_day={},
    fitted_at=MOMENT - timedelta(hours=1),
    published_at=MOMENT - timedelta(hours=1),
    pca_model_id=MODEL,
)
