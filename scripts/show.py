"""Summaries as a person reads them. Commands with --json print the same figures for machines."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


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
    """Print where every object is."""
    a = accounting
    rejects = sum(a["rejects"].values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in a["rejects"].items())
    rows = [
        ("landing zone", a["landed"], f"{a['waiting']} of them wait for a stream" if a["waiting"] else ""),
        ("features", a["features"], f"the last at {a['last_ingested']:%Y-%m-%d %H:%M:%S} UTC" if a["features"] else ""),
        ("rejects", rejects, reasons),
        (
            "under way",
            a["under_way"],
            "a stream has them, or takes them up at its next start" if a["under_way"] else "",
        ),
        ("reduced", a["reduced"], _freshness(a)),
    ]
    table = Table(box=None, show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column()
    for name, count, remark in rows:
        table.add_row(name, str(count), remark)
    Console().print(table)


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
    table.add_row("model", summary["model_id"])
    table.add_row("components", f"{summary['k']}, explaining {sum(ratios):.1%} of the variance")
    table.add_row("", f"the first three {', '.join(f'{ratio:.1%}' for ratio in ratios[:3])}")
    table.add_row("seconds", ", ".join(f"{stage} {s:.1f}" for stage, s in summary["seconds"].items()))
    Console().print(table)


def _freshness(a: Mapping[str, Any]) -> str:
    if a["pca_version"] is None:
        return "`fruits refresh` makes them"
    since = a["features_since_pca"]
    if since is None:
        return f"PCA version {a['pca_version']}"
    return f"PCA version {a['pca_version']}, " + (f"{since} features have come since" if since else "up to date")
