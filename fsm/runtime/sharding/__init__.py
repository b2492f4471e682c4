"""Sharding: which node drives which sagas, and how sagas survive the node that drove them.

The log has 64 shards. A saga belongs to the shard that its id names, and a child saga to the shard
of its parent. A node *drives* a shard: it decides about its sagas, appends their events and sends
their calls. Everything a driving node has in memory can be rebuilt from the log.

Safety

    Two nodes must never both append to a shard. No lease and no clock guards that, for a process
    may sleep past the end of any lease. The log does: a node claims a shard by appending an event
    with the next epoch, and every append names the event before it together with its epoch. A node
    that has lost the shard fails at its next append (`Fenced`), whatever it believed. An intent is
    appended before its call is sent, so a fenced node also sends nothing new. Calls carry their
    epoch, so that a participant can refuse those of an older one.

    Everything below is about liveness. A mistake there costs a hand-over, never an event.

Liveness

    A node sends a heartbeat every 250 ms to the table of nodes, and holds an advisory lock, its
    liveness lock, in a database session of its own. Without the liveness lock (the process was
    killed) it counts as dead after 600 ms of silence; with it (the process is frozen, or cut off)
    after 10 s. A heartbeat returns the view of the cluster: all nodes and the owner of each shard.

    From the same view every node computes the same assignment of shards, without a leader:

        free shards, and those of dead nodes, go to nodes below their fair share
        a node above its share gives its surplus to nodes below theirs; a leaving node gives all

    A shard on one node:

        free or dead owner ──reserve──> claim ──> recover ──> in service
        in service ──surplus, or leaving──> draining ──settled──> released ──> the new owner claims
        in service ──a heartbeat shows another owner, or an append is fenced──> dropped

Trust window

    A node whose last heartbeat is younger than 600 ms knows that no other node can have claimed
    its shards, for even a killed node counts as alive for so long. Within this window a read is
    answered from memory, else from the log. After a longer silence a node compares the epochs of
    its shards with those in the log before it trusts them again (`lease`).

Recovery

    The claim fences the former owner, so what is read after it is final. The status table, caught
    up first, names the sagas that are not at rest; the shard is in service from then on. The sagas
    are read page by page and resumed: a call whose result is not recorded is sent again with the
    same idempotency key and attempt. No resumed saga proceeds beyond its first call before all have
    repeated theirs, unless participants are what they wait for (`recovery_barrier`).

Messages

    Any node serves any client. A command for a saga that another node drives goes into the inbox,
    a table, and is executed by the node that drives the shard at that time; the result goes back
    the same way. If that node dies, the next owner reads the message again. A saga records the ids
    of the messages that it has applied, so a message takes effect once.

Failures

    database unreachable     nothing is appended; nodes keep their shards if all are equally cut off
    node killed              about a second: its liveness lock is free, then 600 ms of silence
    node frozen              ten seconds; when it wakes it is fenced, and drops its shards
    heartbeat is late        reads come from the log until the next one succeeds
    claim or recovery fails  the shard stays reserved; the next heartbeat tries again
    hand-over fails          the shard is still owned here; the next heartbeat recovers it again
"""
