"""`fruits doctor`: looks at what Fruits! needs, one thing at a time, with the remedy for each that is missing."""

from collections.abc import Callable, Iterator

import click

from conf.errors import FruitsError
from conf.settings import Settings
from scripts.session import opened, takes_settings

Check = tuple[str, Callable[[], str]]


@click.command(name="doctor")
@takes_settings
@click.pass_context
def command(ctx: click.Context, settings: Settings) -> None:
    """Check Java, jars, model and store; say what to do about what is missing. Exit status 1 where anything is.

    \b
    fruits doctor
    fruits doctor --profile aws
    """
    failed = False
    for name, check in _checks(settings):
        try:
            click.echo(f"ok      {name}: {check()}")
        except FruitsError as error:
            failed = True
            click.echo(f"FAILED  {name}: {error}")
    ctx.exit(int(failed))


def _checks(settings: Settings) -> Iterator[Check]:
    yield "python", _python
    if settings.spark.master:
        yield "java", _java
    if settings.spark.bring_jars:
        yield "jars", _jars
    yield "model", lambda: _model(settings)
    yield "store", lambda: _store(settings)


def _python() -> str:
    import sys

    return f"{sys.version.split()[0]}, {sys.executable}"


def _java() -> str:
    from conf.java import find_java

    java = find_java()
    return f"{java.major}, {java.home}"


def _jars() -> str:
    from conf.jars import spark_jars

    jars = spark_jars()
    return f"{len(jars)} with the right sha256, {jars[0].parent}"


def _model(settings: Settings) -> str:
    from streaming.model import load_model

    model = load_model(settings.model.architecture, settings.model.weights, settings.model.engine)
    return f"{model.recipe.model_id}, {len(model.payload) / 1e6:.0f} MB for {model.recipe.engine}"


def _store(settings: Settings) -> str:
    from conf.s3 import check_bucket

    with opened(settings) as settings:
        check_bucket(settings.storage)
        return f"bucket {settings.storage.bucket} answers at {settings.storage.endpoint or settings.storage.region}"
