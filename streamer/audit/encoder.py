"""Draft and names -> the record as published: numbered, linked, with its headers.

One encoder serves one environment. It holds no state of the chain: it is handed a link and answers
with the next, so that a capture can be encoded again after a commit that failed.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
from msgspec.structs import replace

from streamer.audit import cloudevents, deadletter, fragments
from streamer.audit.chain import Link, seal
from streamer.audit.fragments import Kept, Piece
from streamer.audit.names import Named
from streamer.audit.record import SCHEMA, entity, quoted

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from streamer.audit.cloudevents import Header
    from streamer.audit.deadletter import DeadLetter
    from streamer.audit.names import Names
    from streamer.audit.normalize import Draft
    from streamer.audit.targets import Target
    from streamer.flatfile.models import Environment, Event

_START: Final = b'{"schema":"%b","id":' % SCHEMA.encode()
_FIRST_REVISION: Final = b',"revision":1,"sequence":'
_USUAL_TIME_BYTES: Final = len("2026-01-01T00:00:00.000Z")


class Sealed(NamedTuple):
    """A record as published.

    Attributes:
        id: The event's, as `Restored.id` will read it.
        dead_letters: What belongs into the same transaction; nearly always nothing.
    """

    id: str
    revision: int
    sequence: int
    value: bytes
    headers: list[Header]
    dead_letters: tuple[DeadLetter, ...] = ()


class Encoder:
    """Writes the records of one environment.

    Args:
        environment: Make a new encoder when it was renamed.
        account_id: None as long as it is unknown.
        max_record_bytes: What the broker takes; a larger event becomes a dead letter and a stub.
    """

    def __init__(
        self, environment: Environment, account_id: str | None, *, max_record_bytes: int
    ) -> None:
        self.environment = environment
        self._max_record_bytes = max_record_bytes
        self._max_body_bytes = max_record_bytes - deadletter.HEADROOM_BYTES
        self._own = Named(environment.id, environment.name or None)
        self._where = b'%b,"environment":%b,"production":%b}' % (
            b',"account":' + entity(id=account_id) if account_id else b"",
            entity(id=environment.id, name=fragments.plain(self._own.name))[:-1],
            b"true" if environment.is_prod else b"false",
        )
        self._headers = cloudevents.constant_headers(environment.id)
        self._actions: Kept[tuple[str, str, str], Piece] = Kept()
        self._actors: Kept[str | None, Piece] = Kept()
        self._spaces: Kept[str, Piece] = Kept()
        self._targets: Kept[str | None, Piece] = Kept()
        self._domains: Kept[str, bytes] = Kept()

    def encode(
        self,
        drafts: Iterable[Draft],
        names: Names,
        observed: str,
        link: Link,
        *,
        refused: Container[str] = (),
    ) -> tuple[list[Sealed], Link]:
        """Write records, in the order given, behind the one that `link` stands at.

        Args:
            drafts: What `normalize.read` made of the rows.
            names: What was found out; an id that is not in it is `unresolved`.
            observed: When the rows were read, RFC 3339 with `Z`.
            link: Where the chain stands.
            refused: Ids of events that the broker does not take: they go out as stubs.

        Returns:
            The records, and where the chain stands behind the last of them.
        """
        sequence, head = link
        seen_at = observed.encode()
        constant = [*self._headers, ("ce_recordedtime", seen_at)]
        observed_text = b',"observed":"%b"' % seen_at
        sealed: list[Sealed] = []
        for draft in drafts:
            sequence += 1
            headers = constant.copy()
            letters: tuple[DeadLetter, ...] = ()
            body = None
            if draft.broken is None and draft.event.id not in refused:
                body = self._body(draft, names, sequence, observed_text, headers)
            if body is None or len(body) > self._max_body_bytes:
                omission = deadletter.omit(draft)
                letters = omission.letters(
                    environment_id=self.environment.id,
                    sequence=sequence,
                    observed=observed,
                    max_record_bytes=self._max_record_bytes,
                )
                headers = constant.copy()
                body = self._body(omission.draft, names, sequence, observed_text, headers)
            digest = sha256(head + body).digest()
            sealed.append(
                Sealed(
                    draft.event.id,
                    draft.revision,
                    sequence,
                    seal(head, digest, body),
                    headers,
                    letters,
                )
            )
            head = digest
        return sealed, Link(sequence, head)

    def _body(
        self, draft: Draft, names: Names, sequence: int, observed: bytes, headers: list[Header]
    ) -> bytes:
        """Return a record without its seal, and add its own headers to the constant ones."""
        event = draft.event
        revision = draft.revision
        time = draft.time
        action = self._action(draft)
        actor = self._actor(draft, names)
        target = self._target(draft.target, names)
        numbered = b"%019d" % sequence
        record_id = event.id.encode("utf-8", "replace")
        headers += action.headers
        headers += actor.headers
        headers += target.headers
        headers.append(("ce_sequence", numbered))
        if revision == 1:
            number = _FIRST_REVISION
            headers.append(("ce_id", record_id))
        else:
            number = b',"revision":%d,"sequence":' % revision
            headers += (
                ("ce_id", b"%b:%d" % (record_id, revision)),
                ("ce_revision", b"%d" % revision),
            )
        if time is None:
            when = b""
        else:
            headers.append(("ce_time", time))
            if len(time) == _USUAL_TIME_BYTES:
                when = b',"time":"%b"' % time
            else:
                when = b',"time":' + quoted(event.created_at)
        if draft.job_id:
            headers.append(("ce_correlationid", cloudevents.bounded(draft.job_id)))
        if draft.cause_id:
            headers.append(("ce_causationid", cloudevents.bounded(draft.cause_id)))
        return b"".join(
            (
                _START,
                quoted(event.id),
                number,
                numbered.lstrip(b"0"),
                when,
                observed,
                action.text,
                actor.text,
                target.text,
                self._where,
                self._space(draft.space_id, names) if draft.space_id else b"",
                self._domain(event.domain) if event.domain else b"",
                _lifecycle(event),
                draft.copied,
                b',"redacted":' + orjson.dumps(draft.redacted) if draft.redacted else b"",
            )
        )

    def _action(self, draft: Draft) -> Piece:
        topic = draft.topic
        if draft.is_stub:
            outcome = "unknown"
        else:
            outcome = "failure" if draft.target.has_failed else topic.outcome
        erased = draft.revision > 1 and draft.event.deleted_at
        severity = "high" if erased else topic.severity
        key = (topic.name, outcome, severity)
        return self._actions.get(key) or self._actions.keep(
            key, fragments.action_piece(topic, outcome=outcome, severity=severity)
        )

    def _actor(self, draft: Draft, names: Names) -> Piece:
        if draft.broken is not None:
            return fragments.UNREAD_ACTOR
        actor_id = draft.actor_id
        named = names.get(actor_id) if actor_id else None
        piece = self._actors.get(actor_id)
        if piece is None or piece.named is not named:
            piece = self._actors.keep(actor_id, fragments.actor_piece(actor_id, named))
        return piece

    def _space(self, space_id: str, names: Names) -> bytes:
        named = names.get(space_id)
        piece = self._spaces.get(space_id)
        if piece is None or piece.named is not named:
            piece = self._spaces.keep(space_id, fragments.space_piece(space_id, named))
        return piece.text

    def _target(self, target: Target, names: Names) -> Piece:
        named = None
        if target.looked_up:
            target, named = self._known(target, names)
        piece = self._targets.get(target.id)
        if piece is None or piece.named is not named or piece.target != target:
            piece = self._targets.keep(target.id, fragments.target_piece(target, named))
        return piece

    def _known(self, target: Target, names: Names) -> tuple[Target, Named | None]:
        if target.type != "environment":
            return target, names.get(target.id) if target.id else None
        if target.id is None or target.id == self._own.id:
            return replace(target, id=self._own.id), self._own
        return target, None

    def _domain(self, domain: str) -> bytes:
        return self._domains.get(domain) or self._domains.keep(
            domain, b',"domain":' + quoted(fragments.plain(domain) or "")
        )


def _lifecycle(event: Event) -> bytes:
    if event.deleted_at is None and event.acknowledged_at is None and event.acknowledged_by is None:
        return b""
    return b',"lifecycle":' + entity(
        deletedAt=fragments.plain(event.deleted_at),
        acknowledgedAt=fragments.plain(event.acknowledged_at),
        acknowledgedBy=fragments.plain(event.acknowledged_by),
    )
