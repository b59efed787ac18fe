"""Checks the hash chains of an audit topic; needs confluent-kafka, and nothing of streamer.

Usage: python verify_chain.py localhost:9092 flatfile.audit
"""

import re
import sys
from hashlib import sha256

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

# No JSON decoder: the payload of an event may be nested deeper than one follows.
SEALED = rb'(?s)({.*?,"sequence":(\d+),.*),"integrity":{"previous":"(\w{64})","hash":"(\w{64})"}}'
servers, topic = sys.argv[1:]
settings = {"bootstrap.servers": servers, "group.id": "verify-chain", "enable.auto.commit": False}
reader = Consumer(settings | {"isolation.level": "read_committed", "enable.partition.eof": True})
chains = {}
for number in reader.list_topics(topic, 10).topics[topic].partitions:
    partition = TopicPartition(topic, number, OFFSET_BEGINNING)
    is_cut = reader.get_watermark_offsets(partition)[0] > 0  # Retention has deleted records.
    reader.assign([partition])
    while not (message := reader.poll()).error():
        key, record = message.key() or b"", re.fullmatch(SEALED, message.value() or b"")
        body, sequence, previous, digest = record.groups() if record else (b"", 0, b"", b"")
        start = (int(sequence) - 1, previous) if is_cut else (0, sha256(key).hexdigest().encode())
        count, head = chains.get(key, start)
        hashed = sha256(bytes.fromhex(head.decode()) + body).hexdigest().encode()
        if (int(sequence), previous, digest) != (count + 1, head, hashed):
            sys.exit(f"{key.decode()}: broken at offset {message.offset()}, behind {count}")
        chains[key] = count + 1, digest
    if message.error().code() != KafkaError._PARTITION_EOF:
        sys.exit(f"partition {number} cannot be read to its end: {message.error()}")
for key, (sequence, head) in chains.items():
    print(f"{key.decode()}: holds up to record {sequence}, head {head.decode()}")
