"""Whatever Flatfile may send, its records keep their promises: the verifier finds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.audit.chain import genesis
from streamer.audit.encoder import Encoder
from streamer.audit.normalize import read
from streamer.audit.privacy import CLEAR, Privacy
from streamer.flatfile.models import Environment, Row
from streamer.flatfile.rows import read_row
from tests.support.audit_records import ADA, OBSERVED, row
from tests.support.published import (
    AUDIT,
    CHECKPOINTS,
    DEAD_LETTERS,
    Published,
    checkpoint_of,
    message,
)

CORPUS = Path(__file__).parent.parent / "corpus"
KEY = b"0123456789abcdef"
MAIL = "ada@example.com"
CONTEXTS: list[object] = [
    {"actorId": "us_usr_1", "jobId": "a" * 3000, "precedingEventId": "b" * 300},
    {"jobId": MAIL, "precedingEventId": MAIL, "actorId": MAIL, "spaceId": MAIL},
    {"jobId": 5, "precedingEventId": {}},
    {"jobId": "", "actorId": ""},
    {"actorId": "us_usr_" + "x" * 5000},
    {"jobId": "us_jb_1", "else": "y" * 17_000},
    [1],
    "x",
]
TIMES = [
    *("2026-01-01T00:00:00+05:00", "2026-01-01T00:00:00.123456789Z", "2026-13-01T00:00:00.000Z"),
    *("9999-12-31T23:59:59-05:00", f"nonsense {MAIL}", "0001-01-01T00:00:00+05:00"),
]
TOPICS = [f"{MAIL}:created", "x" * 400 + ":y", "no colon", "secret:created", "job:failed"]


def rows() -> list[Row]:
    """Every element of the corpus, and more."""
    return [
        *(read_row(path.read_bytes()) for path in sorted(CORPUS.rglob("*.json"))),
        *(row(id=f"context{n}", context=one) for n, one in enumerate(CONTEXTS)),
        *(row(id=f"time{n}", createdAt=one) for n, one in enumerate(TIMES)),
        *(row(one, id=f"topic{n}") for n, one in enumerate(TOPICS)),
        row(id="e" * 900),
        row(id="stub", context={"jobId": 5}, payload="x" * 20_000),
    ]


@pytest.mark.parametrize("max_record_bytes", [1_000_000, 14_000, 5000])
@pytest.mark.parametrize(
    "privacy",
    [CLEAR, Privacy("pseudonymize", KEY), Privacy("drop"), Privacy("drop", KEY)],
    ids=lambda privacy: f"{privacy.policy}-{len(privacy.key)}",
)
def test_hostile_events_make_records_that_hold(privacy: Privacy, max_record_bytes: int) -> None:
    """Under every policy, as records and as stubs, in a first revision and in a second."""
    published = Published([], [], [])
    for number, one in enumerate(rows()):
        environment = Environment(id=f"us_env_{number}", name="production")
        encoder = Encoder(
            environment, "us_acc_1", max_record_bytes=max_record_bytes, privacy=privacy
        )
        drafts = [read(one, revision) for revision in (1, 2)]
        made, link = encoder.encode(drafts, {ADA.id: ADA}, OBSERVED, genesis(environment.id))
        letters = [letter for each in made for letter in each.dead_letters]
        key, checkpoint = environment.id.encode(), checkpoint_of(environment.id, link)
        published.records += [message(AUDIT, 0, key, each.value, each.headers) for each in made]
        published.checkpoints.append(message(CHECKPOINTS, 0, key, checkpoint))
        published.letters += [
            message(DEAD_LETTERS, 0, key, each.value, each.headers) for each in letters
        ]
    verifier = published.judged()
    assert verifier.findings.described == []
    assert verifier.records == 2 * len(rows())
