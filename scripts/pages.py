"""The report's two pages, drawn by matplotlib: nothing to click, and the same figures as the explorer has."""

import io
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.dates as dates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from scripts.overview import Overview
from scripts.palette import COLOURS, REST
from scripts.sample import Sample
from scripts.wording import by_reason

LABELS = 12
"""So many labels, the most frequent ones, have a colour and a row of pictures."""
EACH = 4
"""So many pictures a label."""
_A4 = (8.27, 11.69)
# Each colour twice.
_SHAPES = ("o", "D")
# Text of the store is text: a label with two dollars in it is no formula. And text stays text in an SVG.
_STYLE = {
    "text.parse_math": False,
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.dpi": 150,
}
_WIDE = 95
_TITLE = 0.9  # inches
_SMALL = 0.005
# More than these would leave no room for the map.
_FINDINGS, _LINES = 5, 22


Pictures = Mapping[str, Sequence[bytes]]
"""By label, small pictures of some photographs of it."""


def write(place: Path, form: str, told: Overview, sample: Sample, pictures: Pictures) -> None:
    """Write both pages as a PDF, or as an HTML page of two SVG drawings."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A script that the font lacks is drawn as boxes in a PDF; a browser has others.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        pages = [_first(told, sample, pictures), _second(told)]
        title = f"Photographs of {told.place}"
        if form == "pdf":
            with PdfPages(place, metadata={"Title": title, "Creator": "Fruits!"}) as file:
                for page in pages:
                    file.savefig(page)
        else:
            place.write_text(_html(title, "\n".join(sentences(told, len(sample))), pages), encoding="utf-8")


def sentences(told: Overview, shown: int) -> list[str]:
    """The report in words; of how many photographs its map has."""
    a, pca = told.accounting, told.pca
    refused = sum(a.rejects.values())
    kinds = by_reason(a.rejects)
    part = f"{shown:,} of them, chosen evenly, are" if shown < told.reduced else "all are"
    first = f"{told.reduced:,} photographs of {len(told.labels):,} labels have a vector; {part} in the map below."
    said = [
        first + (f" {a.features_since_pca:,} came since the last refresh." if a.features_since_pca else ""),
        f"{refused:,} objects were refused: {kinds}." if refused else "No object was refused.",
        f"{a.backlog:,} wait to be featurized." if a.backlog else "Nothing waits to be featurized.",
        f"PCA version {told.pca_version} keeps {pca.k_} of {len(pca.mean_):,} dimensions, "
        f"and {pca.explained_variance_ratio_.sum():.1%} of the variance.",
        f"Stream {a.stream.state}: {a.stream.says}.",
    ]
    refit = next(one for one in told.refits if one["pca_version"] == told.pca_version)
    if refit["mean_shift"] is not None:
        said.append(
            f"Against PCA version {refit['compared_to']}, the mean has moved by {refit['mean_shift']:.1%} of the "
            f"spread, and the variance by {refit['variance_change']:+z.1%}."
        )
    said += [f"{one.severity.capitalize()}: {one.says}" for one in a.findings[:_FINDINGS]] or ["All is well."]
    if a.findings:
        said.append("`fruits status` says what to do.")
    return said


def _page() -> Figure:
    return Figure(figsize=_A4, layout=ConstrainedLayoutEngine(rect=(0.05, 0.03, 0.9, 0.94)))


def _first(told: Overview, sample: Sample, pictures: Pictures) -> Figure:
    page = _page()
    lines = [line for said in sentences(told, len(sample)) for line in textwrap.wrap(said, _WIDE)]
    lines = lines if len(lines) <= _LINES else [*lines[:_LINES], "…"]
    text = 0.19 * (len(lines) + 1)  # inches
    heights = (_TITLE + text, (_A4[1] - _TITLE - text) * 0.54, (_A4[1] - _TITLE - text) * 0.46)
    (head,), (middle,), (foot,) = page.subfigures(3, 1, squeeze=False, height_ratios=heights)
    place = "\n".join(textwrap.wrap(f"{told.place} · {told.made_at:%Y-%m-%d %H:%M} UTC", _WIDE))
    head.text(0, 0.97, "What is in these photographs?", fontsize=18, weight="bold", va="top")
    head.text(0, 1 - 0.45 / heights[0], place, color="#5b6066", va="top")
    head.text(0, text / heights[0], "\n".join(lines), va="top", linespacing=1.4)
    _map(middle.subplots(), told, sample)
    _contact_sheet(foot, told, pictures)
    return page


def _map(axes: Axes, told: Overview, sample: Sample) -> None:
    """The first two components of each photograph."""
    labels = sample.rows["label"].to_pylist()
    places = {one["label"]: at for at, one in enumerate(told.labels[:LABELS])}
    groups = np.array([places.get(label, LABELS) for label in labels])
    size = 4 if len(sample) > 5_000 else 14
    for group in sorted({*groups.tolist()}, reverse=True):
        rows = sample.vectors[groups == group]
        name = told.labels[group]["label"] or "(no label)" if group < LABELS else "others"
        colour = COLOURS[group % len(COLOURS)] if group < LABELS else REST
        shape = _SHAPES[group // len(COLOURS)] if group < LABELS else "o"
        second = rows[:, 1] if rows.shape[1] > 1 else np.full(len(rows), group)
        axes.scatter(
            rows[:, 0],
            second,
            s=size,
            c=colour,
            marker=shape,
            label=_short(name),
            alpha=0.8,
            linewidths=0,
            rasterized=True,
        )
    axes.set_title("What looks alike to the network lies close together")
    axes.set_xlabel(f"component 1 ({told.pca.scree_[0]:.1%})")
    axes.set_ylabel(f"component 2 ({told.pca.scree_[1]:.1%})" if sample.vectors.shape[1] > 1 else "label")
    handles, names = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], names[::-1], loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, markerscale=2)


def _contact_sheet(part: SubFigure, told: Overview, pictures: Pictures) -> None:
    """A few photographs of each label that has a row, the most typical ones."""
    which = "each label" if len(told.labels) <= LABELS else f"the {LABELS} most frequent labels"
    part.suptitle(f"The most typical of {which}", x=0, ha="left", fontsize=11)
    shown = [(label, some) for label, some in pictures.items() if some]
    columns = 3
    lines = max(1, -(-len(shown) // columns))
    grid = part.subplots(lines, columns * EACH, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for at, (label, some) in enumerate(shown):
        line, column = at // columns, at % columns * EACH
        grid[line, column].set_title(_short(label or "(no label)"), fontsize=8)
        for axes, data in zip(grid[line, column : column + EACH], some, strict=False):
            axes.imshow(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def _second(told: Overview) -> Figure:
    page = _page()
    (top,), (middle,), (low,), (foot,) = page.subfigures(4, 1, squeeze=False)
    _scree(top.subplots(), told)
    _refits(middle.subplots(), told)
    _arrivals(low.subplots(), told)
    _rejects(foot, told)
    return page


def _scree(axes: Axes, told: Overview) -> None:
    pca = told.pca
    shown = min(len(pca.scree_), max(60, int(1.5 * pca.k_)))
    numbers = np.arange(1, shown + 1)
    axes.bar(numbers, pca.scree_[:shown], width=1, color=COLOURS[0])
    axes.set_title(f"Variance by component (bars) and in all (line): {pca.k_} are kept")
    axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
    cumulative = axes.twinx()
    cumulative.plot(numbers, np.cumsum(pca.scree_)[:shown], color=COLOURS[1], linewidth=2)
    cumulative.set_ylim(0, 1.02)
    cumulative.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
    axes.axvline(pca.k_, color="black", linestyle=":")
    axes.set_xlabel("component")


def _refits(axes: Axes, told: Overview) -> None:
    compared = [refit for refit in told.refits if refit["mean_shift"] is not None]
    axes.set_title("How far each refit is from the one before")
    if not compared:
        axes.axis("off")
        axes.text(0, 0.8, "There has been no refit to compare with another yet.", transform=axes.transAxes)
        return
    versions = [str(refit["pca_version"]) for refit in compared]
    for at, (name, field) in enumerate(
        [
            ("mean moved", "mean_shift"),
            ("variance", "variance_change"),
            ("explained by the one before (points)", "explained_change"),
        ]
    ):
        values = [refit[field] for refit in compared]
        axes.plot(versions, values, "oDs"[at] + "-", color=COLOURS[at], label=name)
    axes.axhline(0, color=REST, linewidth=0.8)
    # What is but rounding is not to look like a change.
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -_SMALL), max(high, _SMALL))
    axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
    axes.set_xlabel("PCA version")
    axes.legend(frameon=False, ncols=3, loc="upper left", bbox_to_anchor=(0, -0.2))


def _arrivals(axes: Axes, told: Overview) -> None:
    counts, seconds = told.arrivals.counts, told.arrivals.seconds
    axes.set_title(f"Photographs by the {told.arrivals.every} in which they landed (UTC)")
    if len(counts) == 1:
        axes.axis("off")
        axes.text(0, 0.8, f"All {counts[0]['photographs']:,} in one, from {counts[0]['began']:%Y-%m-%d %H:%M:%S}.")
        return
    begun = [one["began"].replace(tzinfo=None) for one in counts]
    axes.bar(
        begun,
        [one["photographs"] for one in counts],
        width=seconds / 86_400,  # days
        align="edge",
        color=COLOURS[2],
    )
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(axes.xaxis.get_major_locator()))


def _rejects(part: SubFigure, told: Overview) -> None:
    lines: list[tuple[Any, ...]] = [
        (one["reason"], one["objects"], _short(one["examples"][0]["key"], 40), _short(one["examples"][0]["detail"], 56))
        for one in told.rejects
    ]
    part.text(0, 0.97, "Refused, with the newest of each", fontsize=11, va="top")
    if not lines:
        part.text(0, 0.85, "Nothing.", va="top")
    for row, line in enumerate(lines):
        for left, value in zip((0, 0.17, 0.22, 0.53), line, strict=True):
            part.text(left, 0.85 - 0.075 * row, str(value), va="top", fontsize=7.5)


_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    """content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">"""
)


def _html(title: str, words: str, pages: Sequence[Figure]) -> str:
    drawings = []
    for page in pages:
        written = io.StringIO()
        page.savefig(written, format="svg")
        drawings.append(written.getvalue().partition("<svg")[2])
    style = (
        "body{margin:0 auto;max-width:900px;font-family:sans-serif}svg{width:100%;height:auto}"
        ".words{position:absolute;left:-9999px}"
    )
    body = "\n".join(f'<svg role="img" aria-label="Page {at}"{drawing}' for at, drawing in enumerate(drawings, 1))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{_POLICY}<title>{escape(title)}</title>'
        f"<style>{style}</style></head><body>\n"
        f'<div class="words"><h1>{escape(title)}</h1><p>{escape(words)}</p></div>\n{body}\n</body></html>\n'
    )


def _short(text: str, most: int = 18) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
