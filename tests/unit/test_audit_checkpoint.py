"""The checkpoint's form: what was written is read, what is newer is refused."""

from __future__ import annotations

import json

import pytest

from streamer.audit.checkpoint import (
    Checkpoint,
    EnvironmentName,
    Policy,
    ShardRecord,
    decode,
    decode_shard,
    encode,
    encode_shard,
)
from streamer.errors import ShardRefusedError
from tests.support.audit_records import CHECKPOINT, SHARD


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    """Nothing of it is lost on the way, with every member set and with the fewest."""
    fewest = Checkpoint(
        environment=EnvironmentName("us_env_1"),
        state="resting",
        sequence=0,
        head="00" * 32,
        tail=0,
        policy=Policy(),
        writer="w",
    )
    for checkpoint in (CHECKPOINT, fewest):
        assert decode(encode(checkpoint), where="t") == checkpoint


def test_a_shards_record_is_read_as_it_was_written() -> None:
    """Nothing of it is lost on the way."""
    for shard in (SHARD, ShardRecord(account=None, partitions=1, audit_topic_id="x")):
        assert decode_shard(encode_shard(shard), where="t") == shard


def test_a_checkpoint_is_what_the_design_says() -> None:
    """The members and their forms, for those who read the topic without streamer."""
    assert json.loads(encode(CHECKPOINT)) == {
        "schema": "flatfile.checkpoint/1",
        "account": "us_acc_1",
        "environment": {"id": "us_env_1", "name": "production"},
        "state": "polled",
        "sequence": 48213,
        "head": "ab" * 32,
        "watermark": "2026-11-23T20:46:04.300000Z",
        "polled": "2026-11-23T20:46:04.300000Z",
        "swept": "2026-11-23T20:46:04.300000Z",
        "seen_from": "2026-11-23T20:46:04.300000Z",
        "tail": 17,
        "policy": {"exclude_topics": ["cron:*"], "personal_data": "pseudonymize"},
        "writer": "host-1",
    }


def test_a_newer_major_version_is_refused_with_what_to_do() -> None:
    """A worker that does not know what it means writes nothing."""
    newer = encode(CHECKPOINT).replace(b"checkpoint/1", b"checkpoint/2")
    with pytest.raises(ShardRefusedError, match=r"checkpoint/2.*newer") as refused:
        decode(newer, where="flatfile.checkpoints/3@17")
    assert refused.value.exit_code == 4
    with pytest.raises(ShardRefusedError, match="shard/9"):
        decode_shard(encode_shard(SHARD).replace(b"shard/1", b"shard/9"), where="t")


def test_additions_of_the_same_major_version_are_accepted() -> None:
    """A member that this version does not know is ignored."""
    added = encode(CHECKPOINT)[:-1] + b',"later":{"x":1}}'
    assert decode(added, where="t") == CHECKPOINT


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"\xff",
        b"{}",
        b'{"schema":"flatfile.checkpoint/1"}',
        b'{"schema":"other/1"}',
        b'{"schema":7}',
        encode(CHECKPOINT).replace(b'"sequence":48213', b'"sequence":-1'),
        encode(CHECKPOINT).replace(b'"tail":17', b'"tail":-1'),
        encode(CHECKPOINT).replace(b"abab", b"ABAB"),
        encode(CHECKPOINT).replace(b"polled", b"dreaming", 1),
        encode_shard(SHARD),
    ],
)
def test_a_foreign_message_is_refused(value: bytes) -> None:
    """What streamer did not write is an error of its own, without quoting it."""
    with pytest.raises(ShardRefusedError, match="not something that streamer writes"):
        decode(value, where="t")
