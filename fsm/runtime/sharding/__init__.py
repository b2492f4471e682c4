"""Sharding: which node drives which saga, takeover after a crash, messages between nodes."""
