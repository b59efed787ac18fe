"""The properties file says to Java what was meant, whatever is in a path."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from streamer.broker.properties import render_properties, server_properties


def read_as_java(text: str) -> dict[str, str]:
    """The rules of java.util.Properties.load, written from its documentation."""
    properties = {}
    for line in text.splitlines():
        parts = re.fullmatch(r"((?:\\.|[^\\=: ])*)=((?:\\.|[^\\])*)", line)
        assert parts is not None, line
        key, value = (
            re.sub(
                r"\\(?:u([0-9a-f]{4})|(.))",
                lambda escape: chr(int(escape[1], 16)) if escape[1] else escape[2],
                part,
            )
            for part in parts.groups()
        )
        properties[joined(key)] = joined(value)
    return properties


def joined(text: str) -> str:
    """Both halves of a character beyond 16 bits made one, as Java's strings see them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_java_reads_what_was_written(properties: dict[str, str]) -> None:
    """Any key and value survive the file, which is ASCII."""
    text = render_properties(properties)

    assert text.isascii()
    assert read_as_java(text) == properties


def test_extra_properties_are_added_last() -> None:
    """Whoever starts a broker may add a property, and replace one of ours."""
    properties = server_properties(
        log_folder=Path("/data"), port=9092, extra={"node.id": "7", "log.cleaner.backoff.ms": "200"}
    )

    assert properties["node.id"] == "7"
    assert properties["log.cleaner.backoff.ms"] == "200"


def test_broker_listens_on_loopback_only() -> None:
    """No listener is reachable from another machine."""
    listeners = server_properties(log_folder=Path("/data"), port=9092)["listeners"]

    assert listeners.split(",") == ["PLAINTEXT://127.0.0.1:9092", "CONTROLLER://127.0.0.1:0"]
