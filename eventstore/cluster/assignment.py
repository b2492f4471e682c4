"""Who takes and who gives which shard, so that all have a living owner and all nodes a fair share.

Every node works this out for itself from what it sees; from the same roster all come to the same
result, so that two rarely want the same shard. It is stable: no shard moves that need not.

    free shards ──> nodes below their share, in order
    a node above its share gives as many as it has too many, to nodes still below theirs
    a node that leaves has no share

A deployment may have some of the shards only; the others are those of another one, on a database of
its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, repeat

from ..event import SHARD_COUNT
from .membership import ClusterView


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one node is to do: shards to take, and shards to give, with the node that gets each.

    A shard that is given to nobody becomes free.
    """

    acquire: tuple[int, ...] = ()
    transfer: Mapping[int, str | None] = field(default_factory=dict)


def assign_shards(
    me: str, roster: ClusterView, shards: Collection[int] = range(SHARD_COUNT)
) -> Assignment:
    """`me` must be in the roster; `shards` are those of the deployment, the same for all nodes."""
    staying = roster.staying_nodes
    shares = _shares(staying, len(shards))
    owned = {
        node: sorted(roster.shards_owned_by(node)) for node in roster.nodes if roster.is_alive(node)
    }
    taken = dict(zip(_free_shards(roster, shards), _nodes_below_share(shares, owned), strict=False))
    if roster.nodes[me].leaving and not staying:
        return Assignment(transfer=dict.fromkeys(owned.get(me, ())))
    after = {node: [*shards, *_shards_of(node, taken)] for node, shards in owned.items()}
    given = dict(
        zip(_surplus_shards(shares, after), _nodes_below_share(shares, after), strict=False)
    )
    mine = set(owned.get(me, ()))
    return Assignment(
        acquire=tuple(_shards_of(me, taken)),
        transfer={shard: heir for shard, heir in given.items() if shard in mine},
    )


def _free_shards(roster: ClusterView, shards: Collection[int]) -> list[int]:
    owners = roster.owners
    return [one for one in shards if not roster.is_alive(owners.get(one, ""))]


def _shares(staying: list[str], shards: int) -> dict[str, int]:
    """As even as can be; the first ones have one more."""
    if not staying:
        return {}
    each, left = divmod(shards, len(staying))
    return {node: each + (place < left) for place, node in enumerate(staying)}


def _nodes_below_share(shares: Mapping[str, int], owned: Mapping[str, list[int]]) -> Iterable[str]:
    """Each node as often as it lacks a shard."""
    return chain.from_iterable(
        repeat(node, max(share - len(owned[node]), 0)) for node, share in shares.items()
    )


def _surplus_shards(shares: Mapping[str, int], owned: Mapping[str, list[int]]) -> Iterable[int]:
    """What nodes have too much of, the last ones first to go; of those that leave, all."""
    for node in sorted(owned):
        yield from owned[node][shares.get(node, 0) :]


def _shards_of(node: str, taken: Mapping[int, str]) -> list[int]:
    return [shard for shard, taker in taken.items() if taker == node]
