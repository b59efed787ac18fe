"""Events that a reader must survive: each valid JSON or not, none of them what is documented.

Each is made of an ordinary event, so that everything else in it is as usual. Written as bytes:
most of them are what no encoder would write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamer.sandbox.account import MARKER

if TYPE_CHECKING:
    from collections.abc import Callable

DEPTH: Final = 10_000
LARGE_BYTES: Final = 20 << 20


@dataclass(frozen=True, slots=True)
class Ordinary:
    """The event that a hostile one is made of, and the places where it can be cut."""

    event: bytes
    event_id: bytes
    created_at: bytes

    def with_payload(self, payload: bytes) -> bytes:
        """Return the event with one more member, `payload`; decoders take the last of two."""
        return b'%b,"payload":%b}' % (self.event[:-1], payload)

    def with_created_at(self, created_at: bytes) -> bytes:
        """Return the event with another value for `createdAt`."""
        return self.event.replace(b'"createdAt":"%b"' % self.created_at, created_at, 1)

    def without_id(self, instead: bytes = b"") -> bytes:
        """Return the event with something else, or nothing, in place of its id."""
        return self.event.replace(b'"id":"%b",' % self.event_id, instead, 1)


def _wrong_types(event: Ordinary) -> bytes:
    return (
        b'{"id":"%b","topic":["not","a","topic"],"domain":7,"createdAt":"%b","deletedAt":false,'
        b'"context":"none","payload":[1,2],"attributes":"","namespaces":{},"target":{},"origin":3}'
        % (event.event_id, event.created_at)
    )


def _renamed(event: Ordinary, name: bytes) -> bytes:
    payload = b'{"job":"space:configure","info":"%b","name":"%b"}' % (name, name)
    return event.with_payload(payload)


KINDS: Final[dict[str, Callable[[Ordinary], bytes]]] = {
    "lone_surrogate": lambda e: e.with_payload(rb'{"value":"\ud800 alone","\udfff":1}'),
    "long_number": lambda e: e.with_payload(b'{"number":%b}' % (b"9" * 400)),
    "infinite_number": lambda e: e.with_payload(b'{"number":1e400,"small":-1E-400}'),
    "duplicate_keys": lambda e: e.with_payload(
        b'{"accessToken":"%b_first","accessToken":"%b_second"}' % (2 * (MARKER.encode(),))
    ),
    "escaped_keys": lambda e: e.with_payload(
        rb'{"\u0061ccess\u0054oken":"%b_escaped","to\u006ben":"%b_t"}' % (2 * (MARKER.encode(),))
    ),
    "deep": lambda e: e.with_payload(b'{"deep":%b%b}' % (b"[" * DEPTH, b"]" * DEPTH)),
    "large": lambda e: e.with_payload(b'{"text":"%b"}' % (b"x" * LARGE_BYTES)),
    "nul_escape": lambda e: e.with_payload(rb'{"value":"a\u0000b","\u0000":"\u0000"}'),
    "not_utf8": lambda e: e.with_payload(b'{"value":"caf\xe9 \xff\xfe \xed\xa0\x80"}'),
    "raw_control": lambda e: e.with_payload(b'{"value":"a\x01b\nc"}'),
    "nan": lambda e: e.with_payload(b'{"value":NaN,"other":-Infinity}'),
    "not_json": lambda e: e.with_payload(b'{"value":tru,"other":01}'),
    "not_an_object": lambda e: b'["%b","%b"]' % (e.event_id, e.created_at),
    "null": lambda _: b"null",
    "empty_object": lambda _: b"{}",
    "no_id": lambda e: e.without_id(),
    "empty_id": lambda e: e.without_id(b'"id":"",'),
    "number_id": lambda e: e.without_id(b'"id":%d,' % int(e.event_id[-12:], 16)),
    "climbing_actor": lambda e: e.event.replace(
        b'"context":{', b'"context":{"actorId":"us_usr_../../environments?x=",', 1
    ),
    "wrong_types": _wrong_types,
    "no_created_at": lambda e: e.event.replace(b'"createdAt":"%b",' % e.created_at, b"", 1),
    "created_yesterday": lambda e: e.with_created_at(b'"createdAt":"yesterday"'),
    "created_number": lambda e: e.with_created_at(b'"createdAt":1700000000000'),
    "created_null": lambda e: e.with_created_at(b'"createdAt":null'),
    "created_1970": lambda e: e.with_created_at(b'"createdAt":"1970-01-01T00:00:00.000Z"'),
    "created_2099": lambda e: e.with_created_at(b'"createdAt":"2099-12-31T23:59:59.999Z"'),
    "created_offset": lambda e: e.with_created_at(
        b'"createdAt":"%b+00:00"' % e.created_at.removesuffix(b"Z")
    ),
    "created_without_ms": lambda e: e.with_created_at(b'"createdAt":"%bZ"' % e.created_at[:19]),
    "created_microseconds": lambda e: e.with_created_at(
        b'"createdAt":"%b123Z"' % e.created_at.removesuffix(b"Z")
    ),
    "unknown_topic": lambda e: e.event.replace(b'"topic":"', b'"topic":"invented.', 1),
    "unknown_members": lambda e: b'%b,"invented":{"a":[1]},"region":"us"}' % e.event[:-1],
    "terminal_escapes": lambda e: _renamed(e, rb"\u001b[31mred\u001b[0m \u001b]0;title\u0007"),
    "bidi": lambda e: _renamed(e, "safe\u202etxt.exe\u2066".encode()),
    "markup": lambda e: _renamed(e, b"[bold red]x[/] </script><script>alert(1)</script>"),
    "formula": lambda e: _renamed(e, b"=HYPERLINK(1)"),
}
"""Makers of hostile events by name."""

USUAL: Final = tuple(kind for kind in KINDS if kind != "large")
"""All of them that a page can hold many of."""

TIMES: Final[dict[str, int]] = {"created_1970": 0, "created_2099": 4_102_444_799_999}
"""Where those stand in time, in milliseconds, that claim another than they happened at."""

NAMELESS: Final = frozenset(
    {"no_id", "empty_id", "number_id", "null", "empty_object", "not_an_object"}
)
"""Those without an id that is a text."""
