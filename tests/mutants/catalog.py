"""The mutants: for each promise of the product, code that no longer keeps it, and who notices.

A mutant is a text of one module, replaced. It counts as caught if the happy path still passes and
its guard, a test, fails on the assertion about ids, sequence, chain or bytes that `red` describes:
a time-out or an exception is no catch. What can go wrong in reading a listing and in the positions
(a confirmation before its commit, a tail that is too short, …) has mutants of its own, which many
histories are tried against: `tests/property/test_walk_mutants.py`.

Texts are chosen short, so that they outlive changes around them; one that is not in its module
exactly once fails `test_mutants.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HAPPY_PATH: Final = "tests/integration/test_promises.py::test_happy_path_holds"
"""What a mutant must still pass: a backlog and news, published by one worker that is stopped."""

NO_FLAWS: Final = r"assert \['.*'.*\] == \[\]"
"""The judge's list of what is lost, repeated, out of sequence or out of the chain is not empty."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One way to break one promise.

    Attributes:
        name: What the broken code does.
        promise: In words of the design, which is broken.
        number: Of that promise.
        module: Where, from the top of the repository.
        old: The text that is replaced; there exactly once.
        new: What takes its place.
        guard: The test that must fail.
        red: A regular expression that the message of the failed assertion matches.
        quick: Whether it is tried whenever the tests run, or only by command.
    """

    name: str
    promise: str
    number: int
    module: str
    old: str
    new: str
    guard: str
    red: str = NO_FLAWS
    quick: bool = False


_PROMISES: Final = "tests/integration/test_promises.py::"

NOTHING_LOST: Final = "nothing lost"
NOTHING_TWICE: Final = "nothing twice"
TOGETHER: Final = "records and checkpoint commit together"
NO_GAP: Final = "no gap in the sequence, one chain"
ONE_WRITER: Final = "one writer per shard"

MUTANTS: Final = (
    Mutant(
        name="commit without awaiting the futures",
        promise=NOTHING_LOST,
        number=1,
        module="streamer/kafka/transaction.py",
        old="runs.setdefault(topic, []).append((first, future.result().offset))",
        new="offset = 0 if future.exception() else future.result().offset\n"
        "                runs.setdefault(topic, []).append((first, offset))",
        guard=_PROMISES + "test_refused_record_leaves_nothing_of_its_transaction",
        red=r"assert \[\[b'before'\], \[b'upto'\]\] == \[\[\], \[\]\]",
        quick=True,
    ),
    Mutant(
        name="confirm before the commit",
        promise=NOTHING_LOST,
        number=1,
        module="streamer/capture/cursor.py",
        old="self._read = capture.position",
        new="self._read = self.position = capture.position",
        guard="tests/unit/test_cursor.py::test_confirmed_position_moves_only_when_confirmed",
        red=r"assert Position\(.* == Position\(",
    ),
    Mutant(
        name="sweep behind the watermark",
        promise=NOTHING_LOST,
        number=1,
        module="streamer/capture/cursor.py",
        old="earlier(at.swept, windows.sweep)",
        new="earlier(at.watermark, windows.sweep)",
        guard="tests/unit/test_cursor.py::test_event_late_by_all_of_the_sweep_window_is_found",
        red=r"assert \[\] == \['e1'\]",
    ),
    Mutant(
        name="ignore at a restore what was published",
        promise=NOTHING_TWICE,
        number=2,
        module="streamer/shard/restore.py",
        old="standing.cursor.restore(memory, message.offset)",
        new="_ = memory",
        guard=_PROMISES + "test_worker_that_starts_again_repeats_nothing_and_counts_on",
        quick=True,
    ),
    Mutant(
        name="a checkpoint in a transaction of its own",
        promise=TOGETHER,
        number=3,
        module="streamer/kafka/transaction.py",
        old="committed = Committed(await self._send(messages))\n",
        new="committed = Committed(await self._send(messages))\n"
        "                await self._producer.commit_transaction()\n"
        "                await self._producer.begin_transaction()\n",
        guard=_PROMISES + "test_refused_checkpoint_leaves_nothing_of_its_transaction",
        red=r"assert \[\[b'record'\], \[\]\] == \[\[\], \[\]\]",
        quick=True,
    ),
    Mutant(
        name="keep the producer after a failed batch",
        promise=TOGETHER,
        number=3,
        module="streamer/kafka/transaction.py",
        old="                await self._producer.begin_transaction()\n                committed =",
        new="                if not self._producer._txn_manager.is_in_transaction():\n"
        "                    await self._producer.begin_transaction()\n"
        "                committed =",
        guard=_PROMISES + "test_producer_with_a_refused_batch_commits_nothing_any_more",
        red=r"assert \[b'beside', b'next'\] == \[\]",
    ),
    Mutant(
        name="keep the producer after a repeated end of a transaction",
        promise=TOGETHER,
        number=3,
        module="streamer/kafka/transaction.py",
        old="if self._end_requests != 1:",
        new="if not self._end_requests:",
        guard="tests/chaos/test_late_end.py::test_late_end_hits_no_transaction_of_a_worker",
        red=r"assert \[.*us_evt_.*\] == \[\]",
    ),
    Mutant(
        name="believe a checkpoint that the records contradict",
        promise=TOGETHER,
        number=3,
        module="streamer/shard/restore.py",
        old="if found is None or said == found:",
        new="if found is None or said is not None:",
        guard=_PROMISES + "test_torn_transaction_is_mended",
    ),
    Mutant(
        name="begin the chain anew at a restart",
        promise=NO_GAP,
        number=4,
        module="streamer/shard/restore.py",
        old="link = standing.link or link",
        new="link = genesis(environment.id)",
        guard=_PROMISES + "test_worker_that_starts_again_repeats_nothing_and_counts_on",
        quick=True,
    ),
    Mutant(
        name="a transactional id for each producer",
        promise=ONE_WRITER,
        number=5,
        module="streamer/kafka/transaction.py",
        old="            transactional_id=transactional_id,\n",
        new='            transactional_id=f"{transactional_id}.{id(self)}",\n',
        guard=_PROMISES + "test_zombie_never_gets_its_transaction_seen",
        red=r"assert \[b'zombie', b'owner'\] == \[b'owner'\]",
        quick=True,
    ),
    Mutant(
        name="drop an event that cannot be read",
        promise="one bad event holds up no other",
        number=6,
        module="streamer/publisher.py",
        old="drafts = [read(reading.row, reading.revision) for reading in capture.readings]",
        new="drafts = [read(reading.row, reading.revision) for reading in capture.readings]\n"
        "        drafts = [draft for draft in drafts if draft.broken is None] or drafts",
        guard=_PROMISES + "test_event_that_cannot_be_read_is_in_the_chain_and_the_others_too",
        quick=True,
    ),
    Mutant(
        name="write parts anew",
        promise="bytes are kept",
        number=7,
        module="streamer/audit/normalize.py",
        old="pieces += (b',\"payload\":', part)",
        new='pieces += (b\',"payload":\', bytes(part).replace(b" ", b""))',
        guard="tests/unit/test_audit_record.py::test_open_parts_are_copied_byte_for_byte",
        red=r"integrity.* % \(b'payload'",
        quick=True,
    ),
    Mutant(
        name="look for credentials by key alone",
        promise="no credential leaves the process",
        number=8,
        module="streamer/audit/credentials.py",
        old="for found in _PREFIXED.finditer(plain):",
        new="for found in _PREFIXED.finditer(plain[:0]):",
        guard="tests/unit/test_audit_redaction.py::test_no_disguise_saves_a_credential",
        red=r"assert b'.*' not in ",
        quick=True,
    ),
    Mutant(
        name="take a look-up that failed for an answer",
        promise="enrichment never blocks or loses",
        number=9,
        module="streamer/enrichment/directory.py",
        old="self._cache.keep(Named(id=want.id), FAILED_S)",
        new='self._cache.keep(named(want.id, resolution="not_found"), FAILED_S)',
        guard="tests/unit/test_directory.py::test_a_dead_api_is_tried_by_few_and_asked_again_later",
        red=r"assert 'not_found' == 'unresolved'",
        quick=True,
    ),
    Mutant(
        name="room without end",
        promise="polling stops when Kafka is slow",
        number=10,
        module="streamer/capture/buffer.py",
        old="return self.held_bytes == 0 or self.held_bytes + size_bytes <= self._limit",
        new="return self._limit > 0 or size_bytes == 0",
        guard="tests/unit/test_archiver_bounds.py::test_polling_stops_while_commits_do_not_end",
        red=r"assert \d+ <= 60000",
        quick=True,
    ),
    Mutant(
        name="count a failed look as a poll",
        promise="silence is told apart from blindness",
        number=11,
        module="streamer/archiver.py",
        old="            self._presence.failed(error)\n",
        new="            self._presence.failed(error)\n            status.polled += 1.0\n",
        guard="tests/unit/test_archiver_bounds.py::test_look_that_failed_is_no_poll",
        red=r"assert [\d.]+ == [\d.]+",
        quick=True,
    ),
)
