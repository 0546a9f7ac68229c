"""One of our jobs, on the Spark that Databricks has started: `stream --once`, `stream --always` or `refresh`; settings.

Not by way of the `fruits` command: that takes signals, the process's own output and the session's end into its hands,
and here all three are the platform's. A job may be killed at any moment all the same.
"""

import sys

from conf.errors import DataError, SettingsError
from conf.regions import check_region
from conf.settings import load
from conf.spark import session


def main(job: str, *words: str) -> None:
    """Run one job to its end."""
    settings = load("aws", ["storage.scheme=s3", *(word for word in words if not word.startswith("--"))])
    check_region(settings)
    spark = session(settings)
    place = spark.conf.get("spark.databricks.clusterUsageTags.dataPlaneRegion", None)
    if place not in (None, settings.storage.region):
        raise SettingsError(
            f"This workspace's machines are in {place}, and storage.region is {settings.storage.region}: photographs "
            "would leave their region. Use a workspace of the bucket's region."
        )
    if job == "stream":
        from streaming import stream

        print(stream.run(spark, settings, once="--once" in words))
        return
    from batch import refresh

    try:
        print(refresh.run(spark, settings, if_changed=True) or "Nothing has changed since the last refresh.")
    except DataError as error:
        # Photographs may be yet to come.
        print(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
