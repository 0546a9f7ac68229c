"""`fruits config`: every setting, its value, and where that value comes from."""

import json

import click

from conf.settings import find_layers, flatten, load


@click.command(name="config")
@click.option("--profile", metavar="NAME|FILE.toml", help="Settings profile: local (default), aws, test or a file.")
@click.option("--set", "overrides", multiple=True, metavar="SECTION.NAME=VALUE", help="Set one value; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(profile: str | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show all settings and where each comes from.

    \b
    fruits config
    fruits config --profile aws --set storage.bucket=my-fruits
    FRUITS_STREAM__MAX_FILES=500 fruits config
    """
    settings = dict(flatten(load(profile, overrides)))
    layers = find_layers(profile, overrides)
    origins = {}
    for name in settings:
        found = [layer.place for layer in layers if layer.holds(name)]
        origins[name] = found[0] if found else "default"
    if as_json:
        click.echo(
            json.dumps({name: {"value": value, "from": origins[name]} for name, value in settings.items()}, indent=2)
        )
        return
    width = max(map(len, settings))
    for name, value in settings.items():
        click.echo(f"{name:<{width}}  {'not set' if value is None else value}  ({origins[name]})")
