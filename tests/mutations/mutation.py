"""One rule broken in one place of a copy of the project, and the property that must fail then."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
NOT_COPIED: Final = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "docs", "build")
TESTS_FAILED: Final = 1  # pytest's exit code; another one than 0 is a mistake of the mutation
MAX_RUN_SECONDS: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A replacement of `old`, which occurs in `file` once, by `new`, and what is wrong then.

    `property` is the file of tests/property that must fail.
    """

    rule: str
    effect: str
    file: str
    old: str
    new: str
    property: str


class ProjectCopy:
    """A copy of the project in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "saga_orchestrator"
        shutil.copytree(ROOT, self.package, ignore=NOT_COPIED)

    def caught_by(self, mutation: Mutation) -> str | None:
        """Return the test that fails because of a mutation."""
        file = self.package / mutation.file
        sound = file.read_text()
        if sound.count(mutation.old) != 1:
            raise SystemExit(f"{mutation.rule}, {mutation.effect}: its text is not in {file} once")
        file.write_text(sound.replace(mutation.old, mutation.new))
        try:
            return self.failure_of(mutation.property)
        finally:
            file.write_text(sound)

    def failure_of(self, property_: str) -> str | None:
        """Return the first test of a property's file that fails in this copy."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        ran = subprocess.run(
            [*command, "--hypothesis-profile=mutations", f"tests/property/{property_}"],
            cwd=self.package,
            env={**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=MAX_RUN_SECONDS,
            check=False,
        )
        if ran.returncode == 0:
            return None
        failed = re.search(r"^FAILED (.+?)(?: - .*)?$", ran.stdout, re.MULTILINE)
        if ran.returncode != TESTS_FAILED or failed is None:
            raise SystemExit(ran.stdout[-2000:] + ran.stderr)
        return failed[1].removeprefix("tests/property/")
