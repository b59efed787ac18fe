"""Proves from what is published alone that nothing in it is missing, altered or repeated."""
