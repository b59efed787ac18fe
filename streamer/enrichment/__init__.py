"""Ids -> names of users, guests, agents and spaces: cached, coalesced, bounded."""
