"""An audit record as a sentence: `Ada Park (guest) updated workbook Payroll in production`.

For people at a terminal or a page. What comes from the API stays as hostile here as it was: whoever
draws the sentence takes care of control characters and markup.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_WHO: Final = {
    "user": "A user",
    "guest": "A guest",
    "agent": "An agent",
    "api_key": "An API key",
    "access_token": "An access token",
    "system": "Flatfile",
    "unknown": "Somebody",
}
_VERBS: Final = {
    "agent:created": "deployed",
    "agent:updated": "redeployed",
    "space:unarchived": "took {target} out of the archive",
    "workbook:thawed": "thawed",
    "sheet:counts-updated": "updated the counts of",
    "sheet:calculation-updated": "updated the calculations of",
    "records:created": "created {records} in {target}",
    "records:updated": "updated {records} in {target}",
    "records:deleted": "deleted {records} from {target}",
    "layer:created": "created a layer on",
    "job:ready": "started",
    "job:scheduled": "scheduled",
    "job:outcome-acknowledged": "acknowledged the outcome of",
    "job:parts-completed": "completed parts of",
    "job:failed": "failed at",
    "program:recomputing": "began to recompute",
    "program:recomputed": "recomputed",
    "environment:autobuild-created": "set up automatic builds of",
    "data-clip:collaborator-updated": "changed who shares",
    "data-clip:resolutions-created": "resolved conflicts in",
    "data-clip:resolutions-updated": "changed how conflicts are resolved in",
    "data-clip:resolutions-refreshed": "refreshed the resolutions in",
}
_GUESTS: Final = {"space:guestAdded": ("added", "to"), "space:guestRemoved": ("removed", "from")}
_OPERATIONS: Final = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "archive": "archived",
    "restore": "restored",
    "grant": "granted",
    "revoke": "revoked",
    "execute": "started",
    "complete": "completed",
}
_BY_ITSELF: Final = {
    "expire": "expired",
    "fail": "failed",
    "complete": "completed",
}
_TICKS: Final = {
    "cron:5-minutes": "Five minutes passed",
    "cron:hourly": "An hour passed",
    "cron:daily": "A day passed",
    "cron:weekly": "A week passed",
}


class UnreadableRecordError(ValueError):
    """The record is no JSON object, or nested too deeply to be shown."""


def parse(record: bytes) -> dict[str, Any]:
    """Return a published record as a dictionary, also one that stricter decoders refuse.

    Raises:
        UnreadableRecordError: It cannot be shown.
    """
    try:
        parsed = json.loads(record)
    except (ValueError, RecursionError) as error:
        raise UnreadableRecordError from error
    if not isinstance(parsed, dict):
        raise UnreadableRecordError
    return parsed


def sentence(record: Mapping[str, Any]) -> str:
    """Say what a record says, in one sentence without a full stop."""
    action = str(record.get("action") or "")
    where = _where(record)
    if "payload_omitted" in record:
        what = f"the event {action}" if action else "an event"
        reason = str(_member(record, "payload_omitted").get("reason", "")).replace("_", " ")
        return f"Something could not be recorded in full: {what}{where} ({reason})"
    if action in _TICKS:
        text = f"{_TICKS[action]}{where}"
    elif _happens_by_itself(record, action):
        by_itself = _BY_ITSELF[str(record.get("operation"))]
        text = _capitalised(f"{_target(record)} {by_itself}{where}")
    elif action in _GUESTS:
        text = f"{_guest(record, action)}{where}"
    else:
        text = f"{_actor(record)} {_what(record, action)}{where}"
    lifecycle = _member(record, "lifecycle")
    if record.get("revision", 1) != 1:
        changed = "erased" if lifecycle.get("deletedAt") else "acknowledged"
        return f"{changed.capitalize()} after the fact: {text}"
    return text


def _what(record: Mapping[str, Any], action: str) -> str:
    target = _target(record)
    verb = _VERBS.get(action)
    if action == "layer:created" and _member(record, "target").get("type") == "layer":
        verb = None
    if verb is None:
        verb = _OPERATIONS.get(str(record.get("operation")))
    if verb is None:
        return f"did {action} to {target}"
    if "{" in verb:
        return verb.format(target=target, records=_records(record))
    return f"{verb} {target}"


def _guest(record: Mapping[str, Any], action: str) -> str:
    """Say who let a guest in or out; often the event names nobody but the guest."""
    verb, preposition = _GUESTS[action]
    place = f"{preposition} {_named('space', _member(record, 'space'))}"
    target = _member(record, "target")
    if target.get("type") != "guest":
        return f"{_actor(record)} {verb} a guest {place}"
    if target.get("id") == _member(record, "actor").get("id") or _is_nobodys(record):
        return f"{_capitalised(_target(record))} was {verb} {place}"
    return f"{_actor(record)} {verb} {_target(record)} {place}"


def _records(record: Mapping[str, Any]) -> str:
    count = _member(record, "payload").get("recordCount")
    if not isinstance(count, int) or isinstance(count, bool):
        return "records"
    return f"{count:,} record{'s' if count != 1 else ''}"


def _target(record: Mapping[str, Any]) -> str:
    target = _member(record, "target")
    noun = str(record.get("action", "")).partition(":")[0]
    kind = str(target.get("type") or ("sheet" if noun == "records" else noun) or "something")
    return _named(kind.replace("-", " "), target)


def _named(kind: str, entity: Mapping[str, Any]) -> str:
    name = entity.get("name") or entity.get("id")
    return f"{kind} {name}" if name else f"a {kind}"


def _actor(record: Mapping[str, Any]) -> str:
    actor = _member(record, "actor")
    kind = str(actor.get("type", "unknown"))
    name = actor.get("name") or actor.get("email")
    if name:
        return f"{name}" if kind == "user" else f"{name} ({kind})"
    who = _WHO.get(kind, "Somebody")
    return f"{who} ({actor['id']})" if actor.get("id") else who


def _happens_by_itself(record: Mapping[str, Any], action: str) -> bool:
    operation = record.get("operation")
    if not _is_nobodys(record) or operation not in _BY_ITSELF:
        return False
    return operation != "complete" or action not in _VERBS


def _is_nobodys(record: Mapping[str, Any]) -> bool:
    return _member(record, "actor").get("type") == "system"


def _where(record: Mapping[str, Any]) -> str:
    environment = _member(record, "environment")
    name = environment.get("name") or environment.get("id")
    target = _member(record, "target")
    is_itself = target.get("type") == "environment" and target.get("id") == environment.get("id")
    return f" in {name}" if name and not (is_itself and not _is_tick(record)) else ""


def _is_tick(record: Mapping[str, Any]) -> bool:
    return str(record.get("action")) in _TICKS


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _member(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}
