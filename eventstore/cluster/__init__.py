"""Membership of nodes, assignment of shards, and the inbox between nodes."""
