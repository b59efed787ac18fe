"""A page's bytes -> its events: nothing lost, nothing altered, whatever an element holds."""

from __future__ import annotations

import contextlib
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from streamer.errors import FlatfileAnswerError
from streamer.flatfile.envelope import LARGE_BODY_BYTES, UTF_8_PIECE_BYTES, is_utf8
from streamer.flatfile.grammar import is_json
from streamer.flatfile.models import BrokenEvent, Event
from streamer.flatfile.pages import parse_clean_page, parse_hostile_page
from streamer.flatfile.rows import BrokenReason
from tests.support.pages import parse_page

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS = Path(__file__).parent.parent / "corpus"
ELEMENTS = sorted(CORPUS.glob("*/*.json"))
SERVER_AT = datetime(2026, 11, 23, 20, 46, 5, tzinfo=UTC)


def plain(number: int, created_at: str = "2026-11-23T20:46:04.300Z", **members: object) -> bytes:
    """Return an element with nothing odd about it."""
    members = {"id": f"us_evt_{number}", "topic": "a:b", "createdAt": created_at, **members}
    return json.dumps(members, separators=(",", ":")).encode()


def page_of(*elements: bytes) -> bytes:
    """Return the body of an answer with these elements."""
    return b'{"data":[' + b",".join(elements) + b"]}"


def name_of(path: Path) -> str:
    """Return what a corpus file is called in the test's name."""
    return f"{path.parent.name}-{path.stem}"


@pytest.mark.parametrize("path", ELEMENTS, ids=name_of)
def test_hostile_element_has_its_outcome_and_keeps_its_neighbours(path: Path) -> None:
    """Each element of the corpus comes out as its folder says, between two unharmed neighbours."""
    element = path.read_bytes()
    page = parse_page(page_of(plain(1), element, plain(2)), SERVER_AT)

    before, row, after = page.rows
    assert (before.id, after.id) == ("us_evt_1", "us_evt_2")
    assert page.times[0] == page.times[2] == datetime(2026, 11, 23, 20, 46, 4, 300000, tzinfo=UTC)
    if path.parent.name == "event":
        assert isinstance(row, Event)
        assert row.id == "us_evt_hostile"
        assert bytes(row.payload) == element[element.rindex(b'"payload":') + 10 : -1]
    else:
        assert isinstance(row, BrokenEvent)
        assert (row.reason, row.raw) == (path.parent.name, element)


def test_corpus_has_an_element_for_every_reason() -> None:
    """No reason for a dead letter is without an example."""
    of_whole_elements = set(get_args(BrokenReason)) - {"cut_off"}
    assert {path.parent.name for path in ELEMENTS} == {"event", *of_whole_elements}


@pytest.mark.parametrize("path", ELEMENTS, ids=name_of)
def test_no_text_of_a_row_is_impossible_to_write(path: Path) -> None:
    """Every text that was read of a hostile element can be encoded as UTF-8."""
    (row,) = parse_page(page_of(path.read_bytes()), None).rows
    texts = [row.id, row.topic, row.created_at]
    if isinstance(row, Event):
        texts += [row.domain, row.deleted_at, row.acknowledged_at, row.acknowledged_by]
    for text in texts:
        assert text is None or text.encode().decode() == text


def test_members_that_are_unknown_or_of_another_type_are_kept_as_sent() -> None:
    """What has no place in the typed view is in `extra`, byte for byte and in order."""
    element = (
        b'{"id":"x","fresh":{"b":1,"a":1e400},"topic":"a:b","domain":7,"createdAt":"z","":"\\ud800",'
        b'" extra":[1],"deletedAt":null,"acknowledgedAt":"t"}'
    )
    (row,) = parse_page(page_of(element), None).rows
    assert isinstance(row, Event)
    assert bytes(row.extra) == (b'{"fresh":{"b":1,"a":1e400},"":"\\ud800"," extra":[1],"domain":7}')
    assert (row.domain, row.deleted_at, row.acknowledged_at) == (None, None, "t")


def test_unknown_member_is_kept_as_sent_by_the_faster_way_too() -> None:
    """A compact element whose unknown members a decoder accepts is treated no differently."""
    element = plain(1, fresh={"b": [1, 2]}, other=None, domain="file", payload={"a": 1})
    (row,) = parse_page(page_of(element), None).rows
    assert isinstance(row, Event)
    assert (row.domain, bytes(row.payload)) == ("file", b'{"a":1}')
    assert bytes(row.extra) == b'{"fresh":{"b":[1,2]},"other":null}'


def test_member_that_has_the_name_of_our_own_is_no_way_in() -> None:
    """A hostile event cannot write `extra` itself: its member is one more that we do not know."""
    element = plain(1)[:-1] + b'," extra":{"forged":1}}'
    (row,) = parse_page(page_of(element), None).rows
    assert isinstance(row, Event)
    assert bytes(row.extra) == b'{" extra":{"forged":1}}'


