"""The comparison as a person reads it."""

from collections.abc import Callable, Mapping

from rich.console import Console
from rich.table import Table

from scripts.broadcasting.measure import Figures

_ROWS: dict[str, Callable[[Figures], str]] = {
    "MB shipped": lambda f: f"{f.shipped_mb:.1f}",
    "MB again, each query": lambda f: f"{f.again_mb:.1f}",
    "s to prepare": lambda f: f"{f.prepare_s:.1f}",
    "s to ship": lambda f: f"{f.ship_s:.2f}",
    "s to first prediction": lambda f: f"{f.first_s:.1f}",
    "MB added to a worker": lambda f: _whole(f.worker_mb),
    "MB of it at its peak": lambda f: _whole(f.peak_mb),
    "images/s, warm": lambda f: f"{f.images_per_second:.1f}",
    "CPU ms an image": lambda f: f"{f.cpu_ms:.1f}",
    "differs from Keras by": lambda f: f"{f.difference:.0e}",
    "engines built": lambda f: str(f.builds),
}


def show(figures: Mapping[str, Figures], says: Mapping[str, str]) -> None:
    """Print a table for one model, by the ways to ship it, and what it shows."""
    one = next(iter(figures.values()))
    console = Console()
    title = f"{one.model}: {one.workers} Python workers, {one.tasks} tasks, {one.images} images a query"
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("")
    for way in figures:
        table.add_column(way, justify="right", no_wrap=True)
    for heading, value in _ROWS.items():
        table.add_row(heading, *map(value, figures.values()))
    console.print(table)
    console.print()
    for name, meaning in says.items():
        console.print(f"  [bold]{name:<8}[/] {meaning}", highlight=False)
    console.print()
    for sentence in shows(figures):
        console.print(f"- {sentence}", highlight=False)
    console.print()


def shows(f: Mapping[str, Figures]) -> list[str]:
    """What helped, in these figures."""
    keras, frozen, raw, half = f["keras"], f["float32"], f["raw"], f["float16"]
    mapped, packed, closure = f["mapped"], f["packed"], f["closure"]
    return [
        f"Freeze: {_whole(frozen.worker_mb)} MB a worker instead of {_whole(keras.worker_mb)}, the first prediction "
        f"after {frozen.first_s:.1f} s instead of {keras.first_s:.1f}, {frozen.cpu_ms / keras.cpu_ms:.2f} "
        "of the processor time an image.",
        f"Ship float16: {half.shipped_mb / frozen.shipped_mb:.2f} of the bytes; features differ by "
        f"{half.difference:.0e} of the largest instead of {frozen.difference:.0e}.",
        f"Compression has nothing to gain from weights: {raw.shipped_mb:.1f} MB become {frozen.shipped_mb:.1f}.",
        f"Let workers map one file: {_whole(mapped.worker_mb)} MB a worker instead of {_whole(frozen.worker_mb)}; "
        f"with the packed weights in a file, too, {_whole(packed.worker_mb)}.",
        f"Keep the engine in a module: {frozen.builds} built for {frozen.tasks} tasks. In a closure, for each batch: "
        f"{closure.builds}, {closure.again_mb:.1f} MB shipped again for each query, and "
        f"{closure.cpu_ms / frozen.cpu_ms:.1f} times the processor time.",
    ]


def _whole(megabytes: float | None) -> str:
    return "-" if megabytes is None else f"{megabytes:.0f}"
