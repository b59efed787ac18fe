"""Takes credentials out of what an event says; everything else keeps its bytes.

What goes is replaced where it stands, so the rest of the text is byte for byte as it was sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from streamer.audit import credentials
from streamer.audit.layers import Layer
from streamer.audit.scanner import Found, Scanner

if TYPE_CHECKING:
    from collections.abc import Iterable

_USUAL: Final = Scanner()
_OF_SECRETS: Final = Scanner(value_is_secret=True)
_WHOLE_EVENTS: Final = Scanner(cut_keys=frozenset(("callbackurl", "dataurl")))
_WHOLE_SECRET_EVENTS: Final = Scanner(
    value_is_secret=True, cut_keys=frozenset(("callbackurl", "dataurl"))
)


class Redacted(NamedTuple):
    """A text without its credentials, and the paths of what was taken out."""

    text: bytes
    paths: tuple[str, ...]


def redact(text: bytes, path: str, *, of_secret: bool = False) -> Redacted:
    """Take the credentials out of a part of an event.

    Args:
        text: JSON text.
        path: What the part is called, such as `payload`.
        of_secret: Whether the event is one of `secret:*`, where a `value` is a credential.
    """
    return _replaced(text, (_OF_SECRETS if of_secret else _USUAL).find(text, path))


def redact_event(raw: bytes) -> Redacted:
    """Take the credentials out of a whole event, which need not be JSON, and its signed URLs."""
    scanner = _WHOLE_SECRET_EVENTS if b"secret" in raw.lower() else _WHOLE_EVENTS
    found = scanner.find(raw, "")
    return _replaced(raw, [one._replace(path=one.path.removeprefix(".")) for one in found])


def redact_text(text: str) -> str:
    """Take the credentials out of a plain text, such as a name."""
    sent = text.encode("utf-8", "surrogatepass")
    if not credentials.suspect(sent):
        return text
    quoted = b'"%b"' % sent.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return Layer("string", None, redact(quoted, "").text[1:-1], 0).text.decode("utf-8", "replace")


def _replaced(text: bytes, found: Iterable[Found]) -> Redacted:
    pieces: list[bytes] = []
    paths: dict[str, None] = {}
    end = 0
    for one in found:
        pieces += (text[end : one.start], one.mark)
        paths[one.path] = None
        end = one.end
    if not pieces:
        return Redacted(text, ())
    pieces.append(text[end:])
    return Redacted(b"".join(pieces), tuple(paths))
