"""The floor: the least that any program must do to get these events into Kafka this way.

Fetch a page, decode it with the payload left as raw bytes, name the actor from a dictionary, format
the record, link it with SHA-256, `send_batch` with zstd, records and checkpoint in one transaction
a page, all environments at once; nothing else: no catalog, redaction, what-was-seen, dead letters,
logs, metrics, retries.
Frozen: what streamer costs is told as a ratio to this. It imports nothing of streamer.

Usage: python tests/bench/floor.py API_URL BOOTSTRAP_SERVERS TOPIC PARTITIONS
Prints one JSON object: events, and CPU seconds from the first request to the last commit.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from typing import Final

import aiohttp
import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

PAGE: Final = 1000


class Context(msgspec.Struct, gc=False, rename="camel"):
    """What is read of a context."""

    actor_id: str | None = None


class Event(msgspec.Struct, gc=False, rename="camel"):
    """What is read of an event; the open parts stay bytes."""

    id: str
    topic: str
    created_at: str
    context: msgspec.Raw
    payload: msgspec.Raw = msgspec.Raw(b"null")
    attributes: msgspec.Raw = msgspec.Raw(b"null")
    origin: msgspec.Raw = msgspec.Raw(b"null")


class Page(msgspec.Struct, gc=False):
    """An answer of `GET /events`."""

    data: list[Event]


async def archive(url: str, servers: str, topic: str, partitions: int) -> int:
    """Archive every environment; how many events there were."""
    async with aiohttp.ClientSession() as session:
        body = {"type": "apiCredentials", "clientId": "sandbox", "secret": "sandbox"}
        async with session.post(f"{url}/auth", json=body) as response:
            answer = await response.json()
            token = answer.get("data", answer)["accessToken"]
        session.headers["Authorization"] = f"Bearer {token}"
        async with session.get(f"{url}/environments", params={"pageSize": "100"}) as response:
            environments = [one["id"] for one in (await response.json())["data"]]
        async with session.get(f"{url}/users", params={"pageSize": "100"}) as response:
            names = {one["id"]: one["name"].encode() for one in (await response.json())["data"]}
        return sum(
            await asyncio.gather(
                *(
                    archive_one(session, url, servers, topic, partitions, environment, names)
                    for environment in environments
                )
            )
        )


async def archive_one(
    session: aiohttp.ClientSession,
    url: str,
    servers: str,
    topic: str,
    partitions: int,
    environment: str,
    names: dict[str, bytes],
) -> int:
    """Archive one environment, a transaction a page."""
    producer = AIOKafkaProducer(
        bootstrap_servers=servers,
        transactional_id=f"floor-{topic}-{environment}",
        compression_type="zstd",
        max_batch_size=512 * 1024,
    )
    await producer.start()
    key = environment.encode()
    partition = (murmur2(key) & 0x7FFFFFFF) % partitions
    decode_page = msgspec.json.Decoder(Page).decode
    decode_context = msgspec.json.Decoder(Context).decode
    head = hashlib.sha256(key).digest()
    sequence = 0
    number = 1
    where = b'"environment":{"id":"%b"}' % key
    while True:
        query = {
            "environmentId": environment,
            "includeAcknowledged": "true",
            "pageSize": str(PAGE),
            "pageNumber": str(number),
        }
        async with session.get(f"{url}/events", params=query) as response:
            events = decode_page(await response.read()).data
        if not events:
            break
        now = int(time.time() * 1000)
        await producer.begin_transaction()
        futures = []
        batch = producer.create_batch()
        for event in events:
            sequence += 1
            actor = decode_context(event.context).actor_id or ""
            body = (
                b'{"schema":"flatfile.audit/1","id":"%b","sequence":%d,"time":"%b","action":"%b",'
                b'"actor":{"id":"%b","name":"%b"},%b,"context":%b,"attributes":%b,"origin":%b,'
                b'"payload":%b'
                % (
                    event.id.encode(),
                    sequence,
                    event.created_at.encode(),
                    event.topic.encode(),
                    actor.encode(),
                    names.get(actor, b""),
                    where,
                    event.context,
                    event.attributes,
                    event.origin,
                    event.payload,
                )
            )
            digest = hashlib.sha256(head + body).digest()
            record = b'%b,"integrity":{"previous":"%b","hash":"%b"}}' % (
                body,
                head.hex().encode(),
                digest.hex().encode(),
            )
            head = digest
            headers = [
                ("ce_specversion", b"1.0"),
                ("ce_id", event.id.encode()),
                ("ce_type", event.topic.encode()),
                ("ce_time", event.created_at.encode()),
                ("ce_partitionkey", key),
                ("content-type", b"application/json"),
            ]
            if batch.append(timestamp=now, key=key, value=record, headers=headers) is None:
                futures.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(timestamp=now, key=key, value=record, headers=headers)
        futures.append(await producer.send_batch(batch, topic, partition=partition))
        checkpoint = b'{"sequence":%d,"head":"%b"}' % (sequence, head.hex().encode())
        futures.append(
            await producer.send(topic + ".checkpoints", checkpoint, key=key, partition=partition)
        )
        await asyncio.gather(*futures)
        await producer.commit_transaction()
        number += 1
    await producer.stop()
    return sequence


def main() -> None:
    """Run it, and print what it took."""
    url, servers, topic, partitions = sys.argv[1:]
    began = time.process_time()
    events = asyncio.run(archive(url, servers, topic, int(partitions)))
    sys.stdout.write(json.dumps({"events": events, "cpu_s": time.process_time() - began}) + "\n")


if __name__ == "__main__":
    main()
