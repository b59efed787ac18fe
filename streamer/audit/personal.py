"""What counts as personal data in what an event says: e-mail addresses, given names, `metadata`.

E-mail addresses are found anywhere. Names are found only where it is known whose record it is:
nothing tells a name from another word. `metadata` is what customers attach to their users.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from streamer.audit.scanner import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SHORTEST_NAME: Final = 5
"""Characters; shorter names would be found inside other words."""

_LOCAL_BYTES: Final = 64
_LOCAL: Final = re.compile(rb"[A-Za-z0-9.!#$&'*+/=?^_`{|}~\x80-\xff-]+\Z")
_DOMAIN: Final = re.compile(rb"@((?:[A-Za-z0-9\x80-\xff-]++\.?)++)")
_ROLES: Final = {"metadata": Role.SOUGHT, "createdbyusername": Role.SOUGHT}


class PersonalRules:
    """What a scanner has to know to find personal data.

    Args:
        mark_of: Makes what is to stand for it.
        names: Full names that may occur.
    """

    def __init__(self, mark_of: Callable[[bytes], bytes], names: Iterable[str] = ()) -> None:
        self._mark_of = mark_of
        long_enough = {name.strip() for name in names if len(name.strip()) >= SHORTEST_NAME}
        self._names = sorted(
            (name.encode("utf-8", "replace").lower() for name in long_enough), key=len, reverse=True
        )

    def may_hold(self, text: bytes) -> bool:
        """Tell whether JSON text may hold any; False is certain."""
        lowered = text.lower()
        return b"metadata" in lowered or b"createdbyusername" in lowered or self.suspect(lowered)

    def role(self, key: str) -> Role:
        """Tell it by its key."""
        return _ROLES.get(key, Role.NONE)

    def suspect(self, content: bytes) -> bool:
        """Tell whether there may be any in a string."""
        if b"@" in content or b"%" in content or b"\\" in content:
            return True
        lowered = content.lower()
        return any(name in lowered for name in self._names)

    def suspect_strings(self, text: bytes) -> bool:
        """Tell whether there may be any in a string of JSON text."""
        return self.suspect(text)

    def mark(self, sought: bytes) -> bytes:
        """Return a pseudonym, or that something was dropped."""
        return self._mark_of(sought)

    def spans(self, plain: bytes) -> Iterator[tuple[int, int]]:
        """Return e-mail addresses and names."""
        for found in _DOMAIN.finditer(plain):
            at = found.start()
            local = _LOCAL.search(plain[max(0, at - _LOCAL_BYTES) : at])
            if local:
                yield _character_at(plain, at - len(local[0])), found.end()
        lowered = plain.lower()
        for name in self._names:
            at = lowered.find(name)
            while at >= 0:
                yield at, at + len(name)
                at = lowered.find(name, at + len(name))


def _character_at(text: bytes, at: int) -> int:
    """Return where the character begins that the byte at `at` is of: 10xxxxxx goes on with one."""
    while at > 0 and text[at] & 0xC0 == 0x80:
        at -= 1
    return at
