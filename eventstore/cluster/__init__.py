"""Membership of nodes, assignment of shards, the inbox between nodes, and jobs for all nodes.

Each of `Membership`, `Inbox` and `JobStore` is implemented in PostgreSQL and in memory, by modules
of this package.
"""

from .assignment import assign_shards
from .inbox import Inbox, Message, prune_regularly
from .jobs import Job, JobStore, JobTask, PendingJob, PendingTask
from .membership import ClusterView, Membership, Node

__all__ = [
    "ClusterView",
    "Inbox",
    "Job",
    "JobStore",
    "JobTask",
    "Membership",
    "Message",
    "Node",
    "PendingJob",
    "PendingTask",
    "assign_shards",
    "prune_regularly",
]
