"""The audit events of a Flatfile account on Kafka: exactly once, in order, complete, provably."""
