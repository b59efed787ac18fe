# ruff: noqa: E501  (a row of the table is one line, however wide)
"""What each topic of Flatfile means to an auditor: one row per topic, and a rule for new ones.

Columns: `outcome` is `success` but for what failed. Severity is static; volume is for the rules of
the SIEM. OCSF and ECS are what `audit/formats` needs. `99` is OCSF's *Other*: the activity's name
is then the operation's. An ECS category of `-` means that none fits: ECS says to leave it out.
`target` is the type of what was acted on, `id` the member of the event's context, or else of its
payload, that names it.

Sources: Flatfile's API reference (topics), OCSF 1.8.0, ECS 9.4.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, TypeAlias

Operation: TypeAlias = Literal[
    "create",
    "update",
    "delete",
    "archive",
    "restore",
    "expire",
    "grant",
    "revoke",
    "execute",
    "complete",
    "fail",
    "other",
]
Outcome: TypeAlias = Literal["success", "failure", "unknown"]
Severity: TypeAlias = Literal["info", "low", "medium", "high", "critical"]


@dataclass(frozen=True, slots=True, eq=False)
class Topic:
    """One row.

    Attributes:
        category: The topic's first half.
        activity_name: OCSF's name of activity 99; None for the activities that OCSF names.
        target: The type of what was acted on.
        target_id: The member of the context, or else of the payload, that holds its id.
        is_known: Whether Flatfile documents the topic.
    """

    name: str
    operation: Operation
    severity: Severity
    ocsf_class: int
    ocsf_activity: int
    ecs_category: str | None
    ecs_types: tuple[str, ...]
    target: str
    target_id: str
    category: str
    outcome: Outcome
    activity_name: str | None
    is_known: bool = True


_Row: TypeAlias = tuple[str, Operation, Severity, int, int, str, str, str, str]

# fmt: off
_TABLE: Final[tuple[_Row, ...]] = (
    # topic                          operation  severity  OCSF cl. act. ECS category     ECS type       target         id
    ("agent:created",                "create",   "medium", 3004,  1, "configuration", "creation",    "agent",       "agentId"),
    ("agent:updated",                "update",   "medium", 3004,  3, "configuration", "change",      "agent",       "agentId"),
    ("agent:deleted",                "delete",   "medium", 3004,  4, "configuration", "deletion",    "agent",       "agentId"),
    ("space:created",                "create",   "info",   3004,  1, "configuration", "creation",    "space",       "spaceId"),
    ("space:updated",                "update",   "info",   3004,  3, "configuration", "change",      "space",       "spaceId"),
    ("space:deleted",                "delete",   "medium", 3004,  4, "configuration", "deletion",    "space",       "spaceId"),
    ("space:archived",               "archive",  "low",    3004,  9, "configuration", "change",      "space",       "spaceId"),
    ("space:unarchived",             "restore",  "low",    3004,  8, "configuration", "change",      "space",       "spaceId"),
    ("space:expired",                "expire",   "low",    3004, 11, "configuration", "change",      "space",       "spaceId"),
    ("space:guestAdded",             "grant",    "medium", 3005,  1, "iam",           "user change", "guest",       "guestId"),
    ("space:guestRemoved",           "revoke",   "low",    3005,  2, "iam",           "user change", "guest",       "guestId"),
    ("document:created",             "create",   "info",   6001,  1, "-",             "creation",    "document",    "documentId"),
    ("document:updated",             "update",   "info",   6001,  3, "-",             "change",      "document",    "documentId"),
    ("document:deleted",             "delete",   "low",    6001,  4, "-",             "deletion",    "document",    "documentId"),
    ("workbook:created",             "create",   "info",   6001,  1, "database",      "change",      "workbook",    "workbookId"),
    ("workbook:updated",             "update",   "info",   6001,  3, "database",      "change",      "workbook",    "workbookId"),
    ("workbook:deleted",             "delete",   "low",    6001,  4, "database",      "change",      "workbook",    "workbookId"),
    ("workbook:expired",             "expire",   "low",    6001, 99, "database",      "change",      "workbook",    "workbookId"),
    ("workbook:thawed",              "restore",  "low",    6001, 99, "database",      "change",      "workbook",    "workbookId"),
    ("flag:created",                 "create",   "low",    3004,  1, "configuration", "creation",    "flag",        "flagId"),
    ("flag:updated",                 "update",   "low",    3004,  3, "configuration", "change",      "flag",        "flagId"),
    ("flag:deleted",                 "delete",   "low",    3004,  4, "configuration", "deletion",    "flag",        "flagId"),
    ("sheet:created",                "create",   "info",   6001,  1, "database",      "change",      "sheet",       "sheetId"),
    ("sheet:updated",                "update",   "info",   6001,  3, "database",      "change",      "sheet",       "sheetId"),
    ("sheet:deleted",                "delete",   "low",    6001,  4, "database",      "change",      "sheet",       "sheetId"),
    ("sheet:counts-updated",         "update",   "info",   6001,  3, "database",      "change",      "sheet",       "sheetId"),
    ("sheet:calculation-updated",    "update",   "info",   6001,  3, "database",      "change",      "sheet",       "sheetId"),
    ("snapshot:created",             "create",   "info",   6001,  1, "database",      "change",      "snapshot",    "snapshotId"),
    ("records:created",              "create",   "info",   6001,  1, "database",      "change",      "sheet",       "sheetId"),
    ("records:updated",              "update",   "info",   6001,  3, "database",      "change",      "sheet",       "sheetId"),
    ("records:deleted",              "delete",   "low",    6001,  4, "database",      "change",      "sheet",       "sheetId"),
    ("file:created",                 "create",   "info",   6001,  6, "file",          "creation",    "file",        "fileId"),
    ("file:updated",                 "update",   "info",   6001,  3, "file",          "change",      "file",        "fileId"),
    ("file:deleted",                 "delete",   "low",    6001,  4, "file",          "deletion",    "file",        "fileId"),
    ("file:expired",                 "expire",   "low",    6001, 99, "file",          "deletion",    "file",        "fileId"),
    ("job:created",                  "create",   "info",   6001,  1, "-",             "creation",    "job",         "jobId"),
    ("job:updated",                  "update",   "info",   6001,  3, "-",             "change",      "job",         "jobId"),
    ("job:deleted",                  "delete",   "info",   6001,  4, "-",             "deletion",    "job",         "jobId"),
    ("job:completed",                "complete", "info",   6001, 99, "-",             "end",         "job",         "jobId"),
    ("job:ready",                    "execute",  "info",   6001, 99, "-",             "start",       "job",         "jobId"),
    ("job:scheduled",                "other",    "info",   6001, 99, "-",             "info",        "job",         "jobId"),
    ("job:outcome-acknowledged",     "other",    "info",   6001, 99, "-",             "info",        "job",         "jobId"),
    ("job:parts-completed",          "complete", "info",   6001, 99, "-",             "info",        "job",         "jobId"),
    ("job:failed",                   "fail",     "low",    6001, 99, "-",             "end error",   "job",         "jobId"),
    ("program:created",              "create",   "info",   3004,  1, "configuration", "creation",    "program",     "programId"),
    ("program:updated",              "update",   "info",   3004,  3, "configuration", "change",      "program",     "programId"),
    ("program:recomputing",          "execute",  "info",   3004, 99, "configuration", "info",        "program",     "programId"),
    ("program:recomputed",           "complete", "info",   3004, 99, "configuration", "change",      "program",     "programId"),
    ("commit:created",               "create",   "info",   6001,  1, "database",      "change",      "commit",      "commitId"),
    ("commit:updated",               "update",   "info",   6001,  3, "database",      "change",      "commit",      "commitId"),
    ("commit:completed",             "complete", "info",   6001, 99, "database",      "change",      "commit",      "commitId"),
    ("layer:created",                "create",   "info",   6001,  1, "database",      "change",      "layer",       "layerId"),
    ("secret:created",               "create",   "medium", 3004,  1, "configuration", "creation",    "secret",      "secretId"),
    ("secret:updated",               "update",   "medium", 3004,  3, "configuration", "change",      "secret",      "secretId"),
    ("secret:deleted",               "delete",   "medium", 3004,  4, "configuration", "deletion",    "secret",      "secretId"),
    ("cron:5-minutes",               "execute",  "info",      0, 99, "-",             "info",        "environment", "environmentId"),
    ("cron:hourly",                  "execute",  "info",      0, 99, "-",             "info",        "environment", "environmentId"),
    ("cron:daily",                   "execute",  "info",      0, 99, "-",             "info",        "environment", "environmentId"),
    ("cron:weekly",                  "execute",  "info",      0, 99, "-",             "info",        "environment", "environmentId"),
    ("environment:created",          "create",   "medium", 3004,  1, "configuration", "creation",    "environment", "environmentId"),
    ("environment:updated",          "update",   "low",    3004,  3, "configuration", "change",      "environment", "environmentId"),
    ("environment:deleted",          "delete",   "high",   3004,  4, "configuration", "deletion",    "environment", "environmentId"),
    ("environment:autobuild-created", "create",  "low",    3004,  1, "configuration", "creation",    "environment", "environmentId"),
    ("action:created",               "create",   "info",   3004,  1, "configuration", "creation",    "action",      "actionId"),
    ("action:updated",               "update",   "info",   3004,  3, "configuration", "change",      "action",      "actionId"),
    ("action:deleted",               "delete",   "low",    3004,  4, "configuration", "deletion",    "action",      "actionId"),
    ("data-clip:created",            "create",   "info",   6001,  1, "database",      "change",      "data-clip",   "dataClipId"),
    ("data-clip:updated",            "update",   "info",   6001,  3, "database",      "change",      "data-clip",   "dataClipId"),
    ("data-clip:deleted",            "delete",   "low",    6001,  4, "database",      "change",      "data-clip",   "dataClipId"),
    ("data-clip:collaborator-updated", "update", "low",    6001,  8, "database",      "change",      "data-clip",   "dataClipId"),
    ("data-clip:resolutions-created", "update",  "info",   6001,  3, "database",      "change",      "data-clip",   "dataClipId"),
    ("data-clip:resolutions-updated", "update",  "info",   6001,  3, "database",      "change",      "data-clip",   "dataClipId"),
    ("data-clip:resolutions-refreshed", "update", "info",  6001,  3, "database",      "change",      "data-clip",   "dataClipId"),
    ("canvas:created",               "create",   "info",   6001,  1, "-",             "creation",    "canvas",      "canvasId"),
    ("canvas:updated",               "update",   "info",   6001,  3, "-",             "change",      "canvas",      "canvasId"),
    ("canvas:deleted",               "delete",   "info",   6001,  4, "-",             "deletion",    "canvas",      "canvasId"),
    ("canvas-area:created",          "create",   "info",   6001,  1, "-",             "creation",    "canvas-area", "canvasAreaId"),
    ("canvas-area:updated",          "update",   "info",   6001,  3, "-",             "change",      "canvas-area", "canvasAreaId"),
    ("canvas-area:deleted",          "delete",   "info",   6001,  4, "-",             "deletion",    "canvas-area", "canvasAreaId"),
    ("thread:created",               "create",   "info",   6001,  1, "-",             "creation",    "thread",      "threadId"),
    ("thread:updated",               "update",   "info",   6001,  3, "-",             "change",      "thread",      "threadId"),
    ("thread:deleted",               "delete",   "info",   6001,  4, "-",             "deletion",    "thread",      "threadId"),
)
# fmt: on


def _topic(row: _Row) -> Topic:
    name, operation, severity, ocsf_class, activity, category, types, target, target_id = row
    noun = name.partition(":")[0]
    other_name = "Tick" if noun == "cron" else operation.title()
    return Topic(
        name=name,
        operation=operation,
        severity=severity,
        ocsf_class=ocsf_class,
        ocsf_activity=activity,
        ecs_category=None if category == "-" else category,
        ecs_types=tuple(types.split()),
        target=target,
        target_id=target_id,
        category=noun,
        outcome="failure" if operation == "fail" else "success",
        activity_name=other_name if activity == _OTHER else None,
    )


_OTHER: Final = 99
TOPICS: Final = {row[0]: _topic(row) for row in _TABLE}
"""The 82 topics that Flatfile documents, by name."""

_VERBS: Final[dict[str, Operation]] = {
    "created": "create",
    "updated": "update",
    "deleted": "delete",
    "archived": "archive",
    "unarchived": "restore",
    "restored": "restore",
    "thawed": "restore",
    "expired": "expire",
    "granted": "grant",
    "revoked": "revoke",
    "ready": "execute",
    "started": "execute",
    "completed": "complete",
    "failed": "fail",
}
_ACTIVITIES: Final = {"created": 1, "updated": 3, "deleted": 4}
_ECS_TYPES: Final = {"created": "creation", "updated": "change", "deleted": "deletion"}


_LONGEST: Final = 256


def describe(topic: str) -> Topic:
    """Return the topic's row, or for one that nobody documented what its two halves say."""
    known = TOPICS.get(topic)
    if known is not None:
        return known
    # What is kept must be bounded in length, too.
    return _kept(topic) if len(topic) <= _LONGEST else _undocumented(topic)


