"""Health and metrics over HTTP, on loopback unless told otherwise."""