@pytest.mark.parametrize(
    "element",
    [
        b'{"id":"x","a":1,"topic":"a:b","a":2,"createdAt":"z"}',
        b'{"id":"x","\\u0061":1,"topic":"a:b","a":2,"createdAt":"z"}',
    ],
)
def test_unknown_member_that_occurs_twice_is_kept_twice(element: bytes) -> None:
    """Neither a key sent twice nor an escape in a key is lost from `extra`."""
    (row,) = parse_page(page_of(element), None).rows
    assert isinstance(row, Event)
    assert bytes(row.extra).endswith(b':1,"a":2}')


def test_broken_element_tells_what_could_be_read_of_it() -> None:
    """Id, topic and time of a broken element are known where they are beyond doubt."""
    page = parse_page(
        page_of(
            b'{"id":"us_evt_1","topic":"a:b","createdAt":"2026-11-23T20:46:04Z","payload":NaN}',
            b'{"id":"us_evt_2","topic":"caf\xe9","payload":"\xe9"}',
            b'{"payload":{"id":"us_evt_inner"},"topic":"a:b"}',
        ),
        None,
    )
    assert [(row.id, row.topic, row.created_at) for row in page.rows] == [
        ("us_evt_1", "a:b", "2026-11-23T20:46:04Z"),
        ("us_evt_2", None, None),
        (None, "a:b", None),
    ]
    assert page.times == [datetime(2026, 11, 23, 20, 46, 4, tzinfo=UTC), None, None]


