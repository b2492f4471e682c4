"""Read the YAML and JSON files that a person names, and say plainly what is wrong with them."""

from __future__ import annotations

from pathlib import Path

from .fsm.formats.strict_json import InvalidJson, Json, parse_untrusted
from .fsm.formats.strict_yaml import InvalidYaml, parse_yaml
from .fsm.formats.utf8 import NotUtf8, read_utf8


class UnreadableFile(ValueError):
    """A file that cannot be read. The message gives the reason, without the name of the file."""


def read_text(file: Path) -> str:
    """Return the text of a file. Raises UnreadableFile."""
    try:
        return read_utf8(file.read_bytes())
    except NotUtf8 as error:
        raise UnreadableFile(str(error)) from None
    except OSError as error:
        raise UnreadableFile(describe_os_error(error)) from None


def describe_os_error(error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return "there is no such file"
        case IsADirectoryError():
            return "it is a folder: name a file"
        case _:
            return f"it cannot be read: {error.strerror}"


def parse_document(file: Path, text: str) -> Json:
    """Parse `text` as strict JSON if the file's name ends in .json, else as YAML.

    Raises UnreadableFile.
    """
    try:
        return parse_untrusted(text.encode()) if is_json(file) else parse_yaml(text)
    except (InvalidYaml, InvalidJson) as error:
        raise UnreadableFile(str(error)) from None


def is_json(file: Path) -> bool:
    return file.suffix.lower() == ".json"
