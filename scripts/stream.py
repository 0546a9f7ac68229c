"""`fruits stream`: the streaming job."""

import click

from conf.settings import Settings
from scripts.session import opened, say, spark_session, takes_settings


@click.command(name="stream")
@takes_settings
@click.option("--once", is_flag=True, help="Stop when everything that waits is in the tables.")
@click.option(
    "--rebuild-state", is_flag=True, help="Where state/ is lost, damaged or too old, make it anew from the tables."
)
def command(settings: Settings, once: bool, rebuild_state: bool) -> None:
    """Featurize what lands, as it lands, until Ctrl-C (or, with --once, until nothing waits).

    Stopped or killed at any moment, it goes on where it was at the next start: nothing is lost, nothing is doubled.

    \b
    fruits stream --once
    fruits stream --set stream.max_files=200
    """
    import signal
    import time
    from threading import Event

    from scripts.progress import bar
    from scripts.wording import by_reason, count
    from streaming.sink import BatchReport
    from streaming.stream import run

    stop = Event()
    begun = time.perf_counter()
    with opened(settings) as settings, spark_session(settings) as spark, bar("Preparing network and tables") as shown:

        def on_start() -> None:
            # Until here, nothing is under way that could be ended in good order.
            for end in (signal.SIGINT, signal.SIGTERM):
                signal.signal(end, lambda *_: stop.set())
            if once:
                shown.says("Featurizing")
            else:
                shown.end()
                say(f"Watching {settings.storage.uri('landing/')}. Ctrl-C stops.")

        def on_batch(batch: BatchReport) -> None:
            shown.advance(batch.objects)
            if not once:
                rejects = batch.objects - batch.features
                say(
                    f"batch {batch.batch_id}: {batch.features} features, {rejects} rejects; "
                    f"the oldest landed {batch.oldest_age_s:.0f} s ago"
                )

        summary = run(
            spark,
            settings,
            once=once,
            rebuild_state=rebuild_state,
            stop=stop,
            on_start=on_start,
            on_batch=on_batch,
        )
    reasons = f" ({by_reason(dict(sorted(summary.rejects.items())))})" if summary.rejects else ""
    cut_off = "; a micro-batch under way is the next start's to finish" if stop.is_set() else ""
    say(
        f"{count(summary.objects, 'object')} in {time.perf_counter() - begun:.1f} s: {summary.features} featurized, "
        f"{summary.rejects.total()} rejected{reasons}; {count(summary.batches, 'micro-batch')}, "
        f"model {summary.model_id}{cut_off}"
    )
    if once and stop.is_set():
        raise KeyboardInterrupt
