"""What an operator sees of the daemon: logs, metrics, incidents, and how each environment is."""
