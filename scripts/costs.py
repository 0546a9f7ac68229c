"""`fruits costs`: what it will cost on each platform, before anything is deployed."""

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from scripts.deployment import costs
from scripts.deployment.prices import prices

PAGE = Path(__file__).parent.parent / "docs" / "emr_setup.md"
_BEGIN, _END = "<!-- fruits costs -->\n", "<!-- end of fruits costs -->\n"
_NAMES = {"emr": "EMR Serverless", "ec2": "EMR on EC2", "databricks": "Databricks"}
_WAYS = {
    "up": "stream up, looks each second",
    "seldom": "stream up, looks each half minute",
    "hourly": "`stream --once` each hour",
    "off": "nothing runs",
}


@click.command(name="costs")
@click.option("--images", type=click.IntRange(min=1), multiple=True, help="So many photographs; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="The same for machines, in USD.")
def command(images: tuple[int, ...], as_json: bool) -> None:
    """Estimate what it costs on EMR Serverless, EMR on EC2 and Databricks, by the month and at first.

    Prices are those of Ireland, from a table that says where each is from; how fast a core is, was measured. Nothing is
    asked of AWS.

    \b
    fruits costs
    fruits costs --images 250000
    fruits costs --json
    """
    sizes = images or costs.SIZES
    if as_json:
        click.echo(json.dumps(figures(sizes), indent=2))
    elif sys.stdout.isatty():
        from rich.markdown import Markdown

        from scripts.console import Console

        Console().print(Markdown("\n".join(lines(sizes))))
    else:
        click.echo("\n".join(lines(sizes)))


def figures(sizes: tuple[int, ...]) -> dict[str, object]:
    """All that the tables are made of, in USD."""
    return {
        "usd_per_eur": prices()["assumptions"]["usd_per_eur"],
        "to_check": costs.to_check(),
        "first": [
            {"images": size, "photographs": kind.name, "platform": platform, **costs.first(size, kind, platform)}
            for size in sizes
            for kind in costs.KINDS
            for platform in costs.PLATFORMS
        ],
        "month": [
            {"images": size, "platform": platform, "how": how, **costs.month(size, costs.LARGE, platform, how)}
            for size in sizes
            for how in _WAYS
            for platform in costs.PLATFORMS
        ],
        "demonstration": costs.demonstration(),
    }


def lines(sizes: tuple[int, ...] = costs.SIZES) -> Iterator[str]:
    """Tables in Markdown: in EUR, without tax."""
    names = list(_NAMES.values())
    rate = prices()["assumptions"]["usd_per_eur"]
    yield f"In EUR without tax, at an assumed {rate:.2f} USD to the EUR, but for the last table, which is in USD."
    yield "Estimates for Ireland, free tiers left out."
    yield ""
    yield "**First ingestion**, and one refresh, with as many workers as `fruits deploy` allows:"
    yield ""
    yield from _row("photographs", "of", *names)
    yield from _row("---:", "---", *["---:"] * len(names))
    for kind in costs.KINDS:
        for size in sizes:
            yield from _row(f"{size:,}", kind.name, *(_first(size, kind, platform) for platform in costs.PLATFORMS))
    yield ""
    yield "**A month with nothing new**, the photographs (12 megapixels) kept in `landing/`:"
    yield ""
    yield from _row("photographs", "what runs", *names, "of it storage")
    yield from _row("---:", "---", *["---:"] * (len(names) + 1))
    for size in sizes:
        for how, said in _WAYS.items():
            each = [costs.month(size, costs.LARGE, platform, how) for platform in costs.PLATFORMS]
            yield from _row(f"{size:,}", said, *(_eur(costs.total(parts)) for parts in each), _eur(each[0]["storage"]))
    parts = costs.demonstration()
    yield ""
    yield "**A day's demonstration** on EMR Serverless, with all workers all the time:"
    yield ""
    yield from _row("", "USD")
    yield from _row("---", "---:")
    for name, usd in parts.items():
        yield from _row(name, f"{usd:.2f}")
    total = costs.total(parts)
    yield from _row("together", f"**{total:.2f}** = {costs.eur(total):.2f} EUR")
    yield ""
    unsure = f"No page that could be read confirms these prices for Ireland: {', '.join(costs.to_check())}."
    yield from textwrap.wrap(unsure, 118, break_long_words=False, break_on_hyphens=False)


def page_with(text: str) -> str:
    """A page with the tables of today between its two marks."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n" + "\n".join(lines()) + f"\n\n{_END}{after}"


def _row(*cells: str) -> Iterator[str]:
    yield f"| {' | '.join(cells)} |"


def _first(size: int, kind: costs.Photographs, platform: str) -> str:
    usd = costs.total(costs.first(size, kind, platform))
    return f"{_eur(usd)} ({_time(costs.hours_to_ingest(size, kind, platform))})"


def _eur(usd: float) -> str:
    value = costs.eur(usd)
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 2 else f"{max(1, round(hours * 60))} min"


if __name__ == "__main__":
    PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
