"""Chance that repeats itself: everything random in the sandbox comes from here, by seed.

Two kinds. `dice` is a generator for things that are made once (people, spaces, templates).
`scramble` is a plain function of a number, for things that are made a million times (events): it
costs half a microsecond and needs no memory of what came before.
"""

from __future__ import annotations

import random
from typing import Final

MASK_64: Final = (1 << 64) - 1

_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_STEP: Final = 0x9E3779B97F4A7C15
_STEP_BACK: Final = pow(_STEP, -1, 1 << 64)
_STIR: Final = 0xBF58476D1CE4E5B9


def dice(*parts: object) -> random.Random:
    """Return a generator that always throws the same for the same parts."""
    return random.Random("/".join(map(str, parts)))  # noqa: S311 - repeatable is the point


def identifier(source: random.Random, kind: str) -> str:
    """Return an id as Flatfile forms them: region, kind, eight characters."""
    return f"us_{kind}_" + "".join(source.choices(_ALPHABET, k=8))


def number_of(seed: int, environment: int, index: int) -> int:
    """Return the 64-bit number of an event: no two events of one seed share it."""
    return ((((environment << 36) | index) + 1) * _STEP + seed * _STIR) & MASK_64


def place_of(seed: int, number: int) -> tuple[int, int]:
    """Return the environment and the index that `number_of` made a number from."""
    place = (((number - seed * _STIR) & MASK_64) * _STEP_BACK - 1) & MASK_64
    return place >> 36, place & ((1 << 36) - 1)


def scramble(number: int) -> int:
    """Return 64 bits that look unrelated to the number and depend on it alone."""
    number = ((number ^ (number >> 30)) * _STIR) & MASK_64
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK_64
    return number ^ (number >> 31)
