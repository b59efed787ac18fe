"""What a shard does about a batch that the broker refuses: it finds the one record, and goes on.

A refusal takes its whole transaction with it, and after it the shard starts over from the log. So
what was learned lives beside the restarts: environments that were in a refused transaction go
alone, then in halves, until a single record is refused. That one goes out as a stub; an object of
the inventory is left out.

No I/O. What is refused although it cannot be narrowed (a stub, a checkpoint) is a matter for a
person: the shard tries again, with growing waits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from streamer.audit.record import restore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.kafka.transaction import Message
    from streamer.offer import Offer

log = structlog.get_logger()


class Caution:
    """How carefully a shard commits; lives as long as the shard.

    Attributes:
        refused: Ids of events whose records were refused alone.
    """

    def __init__(self, shard: int) -> None:
        self.refused: set[str] = set()
        self._left_out: set[bytes] = set()
        self._most: dict[bytes, int] = {}
        self._log = log.bind(shard=shard)

    def is_alone(self, offer: Offer) -> bool:
        """Whether an offer must have a transaction of its own."""
        return offer.key in self._most

    def most_records(self, key: bytes) -> int | None:
        """How many records an offer of this environment may have; None: as many as it likes."""
        return self._most.get(key)

    def cut(self, offer: Offer) -> list[Offer]:
        """Cut an offer of inventory as its environment's records would be, by their archiver."""
        if not offer.inventory or offer.records:
            return [offer]
        # A tombstone goes out: what was published before must not stay for ever.
        objects = [
            one for one in offer.inventory if one.value is None or one.key not in self._left_out
        ]
        most = self._most.get(offer.key) or len(objects) or 1
        parts = [objects[at : at + most] for at in range(0, len(objects), most)] or [[]]
        return [replace(offer, inventory=part) for part in parts]

    def narrow(self, offers: Sequence[Offer]) -> bool:
        """Take up that a transaction with these offers was refused.

        Returns:
            Whether the next attempt will be another one. If not, it will be refused as well.
        """
        suspects = [offer for offer in offers if _messages(offer)]
        if not suspects:
            return False
        if len(offers) > 1:
            for offer in suspects:
                most = self._most.get(offer.key, 0)
                self._most[offer.key] = max(most, len(_messages(offer)))
            return True
        (offer,) = suspects
        half = len(_messages(offer)) // 2
        if half:
            self._most[offer.key] = half
            self._log.warning("shard.capture_halved", messages=half)
            return True
        # Whatever else is in the capture was not looked at yet.
        self._most.pop(offer.key, None)
        return self._give_up(offer)

    def accepted(self, offer: Offer) -> None:
        """Take up that an offer was committed: an environment that was not cut is trusted again."""
        most = self._most.get(offer.key)
        if most is None or not (committed := len(_messages(offer))):
            return
        if committed < most:
            del self._most[offer.key]
        else:
            self._most[offer.key] = 2 * most

    def _give_up(self, offer: Offer) -> bool:
        if not offer.records:
            key = offer.inventory[0].key
            was_left_out = key in self._left_out
            self._left_out.add(key)
            self._log.error("shard.object_refused", object=key.decode())
            return not was_left_out
        event_id = restore(offer.records[0].value or b"").id
        if event_id in self.refused:
            self._log.error("shard.stub_refused", environment=offer.key.decode())
            return False
        self.refused.add(event_id)
        return True


def _messages(offer: Offer) -> Sequence[Message]:
    return offer.records or offer.inventory
