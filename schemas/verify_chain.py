"""Checks the hash chains of an audit topic; needs confluent-kafka, and nothing of streamer.

Usage: python verify_chain.py localhost:9092 flatfile.audit
"""

import hashlib
import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

servers, topic = sys.argv[1:]
settings = {"bootstrap.servers": servers, "group.id": "verify-chain", "enable.auto.commit": False}
reader = Consumer(settings | {"isolation.level": "read_committed", "enable.partition.eof": True})
unread = set(reader.list_topics(topic, 10).topics[topic].partitions)
cut = {n for n in unread if reader.get_watermark_offsets(TopicPartition(topic, n))[0] > 0}
reader.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in unread])
chains = {}
while unread:
    message = reader.poll(1.0)
    if message is None:
        continue
    if message.error():
        if message.error().code() == KafkaError._PARTITION_EOF:
            unread.discard(message.partition())
        continue
    key, value = message.key(), message.value()
    record = json.loads(value)
    sequence, seal = record["sequence"], record["integrity"]
    if key not in chains:  # Where retention has deleted records, a chain begins with what is left.
        start = (sequence - 1, seal["previous"]), (0, hashlib.sha256(key).hexdigest())
        chains[key] = start[0] if message.partition() in cut else start[1]
    body = value.rpartition(b',"integrity":')[0]
    digest = hashlib.sha256(bytes.fromhex(seal["previous"]) + body).hexdigest()
    if (sequence - 1, seal["previous"], digest) != (*chains[key], seal["hash"]):
        sys.exit(f"{key.decode()}: broken at offset {message.offset()}, behind {chains[key][0]}")
    chains[key] = sequence, digest
for key, (sequence, head) in chains.items():
    print(f"{key.decode()}: holds up to record {sequence}, head {head}")
