"""Commands, as users give them, on the store of a test."""

from click.testing import CliRunner, Result

from conf.settings import Settings
from scripts.fruits import fruits


def reprocess(settings: Settings, *words: str) -> Result:
    """Run `fruits reprocess` with these words."""
    storage = settings.storage
    given = [f"--set=storage.{name}={getattr(storage, name)}" for name in ("bucket", "prefix", "endpoint")]
    return CliRunner().invoke(fruits, ["reprocess", "--profile", "test", *given, *words])
