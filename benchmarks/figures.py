"""The figures of one measurement of the benchmark, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """`postgres_ms` is None if PostgreSQL runs elsewhere.

    `other_cores` were used by other processes: the more, the less reliable are the figures.
    """

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
    """Return the medians over the rounds, by way and connections."""
    cells: dict[tuple[str, int], list[Figures]] = {}
    for figures in results:
        cells.setdefault((figures.way, figures.connections), []).append(figures)
    return [_median(cell) for cell in cells.values()]


def _median(cell: Sequence[Figures]) -> Figures:
    def middle(value: Callable[[Figures], float]) -> float:
        return median(map(value, cell))

    first = cell[0]
    return Figures(
        way=first.way,
        connections=first.connections,
        sagas_per_s=middle(lambda figures: figures.sagas_per_s),
        p50_ms=middle(lambda figures: figures.p50_ms),
        p99_ms=middle(lambda figures: figures.p99_ms),
        service_ms=middle(lambda figures: figures.service_ms),
        postgres_ms=None
        if first.postgres_ms is None
        else middle(lambda figures: figures.postgres_ms or 0),
        calls=middle(lambda figures: figures.calls),
        other_cores=middle(lambda figures: figures.other_cores),
    )


HEAD = (
    "way        conns  sagas/s   p50 ms   p99 ms  service ms/saga  PostgreSQL ms/saga"
    "  calls/saga  other cores"
)


def row(figures: Figures) -> str:
    postgres = "-" if figures.postgres_ms is None else f"{figures.postgres_ms:.2f}"
    return (
        f"{figures.way:<9} {figures.connections:>6} {figures.sagas_per_s:>8.0f}"
        f" {figures.p50_ms:>8.1f}"
        f" {figures.p99_ms:>8.1f} {figures.service_ms:>16.2f} {postgres:>19} {figures.calls:>11.2f}"
        f" {figures.other_cores:>12.2f}"
    )
