"""The broker's `server.properties`: one node that is broker and controller, on loopback only.

Small on purpose: few partitions of the internal topics, a small cleaner buffer and a short
session make it start and restart in a second and fit in 200 MB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def server_properties(
    *, log_folder: Path, port: int, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """All properties of one broker.

    Args:
        log_folder: Where Kafka keeps topics and metadata.
        port: Where clients connect; 0 lets the system choose.
        extra: Added last, so it may also replace.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.listener.names": "CONTROLLER",
        # The dynamic quorum: with static voters a controller on port 0 is never found.
        "controller.quorum.bootstrap.servers": "127.0.0.1:0",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:0",
        "log.dirs": str(log_folder),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "5",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "5",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        # After a kill the new broker waits for its own old session to end: 9 s by default.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        # 128 MB of heap by default.
        "log.cleaner.dedupe.buffer.size": "2097152",
        **(extra or {}),
    }


def render_properties(properties: Mapping[str, str]) -> str:
    r"""The text of a properties file, in ASCII: Java reads it as Latin-1 with `\uXXXX` escapes."""
    return "".join(f"{_escaped(key)}={_escaped(value)}\n" for key, value in properties.items())


def _escaped(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(_escaped_unit(units[at] << 8 | units[at + 1]) for at in range(0, len(units), 2))


def _escaped_unit(unit: int) -> str:
    if not 0x21 <= unit <= 0x7E:
        return f"\\u{unit:04x}"
    # A backslash escapes whatever follows; these would end a key or begin a comment.
    return f"\\{unit:c}" if chr(unit) in "\\=:#!" else chr(unit)
