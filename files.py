"""Files that people name: their text, and what is wrong with them in plain words."""

from __future__ import annotations

from pathlib import Path

from .fsm.strict_json import Json, NotKeepable, parse_foreign
from .fsm.utf8 import NotUtf8, read_utf8
from .fsm.yaml_document import InvalidYaml, parse_yaml


class UnreadableFile(ValueError):
    """The message says why, without the name of the file."""


def read_text(file: Path) -> str:
    """Raises UnreadableFile."""
    try:
        return read_utf8(file.read_bytes())
    except NotUtf8 as error:
        raise UnreadableFile(str(error)) from None
    except OSError as error:
        raise UnreadableFile(why_unreadable(error)) from None


def why_unreadable(error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return "there is no such file"
        case IsADirectoryError():
            return "it is a folder: name a file"
        case _:
            return f"it cannot be read: {error.strerror}"


def parse_document(file: Path, text: str) -> Json:
    """JSON, strictly, if the name ends in .json; else YAML. Raises UnreadableFile."""
    try:
        return parse_foreign(text.encode()) if is_json(file) else parse_yaml(text)
    except (InvalidYaml, NotKeepable) as error:
        raise UnreadableFile(str(error)) from None


def is_json(file: Path) -> bool:
    return file.suffix.lower() == ".json"
