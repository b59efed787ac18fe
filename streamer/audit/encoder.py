"""Draft and names -> the record as published: numbered, linked, with its headers.

One encoder serves one environment. It holds no state of the chain: it is handed a link and answers
with the next, so that a capture can be encoded again after a commit that failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from streamer.audit import cloudevents, deadletter, fragments
from streamer.audit.chain import Chain, Link
from streamer.audit.cloudevents import Header
from streamer.audit.deadletter import DeadLetter
from streamer.audit.fragments import Piece, Pieces
from streamer.audit.members import LONGEST
from streamer.audit.names import Named
from streamer.audit.normalize import without_personal_data
from streamer.audit.privacy import CLEAR
from streamer.audit.record import SCHEMA, entity, quoted

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from streamer.audit.deadletter import Omission
    from streamer.audit.names import Names
    from streamer.audit.normalize import Draft
    from streamer.audit.privacy import Privacy
    from streamer.audit.targets import Target
    from streamer.flatfile.models import Environment

_START: Final = f'{{"schema":"{SCHEMA}","id":'
_USUAL_TIME_BYTES: Final = len("2026-01-01T00:00:00.000Z")


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """A record as published.

    Attributes:
        key: The environment's id.
        id: The event's, as `Restored.id` will read it.
        dead_letters: What belongs into the same transaction; nearly always nothing.
    """

    key: bytes
    id: str
    revision: int
    sequence: int
    value: bytes
    headers: list[Header]
    dead_letters: tuple[DeadLetter, ...] = ()


class _Batch(NamedTuple):
    """What the records of one call have in common."""

    names: Names
    observed_text: str
    headers: tuple[Header, ...]


_Body: TypeAlias = tuple[bytes, bytes, bytes, list[Header]]
"""A record without its seal, in the three pieces that `Chain.seal` takes, and its headers."""


class Encoder:
    """Writes the records of one environment.

    Args:
        environment: Make a new encoder when it was renamed.
        account_id: None as long as it is unknown.
        max_record_bytes: What the broker takes; a larger event becomes a dead letter and a stub.
        privacy: How personal data is published.
        pieces: What encoders of the same account and privacy share; None: its own.
    """

    def __init__(
        self,
        environment: Environment,
        account_id: str | None,
        *,
        max_record_bytes: int,
        privacy: Privacy = CLEAR,
        pieces: Pieces | None = None,
    ) -> None:
        self._privacy = privacy
        self._is_clear = privacy.is_clear
        self.environment = environment
        self._key = environment.id.encode()
        self.max_record_bytes = max_record_bytes
        self._max_body_bytes = max_record_bytes - deadletter.HEADROOM_BYTES
        self._own = Named(environment.id, environment.name or None)
        account = f',"account":{entity(id=account_id)}' if account_id else ""
        where = entity(id=environment.id, name=privacy.plain(self._own.name))[:-1]
        production = "true" if environment.is_prod else "false"
        self._where = f'{account},"environment":{where},"production":{production}}}'
        self._headers = cloudevents.constant_headers(environment.id)
        pieces = pieces or Pieces()
        self._actions, self._actors = pieces.actions, pieces.actors
        self._spaces, self._targets = pieces.spaces, pieces.targets
        self._domains = pieces.domains

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
        sequence, chain, key = link.sequence, Chain(link.head), self._key
        recorded = ("ce_recordedtime", observed.encode())
        batch = _Batch(names, f',"observed":"{observed}"', (*self._headers, recorded))
        sealed: list[Sealed] = []
        is_clear, most_bytes = self._is_clear, self._max_body_bytes
        for draft in drafts:
            sequence += 1
            letters: tuple[DeadLetter, ...] = ()
            shown = draft if is_clear else without_personal_data(draft, names, self._privacy)
            body: _Body | None = None
            is_refused = draft.event.id in refused
            if draft.broken is None and not is_refused:
                body = self._body(shown, sequence, batch)
            if body is None or len(body[0]) + len(body[1]) > most_bytes:
                omission = deadletter.omit(
                    shown,
                    self._privacy,
                    context_bytes=min(deadletter.CONTEXT_IN_STUB_BYTES, most_bytes // 2),
                    is_refused=is_refused,
                )
                shown, letters = omission.draft, self._letters(omission, sequence, observed)
                body = self._body(shown, sequence, batch)
            head, copied, done, headers = body
            value = chain.seal(head, copied, done)
            sealed.append(
                Sealed(key, shown.event.id, draft.revision, sequence, value, headers, letters)
            )
        return sealed, Link(sequence, chain.digest)

    def _letters(self, omission: Omission, sequence: int, observed: str) -> tuple[DeadLetter, ...]:
        return omission.letters(
            environment_id=self.environment.id,
            sequence=sequence,
            observed=observed,
            max_record_bytes=self.max_record_bytes,
        )

    def _body(self, draft: Draft, sequence: int, batch: _Batch) -> _Body:
        event, revision, names = draft.event, draft.revision, batch.names
        target, actor_id, time = draft.target, draft.actor_id, draft.time
        action = self._actions.get(draft.topic)
        if action is None or revision != 1 or target.has_failed or draft.is_stub:
            action = self._action(draft)
        named = names.get(actor_id) if actor_id else None
        actor = self._actors.get(actor_id)
        if actor is None or actor.named is not named or draft.broken is not None:
            actor = self._actor(draft, named)
        aim = self._targets.get(target.id)
        if aim is None or aim.named is not None or target.looked_up or aim.target != target:
            aim = self._aim(draft, names)
        event_id = event.id.encode("utf-8", "replace")
        headers = [
            *batch.headers,
            *action.headers,
            *actor.headers,
            *aim.headers,
            ("ce_sequence", b"%019d" % sequence),
            ("ce_id", event_id if revision == 1 else b"%b:%d" % (event_id, revision)),
        ]
        if revision != 1:
            headers.append(("ce_revision", b"%d" % revision))
        if draft.job_id:
            headers.append(("ce_correlationid", cloudevents.text(draft.job_id)))
        if draft.cause_id:
            headers.append(("ce_causationid", cloudevents.text(draft.cause_id)))
        sent_at = ""
        if time is not None:
            headers.append(("ce_time", time))
            is_usual = len(time) == _USUAL_TIME_BYTES
            sent_at = f'"{event.created_at}"' if is_usual else quoted(event.created_at)
            sent_at = f',"time":{sent_at}'
        changed = event.deleted_at or event.acknowledged_at or event.acknowledged_by
        head = (
            f'{_START}{quoted(event.id)},"revision":{revision},"sequence":{sequence}'
            f"{sent_at}{batch.observed_text}{action.text}{actor.text}{aim.text}"
            f"{self._where}{self._space(draft, names) if draft.space_id else ''}"
            f"{self._domains.get(event.domain) or self._domain(event.domain)}"
            f"{fragments.lifecycle(event, self._privacy) if changed else ''}"
        ).encode()
        done = fragments.redacted(draft.redacted) if draft.redacted else b""
        if not self._is_clear:
            done += fragments.policy(self._privacy, draft.replaced)
        return head, draft.copied, done, headers

    def _action(self, draft: Draft) -> Piece:
        topic = draft.topic
        outcome = "failure" if draft.target.has_failed else topic.outcome
        if draft.is_stub:
            outcome = "unknown"
        is_erased = draft.revision > 1 and draft.event.deleted_at is not None
        severity = "high" if is_erased else topic.severity
        piece = fragments.action_piece(topic, self._privacy, outcome=outcome, severity=severity)
        is_usual = outcome == topic.outcome and severity == topic.severity
        if is_usual and len(topic.name) <= LONGEST:
            self._actions.keep(topic, piece)
        return piece

    def _actor(self, draft: Draft, named: Named | None) -> Piece:
        if draft.broken is not None:
            return fragments.UNREAD_ACTOR
        return self._actors.keep(
            draft.actor_id, fragments.actor_piece(draft.actor_id, named, self._privacy)
        )

    def _space(self, draft: Draft, names: Names) -> str:
        space_id = draft.space_id
        if not space_id:
            return ""
        named = names.get(space_id)
        if draft.people:
            return fragments.space_piece(space_id, named, self._privacy, draft.people).text
        piece = self._spaces.get(space_id)
        if piece is None or piece.named is not named:
            piece = self._spaces.keep(
                space_id, fragments.space_piece(space_id, named, self._privacy)
            )
        return piece.text

    def _aim(self, draft: Draft, names: Names) -> Piece:
        target, named = draft.target, None
        if target.looked_up:
            target, named = self._known(target, names)
        if draft.people:
            return fragments.target_piece(target, named, self._privacy, draft.people)
        piece = self._targets.get(target.id)
        if piece is None or piece.named is not named or piece.target != target:
            piece = self._targets.keep(
                target.id, fragments.target_piece(target, named, self._privacy)
            )
        return piece

    def _domain(self, domain: str | None) -> str:
        if not domain:
            return ""
        text = self._domains.get(domain)
        if text is None:
            text = f',"domain":{quoted(self._privacy.plain(domain) or "")}'
            if len(domain) <= LONGEST:
                self._domains.keep(domain, text)
        return text

    def _known(self, target: Target, names: Names) -> tuple[Target, Named | None]:
        if target.type != "environment":
            return target, names.get(target.id) if target.id else None
        if target.id is None or target.id == self._own.id:
            return msgspec.structs.replace(target, id=self._own.id), self._own
        return target, None