@lru_cache(maxsize=1024)
def _kept(topic: str) -> Topic:
    return _undocumented(topic)


def _undocumented(topic: str) -> Topic:
    """Read a topic by its halves; where the noun is known, class and category are its own.

    Its severity is low rather than informational: nobody has judged it yet.
    """
    noun, _, verb = topic.partition(":")
    kin = TOPICS.get(f"{noun}:updated") or TOPICS.get(f"{noun}:created")
    operation = _VERBS.get(verb.rpartition("-")[2], "other")
    outcomes: dict[str, Outcome] = {"fail": "failure", "other": "unknown"}
    ecs_type = "change" if kin and kin.ecs_category == "database" else _ECS_TYPES.get(verb, "info")
    first, *rest = noun.split("-")
    return Topic(
        name=topic,
        operation=operation,
        severity="low",
        ocsf_class=kin.ocsf_class if kin else 6001,
        ocsf_activity=_ACTIVITIES.get(verb, _OTHER),
        ecs_category=kin.ecs_category if kin else None,
        ecs_types=(ecs_type,),
        target=kin.target if kin else noun,
        target_id=kin.target_id if kin else first + "".join(map(str.title, rest)) + "Id",
        category=noun,
        outcome=outcomes.get(operation, "success"),
        activity_name=None if verb in _ACTIVITIES else verb,
        is_known=False,
    )
