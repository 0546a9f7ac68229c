"""The `fruits` command: finds the module of a command when it is asked for, and turns errors into one message."""

import difflib
import importlib

import click

from scripts.entry import main
from scripts.session import one_message
from scripts.volume import told, with_volume

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
    "audit",
    "reprocess",
    "forget",
    "config",
    "doctor",
    "costs",
    "deploy",
    "undeploy",
)


class _Commands(click.Group):
    """Commands are modules of this package, so that asking for help loads neither TensorFlow nor a JVM."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"scripts.{cmd_name}").command
        return with_volume(command)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.with_resource(told())
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            raise click.UsageError(f"{error.message} Did you mean {near[0]}?" if near else error.message, ctx) from None

    def invoke(self, ctx: click.Context) -> object:
        with one_message(ctx):
            return super().invoke(ctx)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fruits")
def fruits() -> None:
    """Drop fruit photographs into S3; get features and PCA vectors in Delta tables.

    \b
    fruits demo                          # see the whole of it
    fruits drop photos/                  # put photographs into the landing zone
    fruits stream --once                 # featurize what waits there
    fruits refresh                       # refit PCA, write reduced vectors
    fruits query "SELECT * FROM features LIMIT 5"
    """


with_volume(fruits)


if __name__ == "__main__":
    main()
