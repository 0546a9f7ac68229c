"""The explorer's page: one HTML file with plotly.js, the vectors and small pictures in it, which asks no network.

`page.html` says where each part goes; `explorer.js` draws from them. Pictures go into the file as they come.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scripts.overview import Overview
from scripts.palette import COLOURS, REST
from scripts.sample import Sample

# What stands for a picture whose photograph is not there any more.
_GONE = "-"


def write(place: Path, told: Overview, sample: Sample, pictures: Iterable[bytes | None]) -> None:
    """Write the page.

    Parameters
    ----------
    pictures
        WebP files of the first photographs of the sample, in its order; None where there is none.
    """
    parts: dict[str, Iterable[str]] = {
        "style": [_text("style.css")],
        "about": [_json(_about(told))],
        "photographs": [_json(_columns(sample.rows, told))],
        "vectors": [_base64(np.asfortranarray(sample.vectors, dtype="<f4").tobytes("F"))],
        "pictures": (f"{_base64(data) if data else _GONE}\n" for data in pictures),
        "plotly": [plotly := _plotly()],
        "script": [script := _text("explorer.js")],
        "scripts": [" ".join(map(_hash, (plotly, script)))],
    }
    with place.open("w", encoding="utf-8") as page:
        page.writelines(_filled(_text("page.html"), parts))


def _filled(template: str, parts: dict[str, Iterable[str]]) -> Iterator[str]:
    opening, closing = "<!--fill:", "-->"
    before, *rest = template.split(opening)
    yield before
    for piece in rest:
        name, after = piece.split(closing, 1)
        yield from parts[name]
        yield after


def _about(told: Overview) -> dict[str, Any]:
    pca = told.pca
    return {
        "place": told.place,
        "made_at": told.made_at,
        "accounting": asdict(told.accounting),
        "pca_version": told.pca_version,
        "model_id": told.model_id,
        "reduced": told.reduced,
        "k": pca.k_,
        "d": len(pca.mean_),
        "scree": pca.scree_.tolist(),
        "labels": told.labels,
        "refits": told.refits,
        "rejects": told.rejects,
        "arrivals": asdict(told.arrivals),
        "colours": COLOURS,
        "rest": REST,
    }


def _columns(rows: pa.Table, told: Overview) -> dict[str, list[Any]]:
    """A list a column, times in milliseconds; of labels, their places in `labels`."""
    labels = pa.array([one["label"] for one in told.labels], pa.string())
    plain = {name: rows[name].to_pylist() for name in ("key", "etag", "sha256", "size", "width", "height", "format")}
    return plain | {
        "label": pc.index_in(rows["label"], labels).to_pylist(),
        "batch": rows["batch_id"].to_pylist(),
        "landed": [_milliseconds(time) for time in rows["last_modified"].to_pylist()],
    }


def _json(value: Any) -> str:
    """JSON that can stand in a page: no text of the store ends the element that it stands in, or begins another."""
    return json.dumps(value, default=_milliseconds, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def _hash(script: str) -> str:
    """By which the page's policy knows a script, as it stands between its tags: no other may run."""
    return f"'sha256-{_base64(hashlib.sha256(script.encode()).digest())}'"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _plotly() -> str:
    """The library itself. Read as a file: to import plotly for it would take a second."""
    from importlib.util import find_spec

    package = find_spec("plotly")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("plotly, which carries plotly.js")
    return Path(package.origin).with_name("package_data").joinpath("plotly.min.js").read_text(encoding="utf-8")
