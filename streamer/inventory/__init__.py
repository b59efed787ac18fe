"""What the account holds: environments, spaces, agents, users and guests as a compacted table."""
