"""Ray Data on the same photographs.

    python -m bench.peers.ray                   3,888 photographs; how to install Ray: bench/peers/__init__.py
    python -m bench.peers.ray --images 1000 --json

Ray makes a block at least a megabyte where nobody says otherwise: a thousand small photographs would be read in a
handful of tasks, one file after another. Blocks of one batch are to keep the actors fed. Half a core is set aside for
each task and each actor, or two actors would leave no core to read with.
"""

import time
from typing import Any

from bench.peers.compare import Job, main
from bench.peers.network import Network
from conf.s3 import arrow_filesystem

_BATCH = 64
_SHARE = 0.5


class Featurizer:
    """What an actor runs."""

    def __init__(self, job: Job) -> None:
        self._network = Network(job.model, job.log)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch of columns `path` and `bytes` to one of `path` and `features`."""
        return {"path": batch["path"], "features": self._network.features(batch["bytes"])}


def run(job: Job) -> tuple[float, float]:
    """Every photograph to a row of Parquet."""
    import ray
    import ray.data

    imported = time.time()
    ray.init(num_cpus=job.cores, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        store = arrow_filesystem(job.storage)
        photographs = ray.data.read_binary_files(
            job.source,
            filesystem=store,
            include_paths=True,
            override_num_blocks=max(job.cores, job.photographs // _BATCH),
            num_cpus=_SHARE,
        )
        rows = photographs.map_batches(
            Featurizer,
            fn_constructor_args=(job,),
            batch_size=_BATCH,
            compute=ray.data.ActorPoolStrategy(size=job.cores),
            num_cpus=_SHARE,
        )
        rows.write_parquet(job.target, filesystem=store, ray_remote_args={"num_cpus": _SHARE})
        return imported, time.time()
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main("bench.peers.ray", "ray")
