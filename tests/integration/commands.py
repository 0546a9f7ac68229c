"""Commands, as users give them, on the store of a test."""

from click.testing import CliRunner, Result

from conf.settings import Settings
from scripts.fruits import fruits


def reprocess(settings: Settings, *words: str) -> Result:
    """Run `fruits reprocess` with these words."""
    return _run(settings, "reprocess", *words)


def forget(settings: Settings, *words: str) -> Result:
    """Run `fruits forget` with these words."""
    return _run(settings, "forget", *words)


def _run(settings: Settings, command: str, *words: str) -> Result:
    storage = settings.storage
    given = [f"--set=storage.{name}={getattr(storage, name)}" for name in ("bucket", "prefix", "endpoint")]
    return CliRunner().invoke(fruits, [command, "--profile", "test", *given, *words])
