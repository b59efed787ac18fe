"""Whether what a shard was begun with agrees with what this worker was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamer.errors import ShardRefusedError

if TYPE_CHECKING:
    from streamer.audit.checkpoint import ShardRecord


def compare(found: ShardRecord, expected: ShardRecord, *, where: str) -> None:
    """Hold a shard's record against what we would write.

    Raises:
        ShardRefusedError: It was begun for another account, with another count, or is another log.
    """
    what = next_step = None
    # Without an environment at start the account has no name yet: no contradiction.
    if found.account and expected.account and found.account != expected.account:
        what = f"it holds account {found.account}, and these credentials open {expected.account}"
        next_step = "Use another STREAMER_KAFKA__TOPIC_PREFIX for another account."
    elif found.partitions != expected.partitions:
        what = (
            f"it was begun with {found.partitions} partitions, and there are "
            f"{expected.partitions} now"
        )
        next_step = "Kafka cannot take partitions back: use another STREAMER_KAFKA__TOPIC_PREFIX."
    elif found.audit_topic_id != expected.audit_topic_id:
        what = "the audit topic was deleted and made anew since its checkpoints were written"
        next_step = (
            "Use another STREAMER_KAFKA__TOPIC_PREFIX, or delete the checkpoint topic as well."
        )
    if what and next_step:
        raise ShardRefusedError(where=where, what=what, next_step=next_step)
