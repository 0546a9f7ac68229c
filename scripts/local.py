"""`fruits local`: keep the embedded S3 up between commands."""

import click

from scripts.progress import bar
from scripts.session import EMBEDDED_ROOT, say


@click.group(name="local")
def command() -> None:
    """Start, stop or look at the embedded S3.

    Commands start it by themselves and stop it at their end; kept up, each is a second quicker, and other tools can
    read it too. Its objects are files under .fruits/s3/buckets.
    """


@command.command()
def up() -> None:
    """Start the embedded S3 and leave it running.

    \b
    fruits local up
    """
    from conf.settings import load
    from scripts.embedded_s3 import up as start
    from scripts.session import connect

    with bar("Starting the embedded S3"):
        server = start(EMBEDDED_ROOT)
        connect(load("local"), server)
    say(f"The embedded S3 is up at {server.endpoint} (process {server.pid}). `fruits local down` stops it.")


@command.command()
def down() -> None:
    """Stop the embedded S3. What it holds stays.

    \b
    fruits local down
    """
    from scripts.embedded_s3 import down as stop

    say("Stopped." if stop(EMBEDDED_ROOT) else "It was not up.")


@command.command()
def env() -> None:
    """Print what points other tools (boto3, aws, Polars, delta-rs) at the embedded S3, for a shell to evaluate.

    \b
    eval "$(fruits local env)"
    """
    from conf.errors import StorageError
    from conf.settings import load
    from scripts.embedded_s3 import running

    server = running(EMBEDDED_ROOT)
    if server is None:
        raise StorageError("The embedded S3 is not up. Start it first: `fruits local up`.")
    variables = {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_REGION": load("local").storage.region,
        "AWS_ALLOW_HTTP": "true",
    }
    for name, value in variables.items():
        click.echo(f"export {name}={value}")


@command.command()
def status() -> None:
    """Say whether the embedded S3 is up, and where.

    \b
    fruits local status
    """
    from scripts.embedded_s3 import running

    server = running(EMBEDDED_ROOT)
    if server is None:
        click.echo(f"down; its data is in {EMBEDDED_ROOT / 'buckets'}")
        return
    click.echo(f"up at {server.endpoint}, process {server.pid}; its data is in {EMBEDDED_ROOT / 'buckets'}")
