"""Proofs that third parties can check: a Merkle tree over the log, and signed checkpoints of it."""
