"""Random damage to a page: no exception but one, no lost neighbour, no way around the grammar.

`STREAMER_FUZZ_S` sets how long it runs; the seed is printed, and taken from `STREAMER_FUZZ_SEED`.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from pathlib import Path
from typing import Final

import pytest

from streamer.errors import FlatfileAnswerError
from streamer.flatfile.grammar import is_json
from streamer.flatfile.models import BrokenEvent, Event
from streamer.flatfile.pages import Page, parse_clean_page, parse_hostile_page
from tests.support.pages import parse_page

FUZZ_S: Final = float(os.environ.get("STREAMER_FUZZ_S", "10"))
SEED: Final = int(os.environ.get("STREAMER_FUZZ_SEED", random.SystemRandom().randrange(2**32)))
CORPUS: Final = Path(__file__).parent.parent / "corpus"
SEEDS: Final = [
    element for path in sorted(CORPUS.glob("*/*.json")) if len(element := path.read_bytes()) < 2_000
]
SCRAPS: Final = [
    *(bytes([byte]) for byte in b'"\\{}[],:0-.eE \n\x00\x1f\x7f\x80\xc3\xff'),
    *(b'"a"', b'"id":', b'"data":[', b"]}", b"},{", b"\\ud800", b"\\u0000", b"NaN", b"1e400"),
    *(b'"id":"us_evt_forged"', b"null", b"[[[[", b"}}}}", b'\\"', b'" extra":1', b"\xed\xa0\x80"),
]
FORGED: Final = re.compile(rb'\]\s*,\s*".*"\s*:\s*\[', re.DOTALL)
"""Ends `data` and begins another member: no reader can know that this was not the server's wish."""
LEFT, RIGHT = (
    b'{"id":"us_evt_%b","topic":"a:b","createdAt":"2026-11-23T20:46:04.300Z","payload":{"x":[1]}}'
    % side
    for side in (b"left", b"right")
)


def damaged(text: bytes, chance: random.Random) -> bytes:
    """Return `text` with up to four random cuts, insertions, repetitions and replacements."""
    for _ in range(chance.randint(0, 4)):
        at, length = chance.randrange(len(text) + 1), chance.choice([0, 1, 1, 2, 9])
        scrap = chance.choice([b"", chance.choice(SCRAPS), chance.choice(SCRAPS), text[at:][:9]])
        text = text[:at] + scrap + text[at + length :]
    return text


def parsed(body: bytes) -> Page | None:
    """Return the page, or None if the body as a whole was refused."""
    try:
        return parse_page(body, None)
    except FlatfileAnswerError:
        return None


def is_valid(element: bytes) -> bool:
    """Tell, with another reader than the one under test, whether an element is JSON in UTF-8."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(element.decode(), parse_int=str, parse_float=str, parse_constant=refuse)
    except ValueError:
        return False
    return True


def members_of(element: bytes) -> dict[str, object]:
    """Return the members of a valid element, the last of those that have one name."""
    decoded = json.loads(element, parse_int=float)
    return decoded if isinstance(decoded, dict) else {}


def check_element(element: bytes) -> None:
    """Check what becomes of a damaged element between two neighbours."""
    page = parsed(b'{"data":[%b,%b,%b]}' % (LEFT, element, RIGHT))
    valid = is_valid(element)
    if page is None:
        assert not valid, "a valid element made the page unreadable"
        return
    if not valid and FORGED.search(element):
        return
    left, *rows, right = page.rows
    assert isinstance(left, Event)
    assert isinstance(right, Event)
    assert (left.id, bytes(left.payload)) == ("us_evt_left", b'{"x":[1]}')
    assert (right.id, bytes(right.payload)) == ("us_evt_right", b'{"x":[1]}')
    if not valid:
        assert any(isinstance(row, BrokenEvent) for row in rows) or b"}" in element
        return
    (row,) = rows
    members = members_of(element)
    if isinstance(row, Event):
        assert (row.id, row.topic) == (members["id"], members["topic"])
        assert is_json(bytes(row.payload) or b"null")
        assert is_json(bytes(row.extra) or b"null")
        assert bytes(row.payload) in element
    else:
        assert row.raw == element.strip(b" \t\n\r")
        assert row.reason not in ("not_json", "not_utf8")


def check_page(body: bytes) -> None:
    """Check that a damaged body is read the same in both ways, if it is read at all."""
    page, clean = parsed(body), parse_clean_page(body, None)
    if clean is not None:
        cut = parse_hostile_page(body, None)
        assert page is not None
        assert len(page.rows) == len(clean.rows) == len(cut.rows)
        assert page.times == clean.times == cut.times


@pytest.mark.timeout(FUZZ_S + 60)
def test_no_damage_to_a_page_loses_a_neighbour_or_escapes_as_an_exception() -> None:
    """Whatever happens to one element, those beside it are read, or the page is asked for again."""
    print(f"STREAMER_FUZZ_SEED={SEED}")  # noqa: T201 -- shown by pytest if it fails
    chance = random.Random(SEED)  # noqa: S311 -- no secret
    deadline = time.monotonic() + FUZZ_S
    rounds = 0
    while time.monotonic() < deadline:
        element = damaged(chance.choice(SEEDS), chance)
        check_element(element)
        check_page(damaged(b'{"data":[%b,%b]}' % (LEFT, element), chance))
        rounds += 1
    assert rounds > 100
