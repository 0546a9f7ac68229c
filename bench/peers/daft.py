"""Daft's native runner on the same photographs.

    python -m bench.peers.daft                  3,888 photographs; how to install Daft: bench/peers/__init__.py
    python -m bench.peers.daft --images 1000 --json

Daft 0.7.26 ran a class UDF in threads of its own process here, with `use_process=True` as well; so each thread has an
interpreter of its own (bench/peers/network.py). Batches are of sixteen photographs, the pipeline's own measure.
"""

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from bench.peers.compare import Job, main
from bench.peers.network import Network
from streaming.engines import LiteRTEngine

if TYPE_CHECKING:
    from daft import Series
    from daft.io import IOConfig


def run(job: Job) -> tuple[float, float]:
    """Every photograph to a row of Parquet."""
    # Where TensorFlow is installed, Daft loads it to look for its tensors among literals: seconds that are no work.
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    import daft
    from daft.functions import download

    imported = time.time()
    io = _io(job)
    rows = daft.from_glob_path(f"s3://{job.source}**", io_config=io).select("path")
    rows = rows.with_column("body", download(daft.col("path"), io_config=io))
    rows = rows.with_column("features", _featurizer(job)(daft.col("body"))).exclude("body")
    rows.write_parquet(f"s3://{job.target}", io_config=io)
    return imported, time.time()


def _io(job: Job) -> "IOConfig":
    from daft.io import IOConfig, S3Config

    return IOConfig(
        s3=S3Config(
            endpoint_url=job.storage.endpoint,
            region_name=job.storage.region,
            key_id=os.environ["AWS_ACCESS_KEY_ID"],
            access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            use_ssl=False,
        )
    )


def _featurizer(job: Job) -> Any:
    import daft
    from daft import DataType

    dimension = job.model.recipe.dimension

    @daft.cls(max_concurrency=job.cores)
    class Featurizer:
        def __init__(self) -> None:
            self.network = Network(job.model, job.log)

        @daft.method.batch(
            return_dtype=DataType.embedding(DataType.float32(), dimension), batch_size=LiteRTEngine.batch
        )
        def __call__(self, bodies: "Series") -> Any:
            return self.network.features(bodies.to_pylist())

    return Featurizer()


if __name__ == "__main__":
    main("bench.peers.daft", "daft")
