"""One shard's life: assigned, restoring, running, draining, fenced, stopped."""
