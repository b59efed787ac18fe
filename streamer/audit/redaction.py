"""Takes credentials out of what an event says; everything else keeps its bytes.

What goes is replaced where it stands, so the rest of the text is byte for byte as it was sent.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from streamer.audit import canonical, credentials
from streamer.audit.credentials import CredentialRules
from streamer.audit.layers import unescaped
from streamer.audit.scanner import Scanner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamer.audit.scanner import Found

_INITIALS: Final = frozenset("pPsS")
"""Of the prefixes of credentials."""

_LONGEST_NAME: Final = 128
_SIGNED_URLS: Final = frozenset(("callbackurl", "dataurl"))
_USUAL: Final = Scanner(CredentialRules())
_OF_SECRETS: Final = Scanner(CredentialRules(value_is_secret=True))
_WHOLE: Final = Scanner(CredentialRules(cut_keys=_SIGNED_URLS))
_WHOLE_OF_SECRETS: Final = Scanner(CredentialRules(value_is_secret=True, cut_keys=_SIGNED_URLS))


class Redacted(NamedTuple):
    """A text without what must not be published, and the paths of what was taken out."""

    text: bytes
    paths: tuple[str, ...]


def redact(text: bytes, path: str, *, of_secret: bool = False) -> Redacted:
    """Take the credentials out of a part of an event.

    Args:
        text: JSON text.
        path: What the part is called, such as `payload`.
        of_secret: Whether the event is one of `secret:*`, where a `value` is a credential.
    """
    scanner = _OF_SECRETS if of_secret else _USUAL
    try:
        cleaned, paths = canonical.cleaned(text, path, scanner, credentials.MARK)
    except canonical.NotPlainError:
        return replaced(text, scanner.find(text, path))
    return Redacted(cleaned, tuple(dict.fromkeys(map(redact_path, paths))))


def redact_event(raw: bytes) -> Redacted:
    """Take the credentials out of a whole event, which need not be JSON, and its signed URLs."""
    scanner = _WHOLE_OF_SECRETS if b"secret" in raw.lower() else _WHOLE
    found = scanner.find(raw, "")
    return replaced(raw, [one._replace(path=one.path.removeprefix(".")) for one in found])


def redact_text(text: str) -> str:
    """Take the credentials out of a plain text, such as a name."""
    is_word = (text.isascii() and text.isidentifier()) or text.replace("_", "").isalnum()
    if is_word and not (text[0] in _INITIALS and text[:4].lower().startswith(credentials.PREFIXES)):
        return text  # One word: an id, nearly always. Nothing in it can stand under a key.
    return _redacted_name(text) if len(text) <= _LONGEST_NAME else _redacted_text(text)


def _redacted_text(text: str) -> str:
    sent = text.encode("utf-8", "surrogatepass")
    return replaced_text(text, _USUAL) if credentials.suspect(sent) else text


_redacted_name: Final = lru_cache(maxsize=2048)(_redacted_text)
"""The same names and paths come again with most events."""


def replaced_text(text: str, scanner: Scanner) -> str:
    """Apply a scanner to a plain text."""
    sent = text.encode("utf-8", "surrogatepass")
    quoted = b'"%b"' % sent.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    kept = replaced(quoted, scanner.find(quoted, "")).text[1:-1]
    return unescaped(kept).decode("utf-8", "surrogatepass")


def replaced(text: bytes, found: Iterable[Found]) -> Redacted:
    """Put the marks where what was found stands."""
    pieces: list[bytes] = []
    paths: dict[str, None] = {}
    end = 0
    for one in found:
        pieces += (text[end : one.start], one.mark)
        paths[redact_path(one.path)] = None
        end = one.end
    if not pieces:
        return Redacted(text, ())
    pieces.append(text[end:])
    return Redacted(b"".join(pieces), tuple(paths))


def redact_path(path: str) -> str:
    """Return a path as it may be published: a key may itself be, or hold, a credential."""
    return redact_text(path)