@pytest.mark.parametrize(
    ("created_at", "instant"),
    [
        ("2026-11-23T20:46:04.300Z", datetime(2026, 11, 23, 20, 46, 4, 300000, tzinfo=UTC)),
        ("2026-11-23T20:46:04Z", datetime(2026, 11, 23, 20, 46, 4, tzinfo=UTC)),
        ("2026-11-23t20:46:04z", datetime(2026, 11, 23, 20, 46, 4, tzinfo=UTC)),
        ("2026-11-23T21:46:04+01:00", datetime(2026, 11, 23, 20, 46, 4, tzinfo=UTC)),
        ("2026-11-23T20:46:04", datetime(2026, 11, 23, 20, 46, 4, tzinfo=UTC)),
        ("2099-01-01T00:00:00Z", datetime(2099, 1, 1, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("2026-11-23", None),
        ("2026-13-23T20:46:04Z", None),
        ("1700000000000", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_created_at_is_an_instant_in_utc_or_none(created_at: str, instant: datetime | None) -> None:
    """A `createdAt` counts as an instant in UTC, or as none; its neighbour's is not touched."""
    page = parse_page(page_of(plain(1, created_at), plain(2)), None)
    assert page.times == [instant, datetime(2026, 11, 23, 20, 46, 4, 300000, tzinfo=UTC)]
    assert all(time.tzinfo is UTC for time in page.times if time)
    assert page.rows[0].created_at == created_at


def test_page_tells_the_servers_time_and_its_size() -> None:
    """A page carries the answer's `Date` and the length of its body."""
    body = page_of(plain(1))
    page = parse_page(body, SERVER_AT)
    assert (page.server_at, page.size_bytes) == (SERVER_AT, len(body))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html><body>502</body></html>",
        b'{"data":null}',
        b'{"data":{}}',
        b'{"errors":[{"message":"no"}]}',
        b'{"data":[]}{"data":[]}',
        b'{"data":[],}',
        b'{"data":[1,]}',
        b'{"data":[,1]}',
        b'{"data":[1]2}',
        b'{"data":[1][2]}',
        b'{"data":[1],"x":[,2]}',
        b'{"data":[}',
        b'{"data":[{]}]}',
        page_of(b'{"a":[}', plain(1), b'{"b":]}'),
        b'{"data" []}',
        b'{"meta":{"data":[]}}',
        b"\xef\xbb\xbf" + page_of(plain(1)),
        page_of(plain(1)).decode().encode("utf-16"),
    ],
)
def test_body_that_is_no_page_is_refused(body: bytes) -> None:
    """A body that is not an object with an array `data` is an error, never an empty page."""
    with pytest.raises(FlatfileAnswerError):
        parse_page(body, None)


def test_truncated_page_is_refused_wherever_it_is_cut() -> None:
    """No prefix of a page passes for a page, so that none of its events can go missing."""
    elements = [path.read_bytes() for path in ELEMENTS if path.stat().st_size < 400]
    body = page_of(*elements) + b" "
    for end in range(len(body) - 1):
        with pytest.raises(FlatfileAnswerError):
            parse_page(body[:end], None)
    assert len(parse_page(body, None).rows) == len(elements)


def test_data_is_found_behind_and_before_other_members() -> None:
    """An answer may say more than `data`, in any order and with white space."""
    hostile = b'{"id":"us_evt_9","topic":"a:b","createdAt":"z","payload":"\\ud800"}'
    body = b' {"x" : [{"data":[1]}] ,\n"data": [ %b , %b ] , "pagination":{"a":"]"} }\n'
    page = parse_page(body % (hostile, plain(1)), None)
    assert [row.id for row in page.rows] == ["us_evt_9", "us_evt_1"]


def test_both_ways_of_reading_a_clean_page_agree() -> None:
    """Cutting a page apart gives the same rows and times as decoding it at once."""
    body = page_of(*(plain(n, payload={"n": [n, {"a": "}],"}]}, domain=None) for n in range(50)))
    at_once = parse_clean_page(body, SERVER_AT)
    cut = parse_hostile_page(body.replace(b"us_evt_7", b"\\ud800us_evt_7"), SERVER_AT)
    assert at_once is not None
    assert len(cut.rows) == 50
    for one, other in zip(at_once.rows, cut.rows, strict=True):
        assert isinstance(one, Event)
        if one.id == "us_evt_7":
            assert isinstance(other, BrokenEvent)
            continue
        assert isinstance(other, Event)
        assert (one.id, one.created_at) == (other.id, other.created_at)
        assert bytes(one.payload) == bytes(other.payload)
    assert at_once.times == cut.times


@pytest.mark.parametrize("offset", range(4))
def test_character_across_two_pieces_of_the_utf_8_check_is_no_error(offset: int) -> None:
    """UTF-8 is checked in pieces, and a character may lie across two of them."""
    body = page_of(plain(1))
    filled = body.ljust(UTF_8_PIECE_BYTES - offset)
    assert is_utf8(filled + "😀".encode() + filled)
    assert not is_utf8(filled + "😀".encode()[:3] + filled)
    assert not is_utf8(filled + "😀".encode()[:3])


def test_event_of_20_megabytes_is_kept_beside_its_neighbours() -> None:
    """One enormous event is archived whole, and so are the small ones beside it."""
    payload = '{"value":"' + "x\\n" * 7_000_000 + '"}'
    element = b'{"id":"us_evt_9","topic":"a:b","createdAt":"z","payload":%b}' % payload.encode()
    page = parse_page(page_of(plain(1), element, plain(2)), None)
    assert [row.id for row in page.rows] == ["us_evt_1", "us_evt_9", "us_evt_2"]
    assert isinstance(page.rows[1], Event)
    assert len(page.rows[1].payload) == len(payload)


def test_number_of_elements_is_bounded() -> None:
    """A body of millions of tiny elements is refused before it becomes millions of objects."""
    tiny = b"0," * (LARGE_BODY_BYTES // 2)
    with pytest.raises(FlatfileAnswerError, match="elements"):
        parse_page(b'{"data":[' + tiny + b"0]}", None)


SHAPES: dict[str, Callable[[int], bytes]] = {
    "opened": lambda n: page_of(b"[" * n),
    "nested": lambda n: page_of(b'{"a":' * n + b"1" + b"}" * n),
    "unclosed": lambda n: b'{"data":["' + b"\\" * n,
    "escaped quotes": lambda n: b'{"data":["' + b'\\"' * n,
    "strings then a lone surrogate": lambda n: page_of(b'["\\ud800"' + b',"a"' * n + b"]"),
    "numbers then garbage": lambda n: page_of(b"[" + b"1," * n + b"]"),
    "leaves": lambda n: page_of(b'["\\ud800"' + b",[1]" * n + b"]"),
    "almost leaves": lambda n: page_of(b'["\\ud800"' + b',["a[",[{}' * n),
    "white space": lambda n: page_of(b" " * n + b"NaN" + b" " * n),
    "members": lambda n: page_of(b'{"id":1' + b',"a":"\\ud800"' * n + b"}"),
    "elements": lambda n: page_of(b'{"id":"a"},' * (n // 10) + b"NaN"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_hostile_page_takes_time_linear_in_its_length(shape: str) -> None:
    """Eight times the bytes take about eight times as long, whatever they are."""

    def cost_s(size: int) -> float:
        body = SHAPES[shape](size)
        begun = time.process_time()
        with contextlib.suppress(FlatfileAnswerError):
            parse_page(body, None)
        return time.process_time() - begun

    cost_s(1_000)
    small = min(cost_s(20_000) for _ in range(3))
    assert cost_s(160_000) < 24 * small + 0.1


def test_grammar_accepts_what_a_strict_reader_accepts() -> None:
    """Escapes, numbers, literals and empty containers are JSON exactly where RFC 8259 says so."""
    good = [
        "{}",
        "[ ]",
        "[[],{}]",
        '{"a":{}}',
        "-0",
        "1E+9",
        '"\\/\\b"',
        " null\n",
        '[{"a":[1]},2]',
    ]
    bad = [
        "",
        "[",
        "]",
        "[1,]",
        "{,}",
        "01",
        "1.",
        "-",
        "[]]",
        '{"a"}',
        '"\t"',
        "nul",
        "[,1]",
        "1 1",
    ]
    assert [text for text in good if not is_json(text.encode())] == []
    assert [text for text in bad if is_json(text.encode())] == []


def test_page_of_offsets_is_read_in_utc() -> None:
    """A whole page with offsets other than Z is converted, row by row."""
    body = page_of(*(plain(n, f"2026-11-23T21:46:0{n}+01:00") for n in range(3)))
    first = datetime(2026, 11, 23, 20, 46, tzinfo=UTC)
    assert parse_page(body, None).times == [first + timedelta(seconds=n) for n in range(3)]
