"""Checks the hash chains of an audit topic; needs confluent-kafka, and nothing of streamer.

Usage: python verify_chain.py localhost:9092 flatfile.audit
"""

import re
import sys
from hashlib import sha256

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

# No JSON decoder: the payload of an event may be nested deeper than one follows.
BEGINNING = (
    rb'{"schema":"flatfile\.audit/1","id":"(?:[^"\\]|\\.)*","revision":\d+,"sequence":(\d+),'
)
END = rb',"integrity":{"previous":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"}}\Z'
RECORD = re.compile(BEGINNING + b".*(?=" + END + b")", re.DOTALL)

servers, topic = sys.argv[1:]
settings = {"bootstrap.servers": servers, "group.id": "verify-chain", "enable.auto.commit": False}
reader = Consumer(settings | {"isolation.level": "read_committed", "enable.partition.eof": True})
chains = {}
for number in reader.list_topics(topic, 10).topics[topic].partitions:
    partition = TopicPartition(topic, number, OFFSET_BEGINNING)
    is_cut = reader.get_watermark_offsets(partition)[0] > 0  # Retention has deleted records.
    reader.assign([partition])
    while not (message := reader.poll()).error():
        key, record = message.key() or b"", RECORD.match(message.value() or b"")
        if record is None:
            sys.exit(f"{key.decode()}: no audit record at offset {message.offset()}")
        sequence, previous, digest = int(record[1]), record[2].decode(), record[3].decode()
        start = (sequence - 1, previous) if is_cut else (0, sha256(key).hexdigest())
        count, head = chains.get(key, start)
        hashed = sha256(bytes.fromhex(previous) + record[0]).hexdigest()
        if (sequence, previous, digest) != (count + 1, head, hashed):
            sys.exit(f"{key.decode()}: broken at offset {message.offset()}, behind {count}")
        chains[key] = sequence, digest
    if message.error().code() != KafkaError._PARTITION_EOF:
        sys.exit(f"partition {number} cannot be read to its end: {message.error()}")
for key, (sequence, head) in chains.items():
    print(f"{key.decode()}: holds up to record {sequence}, head {head}")
