"""CSV that somebody may open in a spreadsheet, which runs a text that begins as a formula does."""

import re

FORMULA = r"^([=+\-@\t\r])"
HARMLESS = r"'\1"
"""What takes its place: with an apostrophe before it, it is text to a spreadsheet."""


def harmless(text: str) -> str:
    """The same text, unless it begins as a formula."""
    return re.sub(FORMULA, HARMLESS, text)
