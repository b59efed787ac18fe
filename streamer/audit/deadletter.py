"""What cannot be normalized, or is larger than the broker takes: kept raw, a stub in the chain.

The stub is an ordinary record whose `payload_omitted` has the digest of the dead letter's bytes. So
a dead letter has a sequence number, is covered by the hash chain, and cannot vanish without a
trace. Credentials go before anything is split: half a credential is no longer recognised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import orjson

from streamer.audit.cloudevents import text
from streamer.audit.record import quoted
from streamer.audit.redaction import redact_event
from streamer.flatfile.models import Event

if TYPE_CHECKING:
    from streamer.audit.cloudevents import Header
    from streamer.audit.normalize import Draft
    from streamer.audit.privacy import Privacy

TOO_LARGE: Final = "too_large"
"""Reason of a dead letter that could be read, and is larger than the broker says it takes."""

REFUSED: Final = "refused"
"""Reason of one that could be read, and that the broker refused; others: `BrokenEvent.reason`."""

HEADROOM_BYTES: Final = 4096
"""Of what the broker takes, left for headers, key and the batch around a record."""

CONTEXT_IN_STUB_BYTES: Final = 16 * 1024
"""What a context may have to stand in a stub, where the broker takes records as large as usual."""

_PATHS_IN_STUB: Final = 100


class DeadLetter(NamedTuple):
    """One message of the dead-letter topic; its key is the environment's id."""

    value: bytes
    headers: list[Header]

    @property
    def reason(self) -> str:
        """Why it is one, as its headers and its stub say."""
        return dict(self.headers)["reason"].decode()


class Omission(NamedTuple):
    """A stub's draft, and the dead letter that it stands for, still in one piece."""

    draft: Draft
    raw: bytes
    reason: str
    digest: tuple[str, str] | None

    def letters(
        self, *, environment_id: str, sequence: int, observed: str, max_record_bytes: int
    ) -> tuple[DeadLetter, ...]:
        """Return the dead letter, in as many parts as the broker wants."""
        size = max(1, max_record_bytes - HEADROOM_BYTES)
        parts = [self.raw[at : at + size] for at in range(0, len(self.raw), size)] or [b""]
        headers: list[Header] = [
            ("reason", text(self.reason)),
            ("environment", text(environment_id)),
            ("id", text(self.draft.event.id)),
            ("revision", b"%d" % self.draft.revision),
            ("sequence", b"%d" % sequence),
            ("observed", text(observed)),
            ("parts", b"%d" % len(parts)),
        ]
        if self.digest:
            name, value = self.digest
            headers.append((name, text(value)))
        return tuple(
            DeadLetter(part, [*headers, ("part", b"%d" % number)])
            for number, part in enumerate(parts, start=1)
        )


def omit(
    draft: Draft,
    privacy: Privacy,
    *,
    context_bytes: int = CONTEXT_IN_STUB_BYTES,
    is_refused: bool = False,
) -> Omission:
    """Make a stub of a draft that cannot be published as it is.

    The stub says what could be read, and is small whatever the event holds.

    Args:
        draft: Without its personal data, if it could be read.
        privacy: How personal data is published.
        context_bytes: A larger context is left out of the stub.
        is_refused: Whether the broker refused it, whatever its size.
    """
    event = draft.event
    if draft.broken is not None:
        whole, redacted = redact_event(draft.broken.raw)
        redacted = privacy.paths(redacted)
        reason = draft.broken.reason
        # `identity` of a row with an id, which may be too long to stand there as it is.
        event_id = event.id if draft.broken.id else privacy.stub_id(draft.broken.raw)
    else:
        whole, redacted = _element(event), draft.redacted
        reason = REFUSED if is_refused else TOO_LARGE
        event_id = event.id
    raw, replaced = privacy.part(whole, "", draft.people)
    digest = privacy.digest(raw)
    shown = {"reason": reason, "bytes": len(raw), **dict([digest] if digest else [])}
    copied = b',"payload_omitted":' + orjson.dumps(shown)
    context = bytes(event.context)
    if context and len(context) <= context_bytes:
        copied = b',"context":%b%b' % (context, copied)
    plain = privacy.plain
    small = Event(
        id=event_id,
        topic=plain(event.topic) or "",
        created_at=event.created_at if draft.time else "",
        domain=plain(event.domain),
        deleted_at=plain(event.deleted_at),
        acknowledged_at=plain(event.acknowledged_at),
        acknowledged_by=plain(event.acknowledged_by),
    )
    stub = msgspec.structs.replace(
        draft,
        event=small,
        copied=copied,
        redacted=redacted[:_PATHS_IN_STUB],
        replaced=(draft.replaced or replaced)[:_PATHS_IN_STUB],
        is_stub=True,
    )
    return Omission(stub, raw, reason, digest)


def _element(event: Event) -> bytes:
    """Put an event together again, but for the signed URLs."""
    texts = {
        b"id": event.id,
        b"topic": event.topic,
        b"domain": event.domain,
        b"createdAt": event.created_at,
        b"deletedAt": event.deleted_at,
        b"acknowledgedAt": event.acknowledged_at,
        b"acknowledgedBy": event.acknowledged_by,
    }
    parts = {
        b"context": event.context,
        b"attributes": event.attributes,
        b"origin": event.origin,
        b"payload": event.payload,
        b"target": event.target,
        b"namespaces": event.namespaces,
    }
    members = [
        b'"%b":%b' % (name, quoted(value).encode()) for name, value in texts.items() if value
    ]
    members += (b'"%b":%b' % (name, part) for name, part in parts.items() if len(part))
    unknown = bytes(event.extra)[1:-1]
    if unknown:
        members.append(unknown)
    return b"{%b}" % b",".join(members)
