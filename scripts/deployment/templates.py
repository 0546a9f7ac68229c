"""deploy/fruits.yaml, as it is and as it is sent: with the bucket's name written out."""

import re
from pathlib import Path

_FILE = "fruits.yaml"
_NAMED = re.compile(r"^( +BucketName:) !If .*$", re.MULTILINE)
_BUCKET = re.compile(
    r"(?P<head>^  Bucket:\n.*?)RetainExceptOnCreate(?P<body>\n.*?^      BucketName: [^\n]*\n)(?:      [^\n]*\n)*",
    re.MULTILINE | re.DOTALL,
)


def template() -> str:
    """The template's text: in a checkout from deploy/, in an installed package from beside this module."""
    here = Path(__file__).parent
    for folder in (here, here.parent.parent / "deploy"):
        if (folder / _FILE).is_file():
            return (folder / _FILE).read_text(encoding="utf-8")
    raise FileNotFoundError(_FILE)


def naming(bucket: str) -> str:
    """The template with the bucket's name: one that is there can be taken in by no name that has to be worked out."""
    return _once(_NAMED, rf'\1 "{bucket}"', template())


def taking_in(bucket: str) -> str:
    """The template of a stack that takes in a bucket which is there, and sets nothing of it yet.

    CloudFormation takes a thing in as it is, believes that it is as its template says, and from then on sets what
    differs between two templates. So there is one that says nothing of it, before the whole one. Whatever becomes of
    this stack, the bucket stays.
    """
    return _once(_BUCKET, r"\g<head>Retain\g<body>", naming(bucket))


def takes(body: str) -> set[str]:
    """The names of a template's parameters."""
    section = re.search(r"^Parameters:\n((?:[ #].*\n|\n)*)", body, re.MULTILINE)
    return set(re.findall(r"^  (\w+):", section[1], re.MULTILINE)) if section else set()


def _once(pattern: re.Pattern[str], by: str, text: str) -> str:
    replaced, times = pattern.subn(by, text)
    if times != 1:
        raise AssertionError(f"{pattern.pattern!r} is {times} times in {_FILE}.")
    return replaced
