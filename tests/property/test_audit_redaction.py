"""For any JSON at all: what is planted goes, what is not planted stays, byte for byte."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.audit import credentials
from streamer.audit.credentials import CredentialRules
from streamer.audit.privacy import Privacy
from streamer.audit.redaction import redact, replaced
from streamer.audit.scanner import Scanner
from streamer.flatfile.rows import read_row
from tests.support.audit_records import sealed

SECRET = "hunter2Zq9"  # noqa: S105  (planted)
_CHARS = st.characters(exclude_characters="%", exclude_categories=["Cs"])
_TEXTS = st.text(_CHARS, max_size=12)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXTS
_VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)
_OBJECTS = st.dictionaries(_TEXTS, _VALUES, max_size=5)
_KEYS = st.sampled_from(
    ("accessToken", "guestLink", "token", "secret", "password", "apiKey", "authorization")
)


def _upset(text: str, how: int) -> str:
    """Write an ASCII text in one of the ways that JSON knows."""
    if how == 0:
        return text
    return "".join(
        f"\\u{ord(char):04x}" if number % how == 0 else char for number, char in enumerate(text)
    )


@st.composite
def _planted(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    """A JSON text in three pieces, the middle one being what must go."""
    key = draw(_KEYS)
    key = draw(st.sampled_from((key, key.upper(), key.lower())))
    written = f'"{_upset(key, draw(st.integers(0, 3)))}"'
    colon = draw(st.sampled_from((":", " : ", "\n:\t")))
    before, after = (json.dumps(draw(_OBJECTS), ensure_ascii=draw(st.booleans())) for _ in "12")
    # Neither neighbour may hold a credential by accident.
    before, after = (text if not _holds(text) else "{}" for text in (before, after))
    return (
        f'{{"before":{before},"x":[{{{written}{colon}"'.encode(),
        SECRET.encode(),
        f'"}}],"after":{after}}}'.encode(),
    )


def _holds(text: str) -> bool:
    return bool(Scanner(CredentialRules()).find(text.encode(), "p"))


@given(_planted())
@settings(max_examples=300, deadline=None)
def test_what_is_planted_goes_and_its_neighbours_stay(pieces: tuple[bytes, bytes, bytes]) -> None:
    """Bytes outside the credential come back identical."""
    before, secret, after = pieces
    redacted = redact(before + secret + after, "p")
    assert redacted.text == before + b"[redacted]" + after
    assert len(redacted.paths) == 1
    assert credentials.suspect(before + secret + after)


@given(_OBJECTS)
@settings(max_examples=300, deadline=None)
def test_suspicion_never_misses_what_the_scanner_finds(value: dict[str, Any]) -> None:
    """What the fast look clears holds nothing that the slow one would take out."""
    text = json.dumps(value).encode()
    if not credentials.suspect(text):
        assert redact(text, "p") == (text, ())


_ANY_KEYS = _KEYS | _TEXTS | st.sampled_from(("value", "newValue", "field", "name", "Password"))
_NOTABLE = _SCALARS | st.sampled_from(("password", "Bearer abc", "sk_12", "a=b", '{"token":"x"}'))
_NOTABLE_OBJECTS = st.recursive(
    _NOTABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_ANY_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(_NOTABLE_OBJECTS, st.booleans())
@settings(max_examples=500, deadline=None)
def test_plain_text_loses_the_same_however_it_is_cleaned(value: Any, of_secret: bool) -> None:  # noqa: ANN401, FBT001
    """What is decoded, cleaned and encoded again is what the scanner would have made of it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    scanner = Scanner(CredentialRules(value_is_secret=of_secret))
    scanned = replaced(text, scanner.find(text, "p"))
    assert redact(text, "p", of_secret=of_secret) == scanned


def _string(value: bytes) -> bytes:
    return json.dumps(value.decode("utf-8", "surrogatepass")).encode()


_LAYERS = st.lists(st.sampled_from(("object", "array", "string", "url", "escape")), max_size=4)
_CORES = st.sampled_from(
    (
        b'{"token":"%b"}',
        b'{"a":{"API_KEY": "%b"}}',
        b'"sk_%b"',
        b'"see pat_%b, please"',
        b'"Bearer %b"',
        b'"https://x.example.com/?access_token=%b&a=1"',
        b'{"field":"password","newValue":"%b"}',
        b'{"newValue":{"a":"%b"},"fieldKey":"secret"}',
    )
)


@given(_CORES, _LAYERS)
@settings(max_examples=400, deadline=None)
def test_no_planted_secret_survives_any_wrapping(core: bytes, layers: list[str]) -> None:
    """Objects, arrays, strings, URLs and escapes in any order hide nothing."""
    text = core % SECRET.encode()
    for layer in layers:
        if layer == "object":
            text = b'{"k":%b}' % text
        elif layer == "array":
            text = b"[1, %b]" % text
        elif layer == "string":
            text = _string(text)
        elif layer == "url":
            text = b'"https://x.example.com/?q=%b"' % quote(text, safe="").encode()
        elif text[:1] == b'"' and b"\\" not in text:
            text = b'"%b"' % b"".join(b"\\u%04x" % char for char in text[1:-1])
    event = b'{"id":"e","topic":"a:b","createdAt":"x","payload":{"v":%b}}' % text
    published = sealed(read_row(event))[0].value
    assert SECRET.encode() not in published
    assert b"".join(b"\\u%04x" % char for char in SECRET.encode()) not in published
    json.loads(published)


@given(_OBJECTS, st.sampled_from(("pseudonymize", "drop")))
@settings(max_examples=200, deadline=None)
def test_a_policy_keeps_what_is_not_personal(value: dict[str, Any], policy: Any) -> None:  # noqa: ANN401
    """JSON without an address comes back as it was sent."""
    text = json.dumps(value).encode()
    privacy = Privacy(policy, b"key")
    if b"@" not in text and b"\\u" not in text and b"metadata" not in text.lower():
        assert privacy.part(text, "p").text == text


@given(
    st.from_regex(
        r"[a-z][a-z0-9._+-]{0,20}[a-z0-9]@[a-z0-9-]{1,10}(\.[a-z]{2,5}){1,2}", fullmatch=True
    ),
    _OBJECTS,
)
@settings(max_examples=200, deadline=None)
def test_no_planted_address_survives_and_pseudonyms_are_stable(
    mail: str, value: dict[str, Any]
) -> None:
    """One address is one pseudonym wherever it stands."""
    privacy = Privacy("pseudonymize", b"key")
    text = json.dumps({"a": mail, "b": {"c": value}, "d": f"<{mail}>"}).encode()
    cleaned = privacy.part(text, "p").text
    assert mail.encode() not in cleaned
    pseudonym = privacy.pseudonym(mail)
    assert json.loads(cleaned)["a"] == pseudonym
    assert json.loads(cleaned)["d"] == f"<{pseudonym}>"
