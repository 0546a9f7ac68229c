"""One of our jobs, on the Spark that Databricks has started: `stream --once`, `stream --always` or `refresh`; settings.

Not by way of the `fruits` command: that takes signals, the process's own output and the session's end into its hands,
and here all three are the platform's. A job may be killed at any moment all the same.
"""

import sys

from conf.regions import runs_on
from conf.settings import load
from conf.spark import session


def main(job: str, *words: str) -> None:
    """Run one job to its end."""
    settings = load("aws", ["storage.scheme=s3", *(word for word in words if not word.startswith("--"))])
    spark = session(settings)
    runs_on(lambda: spark.conf.get("spark.databricks.clusterUsageTags.dataPlaneRegion", None))
    if job == "stream":
        from streaming import stream

        print(stream.run(spark, settings, once="--once" in words))
        return
    from batch import refresh

    try:
        print(refresh.run(spark, settings, if_changed=True) or "Nothing has changed since the last refresh.")
    except refresh.CAN_WAIT as error:
        print(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
