"""`streamer status` against a real checkpoint topic, without any worker."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from rich.cells import cell_len, chop_cells

from streamer.audit.checkpoint import SHARD_KEY, Checkpoint, EnvironmentName, encode, encode_shard
from streamer.kafka.client import Connection
from streamer.kafka.topics import ensure
from streamer.kafka.transaction import Outgoing
from tests.support.audit_records import CHECKPOINT, SHARD
from tests.support.kafka_parts import commit, kafka_settings, started
from tests.support.streamer_command import at_terminal, kafka_variables, streamer

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker

HOSTILE = "\x1b[2J\x9b31m[bold]\N{RIGHT-TO-LEFT OVERRIDE}\r\n" + "n" * 200
WIDE = "人事データ取込環境" * 6
TERMINAL_WIDTH = 80


def checkpoint(
    id_: str,
    *,
    name: str | None = None,
    polled_s: float | None = 0,
    **members: Any,  # noqa: ANN401 (as Checkpoint's)
) -> Checkpoint:
    """A checkpoint of an environment that was polled so long ago, or never."""
    now = datetime.now(UTC)
    usual: dict[str, Any] = {
        "environment": EnvironmentName(id_, name or f"name of {id_}"),
        "polled": None if polled_s is None else now - timedelta(seconds=polled_s),
        "watermark": now - timedelta(hours=3),
    }
    return msgspec.structs.replace(CHECKPOINT, **usual | members)


class Checkpoints:
    """A checkpoint topic of two partitions."""

    def __init__(self, broker: LocalBroker, prefix: str) -> None:
        self.kafka = kafka_settings(broker.bootstrap_servers, prefix)
        self.settings = kafka_variables(broker, prefix)

    async def write(self, partition: int, *values: Checkpoint | bytes) -> None:
        """Commit checkpoints, each under its environment; bytes are an environment that is gone."""
        topic = self.kafka.checkpoint_topic
        messages = [Outgoing(SHARD_KEY, encode_shard(SHARD))]
        for one in values:
            if isinstance(one, bytes):
                messages.append(Outgoing(one, None))
            else:
                messages.append(Outgoing(one.environment.id.encode(), encode(one)))
        connection = Connection(self.kafka)
        async with started(connection, f"{topic}.{partition}", partition=partition) as writer:
            await commit(writer, {topic: messages})


@pytest.fixture
async def topic(broker: LocalBroker, prefix: str) -> Checkpoints:
    """An empty checkpoint topic."""
    made = Checkpoints(broker, prefix)
    await ensure(Connection(made.kafka), made.kafka)
    return made


async def test_each_environment_is_shown_as_its_newest_checkpoint_says(topic: Checkpoints) -> None:
    """As a line for people, which says how old it can be, and as JSON with everything."""
    await topic.write(0, checkpoint("us_env_a", sequence=1), checkpoint("us_env_gone"))
    await topic.write(0, checkpoint("us_env_a", sequence=48_213, polled_s=90), b"us_env_gone")
    await topic.write(1, checkpoint("us_env_b", state="forbidden", polled_s=None, writer="w-2"))
    text = await streamer("status", settings=topic.settings)
    assert text.code == 0, text.everything
    head, first, second, *about = text.lines
    assert head.split() == [
        *("environment", "shard", "sequence", "last", "poll", "watermark", "state", "writer")
    ]
    shown = ["name", "of", "us_env_a", "0", "48,213", "2", "min", "3", "h", "polled"]
    assert first.split() == [*shown, "host-1"]
    assert second.split()[3:6] == ["1", "48,213", "never"]
    assert second.split()[-2:] == ["forbidden", "w-2"]
    assert "15 minutes" in " ".join(about)
    result = await streamer("status", "--json", settings=topic.settings)
    found = json.loads(result.out)["environments"]
    assert [one["environment"] for one in found] == ["us_env_a", "us_env_b"]
    one = found[0]
    assert 89 < one["polled_s"] < 150
    assert datetime.fromisoformat(one["checkpoint_written"]) > datetime.fromisoformat(one["polled"])
    assert (one["shard"], one["state"], one["sequence"]) == (0, "polled", 48_213)
    assert (one["head"], one["writer"], one["account"]) == ("ab" * 32, "host-1", "us_acc_1")


@pytest.mark.parametrize(
    ("max_lag", "late"),
    [("100", ["us_env_never", "us_env_old"]), ("1000000", ["us_env_never"])],
)
async def test_what_was_not_polled_in_time_is_a_no(
    topic: Checkpoints, max_lag: str, late: list[str]
) -> None:
    """Of environments that are polled; what rests or is forbidden is not waited for."""
    await topic.write(
        0,
        checkpoint("us_env_fresh"),
        checkpoint("us_env_old", polled_s=1000),
        checkpoint("us_env_never", polled_s=None),
        checkpoint("us_env_resting", polled_s=10_000, state="resting"),
        checkpoint("us_env_forbidden", polled_s=10_000, state="forbidden"),
    )
    result = await streamer("status", "--json", "--max-lag", max_lag, settings=topic.settings)
    assert result.code == 5
    found = json.loads(result.out)["environments"]
    assert [one["environment"] for one in found if one["late"]] == late
    assert [line.split(": ")[1] for line in result.err.splitlines()] == late


async def test_what_was_polled_in_time_is_a_yes(topic: Checkpoints) -> None:
    """Exit code 0, and nothing on standard error."""
    await topic.write(0, checkpoint("us_env_fresh", polled_s=10))
    result = await streamer("status", "--max-lag", "1000", settings=topic.settings)
    assert (result.code, result.err) == (0, "")


async def test_no_environment_is_a_no_to_whoever_expects_one(topic: Checkpoints) -> None:
    """An empty topic is told from a healthy one, a missing topic from both."""
    empty = await streamer("status", settings=topic.settings)
    assert (empty.code, empty.out) == (0, "")
    assert "no environment has a checkpoint yet" in empty.err
    assert (await streamer("status", "--max-lag", "9", settings=topic.settings)).code == 5
    other = topic.settings | {"STREAMER_KAFKA__TOPIC_PREFIX": "nobody-has-this-one"}
    missing = await streamer("status", settings=other)
    assert missing.code == 4
    assert "it does not exist" in missing.err


async def test_a_terminal_of_80_columns_shows_a_table_and_obeys_no_name(topic: Checkpoints) -> None:
    """Names are folded and none is cut, numbers stay whole, two of one name show their ids."""
    alike = [f"{'customer-onboarding-of-the-north-' * 2}{which}" for which in ("east", "west")]
    await topic.write(
        0,
        checkpoint("us_env_a", name=HOSTILE, writer=HOSTILE, sequence=1_048_213),
        checkpoint("us_env_b", name="twice"),
        checkpoint("us_env_c", name="twice"),
        *(checkpoint(f"us_env_{name}", name=name) for name in (*alike, WIDE)),
    )

    result = await at_terminal("status", settings=topic.settings | {"TERM": "dumb"})
    assert result.code == 0, result.everything
    shown = result.out
    lines = shown.splitlines()
    assert max(map(cell_len, lines)) <= TERMINAL_WIDTH
    assert "1,048,213" in shown
    assert shown.count(" polled ") == 6
    width = lines[0].index("shard")
    names = [chop_cells(line, width)[0].strip() for line in lines if line]
    assert {"us_env_b", "us_env_c"} <= set(names)
    for name in (*alike, WIDE):
        assert name in "".join(names)
    for harmful in ("\x1b[2J", "\x9b", "\N{RIGHT-TO-LEFT OVERRIDE}"):
        assert harmful not in shown
    assert "\\x1b" in shown
