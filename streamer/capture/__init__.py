"""One environment's events: what to read next, what has been seen, how far it is proved."""
