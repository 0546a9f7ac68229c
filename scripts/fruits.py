"""The `fruits` command: finds the module of a command when it is asked for, and turns errors into one message."""

import importlib
import logging

import click

from scripts.session import one_message

COMMANDS = (
    "demo",
    "local",
    "drop",
    "stream",
    "refresh",
    "evaluate",
    "model",
    "query",
    "similar",
    "explore",
    "report",
    "export",
    "status",
    "reprocess",
    "config",
    "doctor",
)


class _Commands(click.Group):
    """Commands are modules of this package, so that asking for help loads neither TensorFlow nor a JVM."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"scripts.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> object:
        with one_message(ctx):
            return super().invoke(ctx)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fruits")
def fruits() -> None:
    """Drop fruit photographs into S3; get features and PCA vectors in Delta tables.

    \b
    fruits demo                          see the whole of it
    fruits drop photos/                  put photographs into the landing zone
    fruits stream --once                 featurize what waits there
    fruits refresh                       refit PCA, write reduced vectors
    fruits query "SELECT * FROM features LIMIT 5"
    """


class _Say(logging.Handler):
    """Shows what our own modules tell, such as that a first preparation takes a while; Spark's words go to its log."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(record.getMessage(), err=True)


def main() -> None:
    """Entry point. Exit status: 0 done, 1 failed, 2 misuse, 130 interrupted, 143 terminated."""
    for package in ("conf", "streaming", "batch", "scripts"):
        logging.getLogger(package).setLevel(logging.INFO)
        logging.getLogger(package).addHandler(_Say())
    fruits()


if __name__ == "__main__":
    main()
