"""What `fruits status` shows a person: one screen, the stream first, what to do about it last."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from scripts.accounting import Accounting
from scripts.console import Console
from scripts.findings import Finding, Severity, need_a_hand
from scripts.wording import by_reason, clock, count, duration, printable

# What there should be none of.
_ODD = {
    "unlisted": "rows of which the state knows nothing: it was lost, or is older than the tables",
    "set_aside": "messages of the queue that could not be understood: see state/set-aside/",
}
# A word says how much it matters; colour is an addition.
_SIGNS = {Severity.FAILED: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "bold cyan"}
_STATES = {"running": "bold green", "dead": "bold red", "stopped": "bold yellow"}
WELL = "All is well."


class Screen:
    """One screen of text. Where there is no room for all of its lines, figures are left out, and findings stay."""

    def __init__(self, status: Accounting, room: int | None = None, foot: str = "") -> None:
        self._figures = asdict(status)
        self._findings = status.findings
        self._room = room
        self._foot = foot

    def __rich_console__(self, console: RichConsole, options: ConsoleOptions) -> RenderResult:
        def lines(*parts: Text | Table) -> list[list[Segment]]:
            return [line for part in parts for line in console.render_lines(part, options, pad=False)]

        head, figures = lines(_state(self._figures)), lines(_table(self._figures))
        foot = [[], *lines(*self._verdict()), *(lines(Text(self._foot, "dim")) if self._foot else [])]
        if self._room is not None:
            figures = figures[: max(0, self._room - len(head) - len(foot))]
        for line in (head + figures + foot)[: self._room]:
            yield from line
            yield Segment.line()

    def _verdict(self) -> Iterator[Text | Table]:
        if not need_a_hand(self._findings):
            yield Text(f"{WELL} Worth knowing:" if self._findings else WELL, "bold green")
        if self._findings:
            yield findings_table(self._findings)


def show_status(status: Accounting) -> None:
    """Print how the stream is doing, where every object is, and what to do."""
    console = Console()
    console.print(Screen(status), end="", highlight=False)


def show_accounting(accounting: Mapping[str, Any]) -> None:
    """Print how the stream is doing, and where every object is."""
    console = Console()
    console.print(_state(accounting), _table(accounting), sep="\n", highlight=False)


def _state(a: Mapping[str, Any]) -> Text:
    stream = a["stream"]
    return Text.assemble((str(stream["state"]), _STATES.get(stream["state"], "bold")), f": {printable(stream['says'])}")


def findings_table(findings: tuple[Finding, ...]) -> Table:
    """What is wrong, and below each what to do."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(Text(str(finding.severity), _SIGNS[finding.severity]), Text(printable(finding.says)))
        table.add_row("", Text(f"-> {finding.do}", "bold"))
    return table


def _table(a: Mapping[str, Any]) -> Table:
    rejects = sum(a["rejects"].values())
    rows = [
        ("landing zone", a["landed"], _landing(a)),
        ("waiting", a["waiting"], _waiting(a)),
        ("under way", a["under_way"], _under_way(a)),
        ("features", a["features"], _files(a) if a["features"] else ""),
        ("rejects", rejects, _refused(a) if rejects else ""),
        ("reduced", a["reduced"], _freshness(a)),
        *([("last batch", a["last_batch"].get("objects"), _batch(a))] if a["last_batch"] else ()),
        *((name.replace("_", " "), a[name], remark) for name, remark in _ODD.items() if a[name]),
    ]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for name, number, remark in rows:
        table.add_row(name, str(number), Text(printable(remark)))
    return table


def _landing(a: Mapping[str, Any]) -> str:
    return (
        f"{count(round(600 * a['landed_per_second']), 'object')} landed in the last ten minutes"
        if a["landed_per_second"]
        else ""
    )


def _waiting(a: Mapping[str, Any]) -> str:
    if not a["backlog"]:
        return ""
    waits = f"the oldest for {duration(a['lag_seconds'])}; " if a["waiting"] else ""
    left = a["backlog_seconds"]
    return f"{waits}{a['backlog']} to do" + (f", which takes about {duration(left)}" if left else "")


def _under_way(a: Mapping[str, Any]) -> str:
    if not a["under_way"]:
        return ""
    return "the stream has them" if a["stream"]["state"] == "running" else "a stream takes them up at its next start"


def _files(a: Mapping[str, Any]) -> str:
    keys = "" if a["current"] is None else f"of {a['current']} keys, "
    mean = a["features_bytes"] / a["features_files"] / 1e6
    return f"{keys}the last at {clock(a['last_ingested'])}; {a['features_files']} files of {mean:.2g} MB"


def _refused(a: Mapping[str, Any]) -> str:
    new = ", ".join(
        f"{sum(a[name].values())} in the last {period}"
        for name, period in (("rejects_last_hour", "hour"), ("rejects_last_day", "day"))
        if a[name] is not None
    )
    return by_reason(a["rejects"]) + (f"; {new}" if new else "")


def _freshness(a: Mapping[str, Any]) -> str:
    at_work = f"; {a['refreshing']} is at a refresh" if a["refreshing"] else ""
    if a["pca_version"] is None:
        return f"`fruits refresh` makes them{at_work}"
    since = a["features_since_pca"]
    new = "" if since is None else f"{since} features have come since" if since else "up to date"
    fitted, published = (a[name] and f"{word} {clock(a[name])}" for name, word in _TIMES.items())
    told = (f"PCA version {a['pca_version']}", fitted, published, new)
    return ", ".join(part for part in told if part) + at_work


_TIMES = {"fitted_at": "fitted", "published_at": "published"}


def _batch(a: Mapping[str, Any]) -> str:
    told = a["last_batch"]
    at, rate, oldest = told.get("at"), told.get("images_per_second"), told.get("oldest_age_seconds")
    parts = (
        at and f"at {clock(datetime.fromisoformat(at))}",
        rate and f"{rate:.3g} a second",
        oldest is not None and f"the oldest could be queried {duration(oldest)} after it landed",
    )
    return ", ".join(part for part in parts if part)
