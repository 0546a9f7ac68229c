"""docs/cli.md, from the commands themselves: `python -m scripts.reference`, or `make docs`."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from conf import settings
from scripts.fruits import fruits

_SETTINGS = ("profile", "overrides")
PLACE = Path(__file__).parent.parent / "docs" / "cli.md"
_ENDING = """
## Exit statuses

| status | means |
|---|---|
| 0 | done |
| 1 | failed: one message on stderr says what happened, and what to do next |
| 2 | misuse: no such command, option or value |
| 130 | interrupted by Ctrl-C; what was committed stays |
| 141 | whoever read the result has read enough, as in `fruits query … \\| head` |
| 143 | ended by SIGTERM; what was committed stays |

`fruits stream` and `fruits status --watch` are meant to be stopped, and then end with 0.

Results go to stdout, all else to stderr: what a command says besides, its bars, its errors. Bars and spinners are drawn
on a terminal only. Spark's own words are in `.fruits/logs/spark.log`.

## Environment variables

Each setting has one, `FRUITS_SECTION__NAME`. The command line (`--set section.name=value`) counts more, a profile less.
`fruits config` shows what counts, and where it comes from.

| variable | default | sets |
|---|---|---|
{variables}

Others that are looked at:

| variable | sets |
|---|---|
| `FRUITS_PROFILE` | the profile, where `--profile` is not given |
| `AWS_PROFILE`, `AWS_ACCESS_KEY_ID`, … | credentials, by AWS's usual chain; for the embedded S3 none are needed |
| `JAVA_HOME` | where Spark's Java is looked for first |
| `PYSPARK_PYTHON` | the Python of Spark's workers; default: that of the command |

## Shell completion

| shell | in its start-up file |
|---|---|
| bash | `eval "$(_FRUITS_COMPLETE=bash_source fruits)"` in `~/.bashrc` |
| zsh | `eval "$(_FRUITS_COMPLETE=zsh_source fruits)"` in `~/.zshrc` |
| fish | `_FRUITS_COMPLETE=fish_source fruits \\| source` in `~/.config/fish/config.fish` |
"""


@dataclass(frozen=True)
class Entry:
    """A command, under all its words."""

    name: str
    command: click.Command
    ctx: click.Context

    @property
    def paragraphs(self) -> list[str]:
        """Of its help, without the examples, as Markdown."""
        return [_prose(" ".join(one.split())) for one in self._help if not one.startswith("\b")]

    @property
    def examples(self) -> list[str]:
        """Lines of its help for a shell."""
        return [line for one in self._help if one.startswith("\b") for line in one.splitlines()[1:]]

    @property
    def _help(self) -> list[str]:
        return inspect.cleandoc(self.command.help or "").split("\n\n")


def entries() -> list[Entry]:
    """All commands, each followed by those below it; the first is `fruits` itself."""
    ctx = click.Context(fruits, info_name="fruits", **fruits.context_settings)
    return [*_below(Entry("fruits", fruits, ctx))]


def document() -> str:
    """The whole page."""
    root, *others = entries()
    contents = "\n".join(f"| [`{one.name}`](#{_anchor(one.name)}) | {_first_sentence(one)} |" for one in others)
    settings_too = next(one.command.params for one in others if _takes_settings(one.command))
    shared = [*root.command.get_params(root.ctx), *(option for option in settings_too if option.name in _SETTINGS)]
    parts = [
        "# The command line",
        "<!-- Made by `make docs` from the commands' own help: change it there. -->",
        *root.paragraphs,
        _block(root.examples),
        f"| command | does |\n|---|---|\n{contents}",
        "All commands take these, `-q` and `-v` also before their name; those that read settings take the last two:",
        _options(shared, root.ctx, shared=True),
        *(part for one in others for part in _section(one)),
        _ENDING.format(variables="\n".join(_variables())).strip(),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write the page."""
    PLACE.write_text(document(), encoding="utf-8")


def _below(entry: Entry) -> Iterator[Entry]:
    yield entry
    if isinstance(entry.command, click.Group):
        for name in entry.command.list_commands(entry.ctx):
            command = entry.command.get_command(entry.ctx, name)
            if command is not None:
                ctx = click.Context(command, parent=entry.ctx, info_name=name)
                yield from _below(Entry(f"{entry.name} {name}", command, ctx))


def _prose(text: str) -> str:
    return textwrap.fill(text.replace("<", r"\<"), 120, break_long_words=False, break_on_hyphens=False)


def _takes_settings(command: click.Command) -> bool:
    return any(parameter.name in _SETTINGS for parameter in command.params)


def _section(entry: Entry) -> list[str]:
    usage = " ".join([entry.name, *entry.command.collect_usage_pieces(entry.ctx)])
    options = _options(entry.command.params, entry.ctx)
    examples = [_block(entry.examples)] if entry.examples else []
    return [f"## {entry.name}", *entry.paragraphs, f"    {usage}", *filter(None, [options]), *examples]


def _options(parameters: list[click.Parameter], ctx: click.Context, *, shared: bool = False) -> str:
    """A table of options, but for those that are told once for all commands; nothing where there is none."""
    rows = []
    for parameter in parameters:
        record = parameter.get_help_record(ctx)
        if isinstance(parameter, click.Option) and record and (shared or not _is_shared(parameter)):
            name, said = (part.replace("|", "\\|") for part in record)
            rows.append(f"| `{name}` | {said} |")
    return "\n".join(["| option | |", "|---|---|", *rows]) if rows else ""


def _is_shared(option: click.Option) -> bool:
    return bool({"--profile", "--set", "--quiet", "--verbose", "--help"} & {*option.opts})


def _block(lines: list[str]) -> str:
    return "\n".join(["```sh", *lines, "```"])


def _first_sentence(entry: Entry) -> str:
    return re.split(r"(?<=[.:;]) ", " ".join(entry.paragraphs[0].split()))[0].rstrip(".:;")


def _anchor(name: str) -> str:
    return name.replace(" ", "-")


def _variables() -> Iterator[str]:
    """A row for each setting: its variable, its default, and what is said below it in the code."""
    sections = {one.name: one for one in ast.parse(inspect.getsource(settings)).body if isinstance(one, ast.ClassDef)}
    for section, field in settings.Settings.model_fields.items():
        said = _said_of_fields(sections[str(getattr(field.annotation, "__name__", ""))])
        for name, value in getattr(field.annotation, "model_fields", {}).items():
            stated = not value.is_required() and value.default not in (None, "", {})
            default = f"`{_plain(value.default)}`" if stated else ""
            yield f"| `FRUITS_{section.upper()}__{name.upper()}` | {default} | {said.get(name, '')} |"


def _said_of_fields(section: ast.ClassDef) -> dict[str, str]:
    said = {}
    for field, below in zip(section.body, section.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            said[field.target.id] = " ".join(str(below.value.value).split())
    return said


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    main()
