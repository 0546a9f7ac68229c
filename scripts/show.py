"""Summaries as a person reads them. Commands with --json print the same figures for machines."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_CLOCK = "%Y-%m-%d %H:%M:%S UTC"
# Units of time, and how many seconds each has; one is used from two of it on.
_UNITS = {"days": 86_400, "h": 3600, "min": 60}
# What there should be none of.
_ODD = {
    "unlisted": "rows of which the state knows nothing: it was lost, or is older than the tables",
    "set_aside": "messages of the queue that could not be understood: see state/set-aside/",
}


def show_tour(done: Mapping[str, Any]) -> None:
    """Print what the demo did."""
    console = Console()
    before, after = done["before"], done["accounting"]
    if before["features"]:
        console.print(f"Already there: {before['features']} features, PCA version {before['pca_version']}.")
    show_accounting(after)
    console.print()
    show_refresh(done["refreshes"][-1])
    answer = Table(title="Which kinds look alike to the network?", title_justify="left")
    for name in done["answer"][0] if done["answer"] else ():
        answer.add_column(name)
    for row in done["answer"]:
        answer.add_row(*map(str, row.values()))
    console.print(answer)
    for name, place in done["where"].items():
        console.print(f"{name + ':':<15} {place}", highlight=False)
    console.print(f'Done in {sum(done["stages"].values()):.0f} s. Go on: [bold]fruits query "FROM features LIMIT 3"[/]')


def show_accounting(accounting: Mapping[str, Any]) -> None:
    """Print how the stream is doing, and where every object is."""
    a = accounting
    console = Console()
    console.print(f"[bold]{a['stream']['state']}[/]: {escape(a['stream']['says'])}", highlight=False, soft_wrap=True)
    reasons = ", ".join(f"{count} {reason}" for reason, count in a["rejects"].items())
    rows = [
        ("landing zone", a["landed"], _waiting(a)),
        ("under way", a["under_way"], _under_way(a)),
        ("features", a["features"], _files(a) if a["features"] else ""),
        ("rejects", sum(a["rejects"].values()), reasons),
        ("reduced", a["reduced"], _freshness(a)),
        *([("last batch", a["last_batch"]["objects"], _batch(a["last_batch"]))] if a["last_batch"] else ()),
        *((name.replace("_", " "), a[name], remark) for name, remark in _ODD.items() if a[name]),
    ]
    table = Table(box=None, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(justify="right")
    table.add_column()
    for name, count, remark in rows:
        table.add_row(name, str(count), remark)
    console.print(table)


def show_refresh(summary: Mapping[str, Any]) -> None:
    """Print what a PCA refresh did."""
    ratios = summary["explained_variance_ratio"]
    table = Table(box=None, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    table.add_row("PCA version", str(summary["pca_version"]))
    table.add_row(
        "fitted on", f"{summary['n']} vectors of {summary['d']}, features version {summary['features_version']}"
    )
    if (added := summary["rows_added"]) is not None:
        share = added / summary["n"]
        table.add_row("", f"{added} of them new ({share:.1%}), {summary['rows_removed']} gone since the last refresh")
    if (error := summary["sums_error"]) is not None:
        table.add_row("", f"all read again: the running sums were off by {error:.0e}")
    table.add_row("model", summary["model_id"])
    table.add_row("components", f"{summary['k']}, explaining {sum(ratios):.1%} of the variance")
    table.add_row("", f"the first three {', '.join(f'{ratio:.1%}' for ratio in ratios[:3])}")
    table.add_row("", ", ".join(f"{k} for {share}" for share, k in summary["components_for"].items()))
    table.add_row("", f"{summary['broken_stick']} explain more than chance would give them (broken stick)")
    if summary["near_degenerate"]:
        table.add_row("", f"{summary['near_degenerate']} vary so much like the next that the two may turn at a refit")
    if drift := summary["drift"]:
        table.add_row(f"against {summary['compared_to']}", _drift(drift))
    table.add_row("seconds", ", ".join(f"{stage} {s:.1f}" for stage, s in summary["seconds"].items()))
    Console().print(table)


def _drift(drift: Mapping[str, Any]) -> str:
    return (
        f"mean moved by {drift['mean_shift']:.1%} of the spread, variance {drift['variance_change']:+.1%}, "
        f"its components explain {100 * drift['explained_change']:+.1f} points, "
        f"largest angle {math.degrees(drift['principal_angles'][-1]):.1f}°"
    )


def _freshness(a: Mapping[str, Any]) -> str:
    if a["pca_version"] is None:
        return "`fruits refresh` makes them"
    since = a["features_since_pca"]
    if since is None:
        return f"PCA version {a['pca_version']}"
    return f"PCA version {a['pca_version']}, " + (f"{since} features have come since" if since else "up to date")


def _waiting(a: Mapping[str, Any]) -> str:
    if not a["waiting"]:
        return ""
    return f"{a['waiting']} of them wait for a stream, the oldest for {_duration(a['lag_seconds'])}"


def _under_way(a: Mapping[str, Any]) -> str:
    if not a["under_way"]:
        return ""
    return "the stream has them" if a["stream"]["state"] == "running" else "a stream takes them up at its next start"


def _files(a: Mapping[str, Any]) -> str:
    keys = "" if a["current"] is None else f"of {a['current']} keys, "
    mean = a["features_bytes"] / a["features_files"] / 1e6
    return f"{keys}the last at {a['last_ingested']:{_CLOCK}}; {a['features_files']} files of {mean:.2g} MB"


def _batch(told: Mapping[str, Any]) -> str:
    return (
        f"at {datetime.fromisoformat(told['at']):{_CLOCK}}: {told['images_per_second']:.3g} a second; "
        f"the oldest could be queried {_duration(told['oldest_age_seconds'])} after it landed"
    )


def _duration(seconds: float) -> str:
    for unit, size in _UNITS.items():
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
