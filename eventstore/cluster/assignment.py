"""Assignment of shards to nodes: every shard has a living owner, and all nodes have fair shares.

Every node computes this from its own view of the cluster. From the same view all nodes come to the
same result, so two nodes rarely want the same shard. It is stable: no shard moves without need.

    free shards ──> nodes below their share, in order
    a node above its share transfers its surplus to nodes that are still below theirs
    a node that leaves has no share

A deployment may have a part of the shards only; the others belong to another deployment, with a
database of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, repeat

from ..event import SHARD_COUNT
from .membership import ClusterView


@dataclass(frozen=True, slots=True)
class Assignment:
    """The shards that one node is to acquire, and those to transfer, each with its new owner.

    A shard without a new owner becomes free.
    """

    acquire: tuple[int, ...] = ()
    transfer: Mapping[int, str | None] = field(default_factory=dict)


def assign_shards(
    me: str, view: ClusterView, shards: Collection[int] = range(SHARD_COUNT)
) -> Assignment:
    """Return what the node `me` is to do.

    `shards` are those of the deployment, the same for all its nodes.
    """
    staying = view.staying_nodes
    shares = _shares(staying, len(shards))
    owned = {node: sorted(view.shards_owned_by(node)) for node in view.nodes if view.is_alive(node)}
    acquired = dict(
        zip(_free_shards(view, shards), _nodes_below_share(shares, owned), strict=False)
    )
    if view.nodes[me].leaving and not staying:
        return Assignment(transfer=dict.fromkeys(owned.get(me, ())))
    after = {node: [*shards, *_shards_of(node, acquired)] for node, shards in owned.items()}
    transferred = dict(
        zip(_surplus_shards(shares, after), _nodes_below_share(shares, after), strict=False)
    )
    mine = set(owned.get(me, ()))
    return Assignment(
        acquire=tuple(_shards_of(me, acquired)),
        transfer={shard: node for shard, node in transferred.items() if shard in mine},
    )


def _free_shards(view: ClusterView, shards: Collection[int]) -> list[int]:
    return [shard for shard in shards if not view.is_alive(view.owners.get(shard, ""))]


def _shares(staying: list[str], shards: int) -> dict[str, int]:
    """Return how many shards each node is to own. The first nodes have one more than the others."""
    if not staying:
        return {}
    each, rest = divmod(shards, len(staying))
    return {node: each + (index < rest) for index, node in enumerate(staying)}


def _nodes_below_share(shares: Mapping[str, int], owned: Mapping[str, list[int]]) -> Iterable[str]:
    """Return each node as often as it lacks a shard."""
    return chain.from_iterable(
        repeat(node, max(share - len(owned[node]), 0)) for node, share in shares.items()
    )


def _surplus_shards(shares: Mapping[str, int], owned: Mapping[str, list[int]]) -> Iterable[int]:
    """Yield the last shards of nodes above their share, and all shards of nodes that leave."""
    for node in sorted(owned):
        yield from owned[node][shares.get(node, 0) :]


def _shards_of(node: str, owners: Mapping[int, str]) -> list[int]:
    return [shard for shard, owner in owners.items() if owner == node]
