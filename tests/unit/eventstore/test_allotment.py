"""Who takes and who gives which shard."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.eventstore import SHARDS, Allotment, Node, Roster, allot

LONG_SILENT = timedelta(minutes=1)


def a_roster(nodes: str, owners: dict[int, str], *, dead: str = "", leaving: str = "") -> Roster:
    """Nodes are letters."""
    seen = {
        one: Node(
            node_id=one,
            leaving=one in leaving,
            silent_for=LONG_SILENT if one in dead else timedelta(),
        )
        for one in nodes
    }
    return Roster(seen, owners)


def all_of(node: str) -> dict[int, str]:
    return dict.fromkeys(range(SHARDS), node)


def test_the_first_node_takes_everything() -> None:
    assert allot("a", a_roster("a", {})) == Allotment(take=tuple(range(SHARDS)))


def test_a_node_with_its_share_does_nothing() -> None:
    assert allot("a", a_roster("a", all_of("a"))) == Allotment()


def test_a_node_that_joins_is_given_half() -> None:
    roster = a_roster("ab", all_of("a"))

    assert allot("a", roster).give == dict.fromkeys(range(32, 64), "b")
    assert allot("b", roster) == Allotment()


def test_the_shards_of_a_dead_node_are_taken() -> None:
    owners = {shard: "ab"[shard % 2] for shard in range(SHARDS)}

    assert allot("a", a_roster("ab", owners, dead="b")).take == tuple(range(1, SHARDS, 2))


def test_a_node_that_leaves_gives_all_it_has() -> None:
    owners = {shard: "ab"[shard % 2] for shard in range(SHARDS)}

    given = allot("b", a_roster("ab", owners, leaving="b")).give

    assert given == dict.fromkeys(range(1, SHARDS, 2), "a")


def test_the_last_node_that_leaves_gives_to_nobody() -> None:
    assert allot("a", a_roster("a", all_of("a"), leaving="a")).give == dict.fromkeys(range(SHARDS))


def test_a_node_that_leaves_takes_nothing() -> None:
    assert allot("a", a_roster("a", {}, leaving="a")) == Allotment()


@st.composite
def rosters(draw: st.DrawFn) -> Roster:
    nodes = draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True))
    owner = st.sampled_from([*nodes, "somebody gone", None])
    owners = {shard: one for shard in range(SHARDS) if (one := draw(owner)) is not None}
    dead = "".join(draw(st.lists(st.sampled_from(nodes[1:]))) if nodes[1:] else [])
    leaving = "".join(draw(st.lists(st.sampled_from(nodes))))
    return a_roster("".join(nodes), owners, dead=dead, leaving=leaving)


def carried_out(roster: Roster, shards: range = range(SHARDS)) -> Roster:
    """What every living node has done what it is to do."""
    owners = dict(roster.owners)
    for node in roster.nodes:
        if roster.is_alive(node):
            allotment = allot(node, roster, shards)
            owners |= dict.fromkeys(allotment.take, node)
            owners |= {shard: heir for shard, heir in allotment.give.items() if heir is not None}
    return Roster(roster.nodes, owners)


@given(rosters())
def test_once_everybody_has_done_their_part_all_is_fair_and_nothing_moves(roster: Roster) -> None:
    fair = carried_out(roster)

    if roster.staying:
        held = Counter(fair.owners.values())
        shares = [held[node] for node in roster.staying]
        assert sum(shares) == SHARDS
        assert max(shares) - min(shares) <= 1
        assert carried_out(fair) == fair


@given(rosters(), st.sampled_from([range(32), range(32, SHARDS), range(7, 8)]))
def test_a_part_of_the_shards_is_shared_as_fairly_and_the_others_are_left_alone(
    roster: Roster, shards: range
) -> None:
    mine = {shard: owner for shard, owner in roster.owners.items() if shard in shards}

    fair = carried_out(Roster(roster.nodes, mine), shards)

    assert fair.owners.keys() <= set(shards)
    if roster.staying:
        held = Counter(fair.owners.values())
        shares = [held[node] for node in roster.staying]
        assert sum(shares) == len(shards)
        assert max(shares) - min(shares) <= 1


@given(rosters())
def test_no_shard_is_given_twice_nor_taken_from_who_keeps_it(roster: Roster) -> None:
    alive = [node for node in roster.nodes if roster.is_alive(node)]
    allotments = {node: allot(node, roster) for node in alive}

    taken = Counter(shard for one in allotments.values() for shard in one.take)
    assert all(times == 1 for times in taken.values())
    assert not any(roster.is_alive(roster.owners.get(shard, "")) for shard in taken)
    for node, allotment in allotments.items():
        assert set(allotment.give) <= roster.owned_by(node)


@given(rosters())
def test_no_more_shards_move_than_must(roster: Roster) -> None:
    moved = {
        shard
        for shard, owner in carried_out(roster).owners.items()
        if roster.is_alive(before := roster.owners.get(shard, "")) and owner != before
    }

    share = SHARDS // max(len(roster.staying), 1)
    alive = [node for node in roster.nodes if roster.is_alive(node)]
    fair = {node: share if node in roster.staying else 0 for node in alive}
    assert len(moved) <= sum(max(len(roster.owned_by(one)) - fair[one], 0) for one in alive)
