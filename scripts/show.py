"""Summaries as a person reads them. Commands with --json print the same figures for machines."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from scripts.console import Console
from scripts.screen import show_accounting
from scripts.terminal import cards
from scripts.wording import printable

# Wider than any row, where nobody folds it.
_UNFOLDED = 2_000


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
        answer.add_row(*(escape(str(value)) for value in row.values()))
    console.print(answer)
    for name, place in done["where"].items():
        console.print(f"{name + ':':<15} {place}", highlight=False)
    console.print(f"Done in {sum(done['stages'].values()):.0f} s. Look at it: [bold]fruits explore[/]")


def show_refresh(summary: Mapping[str, Any]) -> None:
    """Print what a PCA refresh did."""
    ratios, refitted = summary["explained_variance_ratio"], summary["action"] == "refit"
    table = Table(box=None, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    table.add_row(
        "PCA version", f"{summary['pca_version']}{'' if refitted else ', which stands: nothing was refitted'}"
    )
    table.add_row("vectors", f"{summary['rows']} of {summary['d']} features, version {summary['features_version']}")
    if (added := summary["rows_added"]) is not None:
        share = added / summary["rows"]
        table.add_row("", f"{added} of them new ({share:.1%}), {summary['rows_removed']} gone since the last refresh")
    if summary["all_rows"]:
        table.add_row("", f"all were read: {summary['all_rows']}")
    if (error := summary["sums_error"]) is not None:
        table.add_row("", f"the running sums were off by {error:.0e}")
    if not refitted:
        table.add_row("fitted on", f"{summary['n']} vectors")
    table.add_row("model", summary["model_id"])
    table.add_row("components", f"{summary['k']}, explaining {sum(ratios):.1%} of the variance")
    table.add_row("", f"the first three {', '.join(f'{ratio:.1%}' for ratio in ratios[:3])}")
    table.add_row("", ", ".join(f"{k} for {share}" for share, k in summary["components_for"].items()))
    table.add_row("", f"{summary['broken_stick']} explain more than chance would give them (broken stick)")
    if summary["near_degenerate"]:
        table.add_row("", f"{summary['near_degenerate']} vary so much like the next that the two may turn at a refit")
    if drift := summary["drift"]:
        table.add_row(f"against {summary['compared_to']}" if refitted else "since then", _drift(drift))
        table.add_row("", f"the largest of the first three, {summary['drift_size']:.3g}, is what --if-drift looks at")
    table.add_row("seconds", ", ".join(f"{stage} {s:.1f}" for stage, s in summary["seconds"].items()))
    Console().print(table)


def show_outlook(outlook: Mapping[str, Any]) -> None:
    """Print what a PCA refresh would do."""
    table = Table(box=None, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    now = outlook["published"]
    says = {
        "nothing": f"do nothing: reduced is up to date, by PCA version {now}",
        "refit": "refit, and write all vectors anew",
        "project": "refit nothing; write the vectors that the model asked for makes",
        "refit or project": "refit if the rows have drifted that far; else project what is new",
    }
    table.add_row("would", says[outlook["action"]])
    table.add_row("features", f"version {outlook['features_version']}, {_size(outlook['features_bytes'])}")
    if outlook["rows_added"] is not None:
        table.add_row("", f"{outlook['rows_added']} rows new, {outlook['rows_removed']} gone since the last refresh")
    if outlook["all_rows"]:
        table.add_row("", f"all rows would be read: {outlook['all_rows']}")
    if outlook["action"] != "nothing":
        table.add_row("to read", f"{_size(outlook['bytes_to_fit'])} for the sums")
        refits = ", and all where it refits" if outlook["bytes_to_project"] < outlook["features_bytes"] else ""
        table.add_row("", f"{_size(outlook['bytes_to_project'])} for the vectors{refits}")
    Console().print(table)


def show_evaluation(summary: Mapping[str, Any]) -> None:
    """Print what k components tell of the labels."""
    console = Console()
    s = summary
    console.print(
        f"{s['held_out']} photographs held out, told by {s['fitted']} others, of {s['labels']} labels. "
        f"To guess the most frequent one is right in {s['most_frequent']:.1%}.",
        highlight=False,
        soft_wrap=True,
    )
    if s["left_out"]:
        console.print(f"{s['left_out']} left out, as they have no label or are the only ones of it.", highlight=False)
    table = Table(box=None, header_style="bold")
    for name in ("k", "variance", "nearest mean", f"{s['neighbours']} nearest", "purity"):
        table.add_column(name, justify="right")
    for told in (*s["reduced"], s["features"]):
        shares = (told[name] for name in ("explained", "centroid", "neighbours", "purity"))
        k = "all features" if told is s["features"] else str(told["k"])
        table.add_row(k, *(f"{share:.1%}" for share in shares))
    console.print(table)
    console.print(
        f"{s['enough']} components are enough: of those tried, the fewest that tell neighbours as well as the best, "
        f"up to its standard error. The settings ask for {s['k']}.",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"{s['parallel_analysis']} vary more than those of random features would (parallel analysis).",
        highlight=False,
        soft_wrap=True,
    )


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def _drift(drift: Mapping[str, Any]) -> str:
    angles = drift["principal_angles"]
    return (
        f"mean moved by {drift['mean_shift']:.1%} of the spread, variance {drift['variance_change']:+z.1%}, "
        f"its components explain {100 * drift['explained_change']:+z.1f} points"
        + (f", largest angle {math.degrees(angles[-1]):.1f}°" if angles else "")
    )


def show_similar(neighbours: Sequence[Mapping[str, Any]], pictures: Sequence[bytes | None]) -> None:
    """Print the photographs nearest to one; their pictures first, where there are any to show."""
    console = Console()
    if not console.is_terminal:
        # A key is for a program to read there, and stays in one piece.
        console.width = _UNFOLDED
    if pictures:
        captions = [f"{number} {printable(one['label'])}" for number, one in enumerate(neighbours, 1)]
        console.print(cards(pictures, captions))
    table = Table(box=None)
    for name in ("", "distance", "label", "key"):
        table.add_column(name, justify="left" if name in ("label", "key") else "right", overflow="fold")
    for number, one in enumerate(neighbours, 1):
        table.add_row(
            str(number), f"{one['distance']:.3f}", *(escape(printable(one[name])) for name in ("label", "key"))
        )
    console.print(table, highlight=False)
