"""Who takes and who gives which shard, so that all have a living owner and all nodes a fair share.

Every node works this out for itself from what it sees; from the same roster all come to the same
result, so that two rarely want the same shard. It is stable: no shard moves that need not.

    free shards ──> nodes below their share, in order
    a node above its share gives as many as it has too many, to nodes still below theirs
    a node that leaves has no share
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, repeat

from .event import SHARDS
from .roster import Roster


@dataclass(frozen=True, slots=True)
class Allotment:
    """What one node is to do: shards to take, and shards to give, with the node that gets each.

    A shard that is given to nobody becomes free.
    """

    take: tuple[int, ...] = ()
    give: Mapping[int, str | None] = field(default_factory=dict)


def allot(me: str, roster: Roster) -> Allotment:
    """`me` must be in the roster."""
    staying = roster.staying
    owned = {node: sorted(roster.owned_by(node)) for node in roster.nodes if roster.is_alive(node)}
    taken = dict(zip(_free(roster), _below(staying, owned), strict=False))
    if roster.nodes[me].leaving and not staying:
        return Allotment(give=dict.fromkeys(owned.get(me, ())))
    after = {node: [*shards, *_of(node, taken)] for node, shards in owned.items()}
    given = dict(zip(_surplus(staying, after), _below(staying, after), strict=False))
    mine = set(owned.get(me, ()))
    return Allotment(
        take=tuple(_of(me, taken)),
        give={shard: heir for shard, heir in given.items() if shard in mine},
    )


def _free(roster: Roster) -> list[int]:
    owners = roster.owners
    return [one for one in range(SHARDS) if not roster.is_alive(owners.get(one, ""))]


def _shares(staying: list[str]) -> dict[str, int]:
    """As even as can be; the first ones have one more."""
    if not staying:
        return {}
    each, left = divmod(SHARDS, len(staying))
    return {node: each + (place < left) for place, node in enumerate(staying)}


def _below(staying: list[str], owned: Mapping[str, list[int]]) -> Iterable[str]:
    """Each node as often as it lacks a shard."""
    shares = _shares(staying)
    return chain.from_iterable(
        repeat(node, max(shares[node] - len(owned[node]), 0)) for node in staying
    )


def _surplus(staying: list[str], owned: Mapping[str, list[int]]) -> Iterable[int]:
    """What nodes have too much of, the last ones first to go; of those that leave, all."""
    shares = _shares(staying)
    for node in sorted(owned):
        yield from owned[node][shares.get(node, 0) :]


def _of(node: str, taken: Mapping[int, str]) -> list[int]:
    return [shard for shard, taker in taken.items() if taker == node]
