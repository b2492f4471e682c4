"""Run a benchmark on two versions of this project in turns: the speed of the machine changes from
minute to minute.

    git worktree add ../before main
    python benchmarks/compare_versions.py ../before append.py [--pairs 3] [--appenders 48 ...]

Prints the median of each figure before and now, and the median of the ratios of the pairs. The
benchmark is the one of this checkout for both; it must know --json, and gets the options that are
not known here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
PACKAGE = "saga_orchestrator"
Rows = list[dict[str, float | str]]


def with_own_benchmarks(tree: Path, folder: Path) -> Path:
    """Make a folder to import `tree` from, with the benchmarks of this checkout."""
    package = folder / PACKAGE
    package.mkdir()
    for entry in tree.resolve().iterdir():
        if entry.name != HERE.name:
            (package / entry.name).symlink_to(entry)
    (package / HERE.name).symlink_to(HERE)
    return folder


def measured(imported_from: Path, benchmark: str, arguments: list[str]) -> Rows:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, str(HERE / benchmark), "--json", file.name, *arguments]
        environ = os.environ | {"PYTHONPATH": str(imported_from)}
        subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
        rows: Rows = json.load(file)
    return rows


def compare(before: list[Rows], now: list[Rows]) -> None:
    for place, row in enumerate(before[0]):
        print(*(f"{name}={value}" for name, value in row.items() if not _is_figure(value)))
        for name in (name for name, value in row.items() if _is_figure(value)):
            pairs = [
                (float(old_rows[place][name]), float(new_rows[place][name]))
                for old_rows, new_rows in zip(before, now, strict=True)
            ]
            old, new = (median(values) for values in zip(*pairs, strict=True))
            ratio = median(after / first for first, after in pairs if first)
            print(f"  {name:<16} {old:>10.2f} -> {new:>10.2f}   ratio {ratio:.2f}")


def _is_figure(value: float | str) -> bool:
    """True for a measurement; counts and names identify the row."""
    return isinstance(value, float)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("tree", type=Path, help="a checkout of the version before")
    parser.add_argument("benchmark", help="a file of this folder")
    parser.add_argument("--pairs", type=int, default=3)
    options, arguments = parser.parse_known_args()
    before: list[Rows] = []
    now: list[Rows] = []
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        old = with_own_benchmarks(options.tree, Path(first))
        new = with_own_benchmarks(HERE.parent, Path(second))
        for _ in range(options.pairs):
            before.append(measured(old, options.benchmark, arguments))
            now.append(measured(new, options.benchmark, arguments))
    compare(before, now)


if __name__ == "__main__":
    main()
