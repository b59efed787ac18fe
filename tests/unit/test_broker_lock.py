"""The checked-in list of Kafka's files is complete, consistent, and names no host."""

from __future__ import annotations

import re
import tomllib

from streamer.broker.lock import KAFKA_VERSION, LOCK_PATH, read_lock


def test_all_files_of_kafka_have_one_version() -> None:
    """No file of Kafka is of another version: a resolver could mix them without a word."""
    versions = {jar.version for jar in read_lock() if jar.group == "org.apache.kafka"}

    assert versions == {KAFKA_VERSION}


def test_list_holds_broker_and_logger_each_with_a_digest() -> None:
    """Every file has a SHA-256 and a name of its own; the broker and a logger are among them."""
    jars = read_lock()

    names = [jar.file_name for jar in jars]
    assert len(jars) == 46
    assert names == sorted(set(names))
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in jars)
    assert {f"kafka_2.13-{KAFKA_VERSION}.jar", "slf4j-simple-1.7.36.jar"} <= set(names)


def test_list_names_no_host() -> None:
    """The list holds coordinates and digests, and nothing else."""
    content = tomllib.loads(LOCK_PATH.read_text("utf-8"))

    assert content.keys() == {"metadata", "dependencies"}
    assert {key for entry in content["dependencies"] for key in entry} == {
        *("groupId", "artifactId", "version", "packaging", "sha256")
    }
    assert "//" not in LOCK_PATH.read_text("utf-8")
