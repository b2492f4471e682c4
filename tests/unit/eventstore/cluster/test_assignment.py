"""Which shards a node acquires and transfers."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.eventstore.cluster.assignment import Assignment, assign_shards
from saga_orchestrator.eventstore.cluster.membership import ClusterView, Node
from saga_orchestrator.eventstore.event import SHARD_COUNT

LONG_SILENT = timedelta(minutes=1)


def a_view(nodes: str, owners: dict[int, str], *, dead: str = "", leaving: str = "") -> ClusterView:
    """Return a view whose nodes are named by letters."""
    seen = {
        node: Node(
            node_id=node,
            leaving=node in leaving,
            silent_for=LONG_SILENT if node in dead else timedelta(),
        )
        for node in nodes
    }
    return ClusterView(seen, owners)


def all_of(node: str) -> dict[int, str]:
    return dict.fromkeys(range(SHARD_COUNT), node)


def test_the_first_node_takes_everything() -> None:
    assert assign_shards("a", a_view("a", {})) == Assignment(acquire=tuple(range(SHARD_COUNT)))


def test_a_node_with_its_share_does_nothing() -> None:
    assert assign_shards("a", a_view("a", all_of("a"))) == Assignment()


def test_a_node_that_joins_is_given_half() -> None:
    roster = a_view("ab", all_of("a"))

    assert assign_shards("a", roster).transfer == dict.fromkeys(range(32, 64), "b")
    assert assign_shards("b", roster) == Assignment()


def test_the_shards_of_a_dead_node_are_taken() -> None:
    owners = {shard: "ab"[shard % 2] for shard in range(SHARD_COUNT)}

    assert assign_shards("a", a_view("ab", owners, dead="b")).acquire == tuple(
        range(1, SHARD_COUNT, 2)
    )


def test_leaving_node_transfers_all_its_shards() -> None:
    owners = {shard: "ab"[shard % 2] for shard in range(SHARD_COUNT)}

    given = assign_shards("b", a_view("ab", owners, leaving="b")).transfer

    assert given == dict.fromkeys(range(1, SHARD_COUNT, 2), "a")


def test_last_leaving_node_frees_its_shards() -> None:
    assert assign_shards("a", a_view("a", all_of("a"), leaving="a")).transfer == dict.fromkeys(
        range(SHARD_COUNT)
    )


def test_a_node_that_leaves_takes_nothing() -> None:
    assert assign_shards("a", a_view("a", {}, leaving="a")) == Assignment()


@st.composite
def views(draw: st.DrawFn) -> ClusterView:
    nodes = draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True))
    owner = st.sampled_from([*nodes, "somebody gone", None])
    owners = {
        shard: node_id for shard in range(SHARD_COUNT) if (node_id := draw(owner)) is not None
    }
    dead = "".join(draw(st.lists(st.sampled_from(nodes[1:]))) if nodes[1:] else [])
    leaving = "".join(draw(st.lists(st.sampled_from(nodes))))
    return a_view("".join(nodes), owners, dead=dead, leaving=leaving)


def after_assignments(roster: ClusterView, shards: range = range(SHARD_COUNT)) -> ClusterView:
    """Return the view after every living node has carried out its assignment."""
    owners = dict(roster.owners)
    for node in roster.nodes:
        if roster.is_alive(node):
            allotment = assign_shards(node, roster, shards)
            owners |= dict.fromkeys(allotment.acquire, node)
            owners |= {
                shard: heir for shard, heir in allotment.transfer.items() if heir is not None
            }
    return ClusterView(roster.nodes, owners)


@given(views())
def test_shares_are_fair_and_stable_after_all_nodes_have_acted(
    roster: ClusterView,
) -> None:
    fair = after_assignments(roster)

    if roster.staying_nodes:
        owned = Counter(fair.owners.values())
        shares = [owned[node] for node in roster.staying_nodes]
        assert sum(shares) == SHARD_COUNT
        assert max(shares) - min(shares) <= 1
        assert after_assignments(fair) == fair


@given(views(), st.sampled_from([range(32), range(32, SHARD_COUNT), range(7, 8)]))
def test_a_part_of_the_shards_is_shared_as_fairly_and_the_others_are_left_alone(
    roster: ClusterView, shards: range
) -> None:
    mine = {shard: owner for shard, owner in roster.owners.items() if shard in shards}

    fair = after_assignments(ClusterView(roster.nodes, mine), shards)

    assert fair.owners.keys() <= set(shards)
    if roster.staying_nodes:
        owned = Counter(fair.owners.values())
        shares = [owned[node] for node in roster.staying_nodes]
        assert sum(shares) == len(shards)
        assert max(shares) - min(shares) <= 1


@given(views())
def test_no_shard_is_transferred_twice_or_acquired_from_a_living_owner(roster: ClusterView) -> None:
    alive = [node for node in roster.nodes if roster.is_alive(node)]
    allotments = {node: assign_shards(node, roster) for node in alive}

    taken = Counter(shard for assignment in allotments.values() for shard in assignment.acquire)
    assert all(times == 1 for times in taken.values())
    assert not any(roster.is_alive(roster.owners.get(shard, "")) for shard in taken)
    for node, allotment in allotments.items():
        assert set(allotment.transfer) <= roster.shards_owned_by(node)


@given(views())
def test_no_more_shards_move_than_must(roster: ClusterView) -> None:
    moved = {
        shard
        for shard, owner in after_assignments(roster).owners.items()
        if roster.is_alive(before := roster.owners.get(shard, "")) and owner != before
    }

    share = SHARD_COUNT // max(len(roster.staying_nodes), 1)
    alive = [node for node in roster.nodes if roster.is_alive(node)]
    fair = {node: share if node in roster.staying_nodes else 0 for node in alive}
    assert len(moved) <= sum(
        max(len(roster.shards_owned_by(each_node)) - fair[each_node], 0) for each_node in alive
    )
