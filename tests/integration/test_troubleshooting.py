"""Every failure in the README's table is produced, and says what the table quotes."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from tests.integration.conftest import QUICK
from tests.support import failures
from tests.support.container_files import REPOSITORY
from tests.support.failures import Place, Produce, checked
from tests.support.guarded_broker import Guarded, guarded_broker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from streamer.broker.local import LocalBroker

PRODUCERS: Final[dict[str, Produce]] = {
    "A setting is misspelt": checked(KAFKA__GRUOP="x"),
    "A secret's file is not there, or not ours to read": failures.secret_without_a_file,
    "The API's address has no TLS": checked(FLATFILE__API_URL="http://flatfile.example.com/api/v1"),
    "The port for health and metrics is taken": failures.port_in_use,
    "Flatfile refuses the key pair (exit code 3)": checked(FLATFILE__SECRET="wrong"),  # noqa: S106
    "A token was copied with what stood around it": failures.token_with_a_blank,
    "Flatfile refuses the secret while the worker runs": failures.secret_refused_later,
    "Flatfile cannot be reached": checked(FLATFILE__API_URL="http://127.0.0.1:1/v1"),
    "Something intercepts TLS": failures.intercepted_tls,
    "Flatfile does not answer (not ready)": failures.silent_flatfile,
    "One environment is refused": failures.forbidden_environment,
    "An environment is not found": checked(CAPTURE__ENVIRONMENTS="us_env_nowhere"),
    "Kafka cannot be reached (exit code 4 at the start)": checked(
        KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1"
    ),
    "Kafka refuses the password": failures.wrong_password,
    "Kafka's certificate is not trusted": failures.untrusted_broker,
    "A permission is missing (exit code 4)": failures.missing_permission,
    "Kafka is gone while the worker runs (not ready)": failures.kafka_gone,
    "A topic was made by hand, with another policy": failures.compacted_audit_topic,
    "Partitions were added to a topic": failures.unequal_partitions,
    "The topics belong to another account": failures.another_account,
    "The checkpoints were deleted": failures.checkpoints_deleted,
    "The audit topic was deleted": failures.audit_topic_made_anew,
    "An event could not be read": failures.unreadable_event,
}
"""What produces each row's failure, by what the row says has happened."""


AT_ONCE: Final = 6
"""Failures that are produced at the same time: most of them are waited for."""


class Row(NamedTuple):
    """A row of the table: what happened, and what is said about it."""

    symptom: str
    message: str

    def is_said_in(self, text: str) -> bool:
        """Whether a text has the message; `…` stands for anything in one line."""
        parts = self.message.split("…")
        return re.search("[^\n]*".join(map(re.escape, parts)), text) is not None


def table() -> dict[str, Row]:
    """Return the rows by symptom."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    lines = text.partition("<!-- troubleshooting -->")[2].partition("<!-- end -->")[0].splitlines()
    rows = {}
    for line in lines[4:]:
        cells = re.fullmatch(r"\| (.+?) \| (`+)(.+?)\2 \| (.*)\|", line)
        if line:
            assert cells is not None, line
            rows[cells[1]] = Row(cells[1], cells[3])
    return rows


@pytest.fixture(scope="module")
def guarded(_quick_starts: None) -> Iterator[Guarded]:
    """A broker that asks for passwords and permissions."""
    with guarded_broker(QUICK) as broker:
        yield broker


def test_every_row_is_produced() -> None:
    """No row of the table is without a producer, and none of these without a row."""
    assert set(table()) == set(PRODUCERS)


@pytest.mark.timeout(240)
async def test_failures_say_what_the_readme_quotes(
    broker: LocalBroker,
    guarded: Guarded,
    own_broker: Callable[..., Awaitable[LocalBroker]],
    prefix: str,
) -> None:
    """What a person reads when it happens can be found in the table."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def said(number: int, produce: Produce) -> str:
        async with turns:
            return await produce(Place(broker, guarded, own_broker, f"{prefix}{number}"))

    texts = await asyncio.gather(*(said(*each) for each in enumerate(PRODUCERS.values())))
    rows = table()
    assert [
        (rows[symptom].message, text[-1000:])
        for symptom, text in zip(PRODUCERS, texts, strict=True)
        if not rows[symptom].is_said_in(text)
    ] == []
