"""`fruits similar`: which photographs look most like one, without Spark."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from conf.settings import Settings
from scripts.progress import bar
from scripts.session import opened, say, takes_settings, takes_space

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from batch.spaces import Space, SpaceName
    from conf.settings import Storage


@click.command(name="similar")
@takes_settings
@click.argument("what", metavar="FILE|KEY")
@click.option("-n", "count", type=click.IntRange(1), default=10, show_default=True, help="How many.")
@takes_space
@click.option("--pictures/--no-pictures", default=None, help="Default: in a terminal with sixteen million colours.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(
    settings: Settings, what: str, count: int, space: "SpaceName", pictures: bool | None, as_json: bool
) -> None:
    """Find the photographs that look most like one: a file on this machine, or a key of the landing zone.

    A file is featurized as a stream would, and nothing of it is kept. The search is exact.

    \b
    fruits similar photos/pear/0.jpg
    fruits similar pear/0.jpg -n 3 --space features
    """
    import json
    from dataclasses import asdict

    from batch.similar import nearest
    from batch.spaces import space_of
    from conf.errors import DataError
    from scripts.console import Console
    from scripts.show import show_similar
    from scripts.terminal import shows_pictures

    with opened(settings, reading=True) as settings:
        with bar("Opening the tables"):
            where = space_of(settings.storage, space)
        path, key = Path(what), None
        if path.is_file():
            with bar(f"Featurizing {path.name}"):
                vector = where.project(_features(settings, path, where.model_id))
        else:
            key, found = _find(settings, where, what)
            if found is None:
                later = " --space features has those that came since the last refresh, too." * (space == "reduced")
                raise DataError(
                    f"{what} is no file here, and {key} no photograph of {settings.storage.table_uri(space)}. "
                    f'`fruits query "FROM {space} LIMIT 5"` shows what is there.{later}'
                )
            vector = found
        with bar("Looking at all vectors"):
            neighbours = [asdict(neighbour) for neighbour in nearest(where, vector, count, key)]
            shown = not as_json and (shows_pictures(Console()) if pictures is None else pictures)
            small = _pictures(settings, neighbours) if shown else []
    if as_json:
        click.echo(json.dumps(neighbours, indent=2))
    else:
        say(f"Nearest to {what} in {where.says}:")
        show_similar(neighbours, small)


def _find(settings: Settings, where: "Space", what: str) -> "tuple[str, NDArray[np.float32] | None]":
    """Of a photograph named by its URI, its key, or its place in the landing zone: its key there, and its vector."""
    key = re.sub(rf"^s3a?://{re.escape(settings.storage.bucket)}/", "", what)
    landing = settings.storage.landing
    key = key if key.startswith(landing) else landing + key
    found = where.find(key)
    if found is None:
        for row_key in _hashed(settings.storage, what, key):
            if (found := where.find(row_key)) is not None:
                return row_key, found
    return key, found


def _hashed(storage: "Storage", what: str, key: str) -> "Iterator[str]":
    """Where keys are hashed, what the tables may call it: as they show it, or as it is hashed."""
    from conf.delta import open_table
    from conf.naming import KEY_HASH, naming_of
    from conf.s3 import object_store

    features = open_table(storage, "features")
    if features is not None and KEY_HASH in features.metadata().configuration:
        yield what
        yield naming_of(object_store(storage), storage).row_key(key)


def _pictures(settings: Settings, neighbours: list[dict[str, Any]]) -> list[bytes | None]:
    """A small picture of each; None where it has left the store."""
    import pyarrow.dataset as ds

    from conf.delta import open_table, read_columns
    from streaming.manifests import Listed
    from streaming.thumbnails import thumbnails

    features = open_table(settings.storage, "features")
    columns = ("key", "etag", "size", "last_modified", "manifest")
    keys = ds.field("key").isin([one["key"] for one in neighbours])
    rows = read_columns(features, settings.storage, columns, keys).to_pylist() if features else []
    versions = {(row["key"], row["etag"]): Listed(**row) for row in rows}
    found = [versions.get((one["key"], one["etag"])) for one in neighbours]
    small = thumbnails(settings, [version for version in found if version])
    return [next(small) if version else None for version in found]


def _features(settings: Settings, path: Path, model_id: str) -> "NDArray[np.float32]":
    from conf.errors import ContractError, DataError
    from streaming.featurize import featurize
    from streaming.model import load_model
    from streaming.refusal import Refusal

    asked = settings.model
    model = load_model(asked.architecture, asked.weights, asked.engine)
    if model.recipe.model_id != model_id:
        raise ContractError(
            f"The settings name model {model.recipe.model_id}, and the vectors are of {model_id}: give the model.* "
            "settings that the stream has."
        )
    try:
        return featurize(path.read_bytes(), model, settings.images)
    except Refusal as refusal:
        raise DataError(f"{path} cannot be featurized: {refusal}. A stream would refuse it, too.") from None
