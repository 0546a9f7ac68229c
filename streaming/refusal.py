"""Why one object cannot be featurized: the exception that carries the code, and how a decoder's error gets its own."""

import re
from typing import Final

from PIL.Image import DecompressionBombError

from conf.tables import Reason
from streaming.completeness import ends_early

_NOT_DECODED: Final = re.compile(r"cannot handle|unsupported|unknown pixel mode|not yet supported", re.IGNORECASE)
# What an error quotes may be the file's own bytes or text, which have no place in a table that people read.
_QUOTED: Final = re.compile(r"""b?'(?:[^'\\]|\\.)*'|b?"(?:[^"\\]|\\.)*\"""")
_LONGEST_DETAIL: Final = 200


class Refusal(Exception):
    """One object cannot be featurized. The fault is the object's: it costs a row in `rejects`, never a batch.

    Attributes
    ----------
    reason : the code, from the closed list of the `rejects` table.
    detail : one short printable line for a person.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def from_decoder(error: Exception, data: bytes, image_format: str) -> Refusal:
    """Give what Pillow raised on a file its code.

    Pillow has no exception type for "I do not do this kind", so its wording is all there is to tell that from damage;
    where the wording changes, the code falls back to CORRUPT.
    """
    message = _QUOTED.sub("…", str(error))
    detail = _one_line(f"{image_format} of {len(data):,} bytes, {type(error).__name__}: {message}")
    if isinstance(error, DecompressionBombError):
        return Refusal(Reason.TOO_MANY_PIXELS, detail)
    # A KeyError is a value that one of Pillow's tables lacks, such as a compression scheme of TIFF.
    if isinstance(error.__cause__, KeyError) or _NOT_DECODED.search(str(error)):
        return Refusal(Reason.UNSUPPORTED, detail)
    cut = "truncated" in str(error).lower() or ends_early(data, image_format)
    return Refusal(Reason.TRUNCATED if cut else Reason.CORRUPT, detail)


def _one_line(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:_LONGEST_DETAIL]
