"""What was measured in one cell of the benchmark, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """`postgres_ms` is None where PostgreSQL is elsewhere. `other_cores` were kept busy by somebody
    else: the more, the less the cell is worth."""

    way: str
    connections: int
    sagas_per_s: float
    p50_ms: float
    p99_ms: float
    service_ms: float
    postgres_ms: float | None
    calls: float
    other_cores: float


def medians(results: Sequence[Figures]) -> list[Figures]:
    """Over the rounds, cell by cell."""
    cells: dict[tuple[str, int], list[Figures]] = {}
    for one in results:
        cells.setdefault((one.way, one.connections), []).append(one)
    return [_median(cell) for cell in cells.values()]


def _median(cell: Sequence[Figures]) -> Figures:
    def middle(value: Callable[[Figures], float]) -> float:
        return median(map(value, cell))

    first = cell[0]
    return Figures(
        way=first.way,
        connections=first.connections,
        sagas_per_s=middle(lambda one: one.sagas_per_s),
        p50_ms=middle(lambda one: one.p50_ms),
        p99_ms=middle(lambda one: one.p99_ms),
        service_ms=middle(lambda one: one.service_ms),
        postgres_ms=None if first.postgres_ms is None else middle(lambda one: one.postgres_ms or 0),
        calls=middle(lambda one: one.calls),
        other_cores=middle(lambda one: one.other_cores),
    )


HEAD = (
    "way        conns  sagas/s   p50 ms   p99 ms  service ms/saga  PostgreSQL ms/saga"
    "  calls/saga  other cores"
)


def row(one: Figures) -> str:
    postgres = "-" if one.postgres_ms is None else f"{one.postgres_ms:.2f}"
    return (
        f"{one.way:<9} {one.connections:>6} {one.sagas_per_s:>8.0f} {one.p50_ms:>8.1f}"
        f" {one.p99_ms:>8.1f} {one.service_ms:>16.2f} {postgres:>19} {one.calls:>11.2f}"
        f" {one.other_cores:>12.2f}"
    )
