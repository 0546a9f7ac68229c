"""What `fruits audit` shows a person: what was looked at, who wrote it, and what is wrong with it."""

from collections.abc import Callable, Collection, Iterator, Sequence

from rich.table import Table
from rich.text import Text

from conf.commits import Commit
from scripts.auditing.audit import Audit
from scripts.console import Console
from scripts.findings import need_a_hand
from scripts.screen import WELL, findings_table
from scripts.wording import clock, count, printable


def show_audit(found: Audit) -> None:
    """Print it."""
    console = Console()
    for part in _parts(found):
        console.print(part, highlight=False)


def _parts(found: Audit) -> Iterator[Text | Table]:
    versions = ", ".join(f"{name} version {version}" for name, version in found.versions.items())
    yield Text(f"{found.store} at {clock(found.at)}: {versions or 'no table yet'}")
    yield _counts(found)
    yield from _writers(found)
    yield Text()
    if not need_a_hand(found.findings):
        yield Text(f"{WELL} Worth knowing:" if found.findings else WELL, "bold green")
    if found.findings:
        yield findings_table(found.findings)


def _counts(found: Audit) -> Table:
    entries, vectors = found.entries, found.vectors
    of = ", ".join(map(str, vectors.pca_versions))
    rows = [
        ("listed", entries.listed, "entries of manifests, each of which is to be one row"),
        ("features", entries.features, ""),
        ("rejects", entries.rejects, ""),
        ("under way", entries.under_way, ""),
        ("vouched for", entries.vouched, "rows whose manifest is gone, and which the sum of all manifests has"),
        ("given up", entries.given_up, "entries from before the state was made anew from the tables"),
        ("expired", entries.expired, "entries of manifests whose old rows of rejects were deleted"),
        ("forgotten", entries.forgotten, "entries that `fruits forget` took out"),
        ("being forgotten", entries.going, "entries without a row, and rows without an entry"),
        ("reduced", vectors.reduced, f"of PCA version {of}" if of else ""),
        ("leases", len(found.holders), "times that a stream or a refresh has begun, as far as the log goes back"),
    ]
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for name, number, remark in rows:
        if number or name not in ("vouched for", "given up", "expired", "forgotten", "being forgotten"):
            table.add_row(name, str(number), remark)
    return table


def _writers(found: Audit) -> Iterator[Text | Table]:
    """Each writer, with what it has committed to which table, in order of the first."""
    known = {hold.entry for hold in found.holders}
    for who, made in _grouped(found.commits, lambda commit: _who(commit, known)).items():
        yield Text()
        yield Text.assemble((who, "bold"), f", {clock(made[0].at)} to {clock(made[-1].at)}")
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 2))
        for name, alike in _grouped(made, lambda commit: f"{commit.table} {commit.operation or 'not told'}").items():
            rows = sum(commit.rows for commit in alike)
            table.add_row(Text(printable(name)), count(len(alike), "commit"), count(rows, "row"))
        yield table


def _grouped(commits: Sequence[Commit], name: Callable[[Commit], str]) -> dict[str, list[Commit]]:
    groups: dict[str, list[Commit]] = {}
    for commit in commits:
        groups.setdefault(name(commit), []).append(commit)
    return groups


def _who(commit: Commit, known: Collection[str]) -> str:
    if commit.by is None:
        return printable(f"unsigned ({commit.engine or 'engine not told'})")
    return printable(f"{commit.by.hold}{'' if commit.by.hold.entry in known else ', who is in no log of leases'}")
