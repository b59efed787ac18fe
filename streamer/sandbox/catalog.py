"""The 82 topics that Flatfile documents, how often each occurs, and what its context holds.

Frequencies are relative and shaped after data onboarding: records and jobs make up most of it,
administration little. No topic is so rare that a few thousand events would not contain it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Family:
    """The topics of one noun.

    Attributes:
        domain: What the events carry as `domain`.
        weights: Relative frequency by verb.
        context: Members of the context beside account, environment and actor.
        own: The member of the context (and the id's kind) that names the object itself.
        placed: Whether the context says which account and environment it belongs to.
    """

    domain: str
    weights: dict[str, int]
    context: tuple[str, ...] = ()
    own: tuple[str, str] | None = None
    placed: bool = True


_IN_SHEET: Final = ("spaceId", "workbookId", "sheetId", "sheetSlug", "slugs")

FAMILIES: Final[dict[str, Family]] = {
    "agent": Family("agent", {"created": 2, "updated": 3, "deleted": 1}, (), ("agentId", "ag")),
    "space": Family(
        "space",
        {
            "created": 4,
            "updated": 8,
            "deleted": 1,
            "archived": 2,
            "unarchived": 1,
            "expired": 1,
            "guestAdded": 6,
            "guestRemoved": 2,
        },
        ("spaceId", "slugs", "appId"),
    ),
    "document": Family(
        "document",
        {"created": 3, "updated": 6, "deleted": 1},
        ("spaceId",),
        ("documentId", "dc"),
    ),
    "workbook": Family(
        "workbook",
        {"created": 4, "updated": 14, "deleted": 1, "expired": 1, "thawed": 1},
        ("spaceId", "workbookId", "slugs"),
    ),
    "flag": Family(
        "flag",
        {"created": 1, "updated": 1, "deleted": 1},
        ("spaceId",),
        ("entityId", "flg"),
    ),
    "sheet": Family(
        "sheet",
        {
            "created": 3,
            "updated": 6,
            "deleted": 1,
            "counts-updated": 18,
            "calculation-updated": 4,
        },
        _IN_SHEET,
    ),
    "snapshot": Family("snapshot", {"created": 3}, _IN_SHEET, ("snapshotId", "ss")),
    "records": Family(
        "record",
        {"created": 22, "updated": 60, "deleted": 6},
        (*_IN_SHEET, "versionId", "precedingEventId"),
        ("commitId", "vr"),
    ),
    "file": Family(
        "file",
        {"created": 12, "updated": 18, "deleted": 2, "expired": 1},
        ("spaceId",),
        ("fileId", "fl"),
    ),
    "job": Family(
        "job",
        {
            "created": 20,
            "updated": 24,
            "deleted": 1,
            "completed": 16,
            "ready": 16,
            "scheduled": 2,
            "outcome-acknowledged": 8,
            "parts-completed": 3,
            "failed": 3,
        },
        ("spaceId", "workbookId", "actionName", "precedingEventId"),
        ("jobId", "jb"),
    ),
    "program": Family(
        "program",
        {"created": 1, "updated": 2, "recomputing": 2, "recomputed": 2},
        ("spaceId", "workbookId"),
        ("programId", "pr"),
    ),
    "commit": Family(
        "commit",
        {"created": 20, "updated": 4, "completed": 18},
        (*_IN_SHEET, "versionId"),
        ("commitId", "vr"),
    ),
    "layer": Family("layer", {"created": 2}, _IN_SHEET, ("commitId", "vr")),
    "secret": Family("secret", {"created": 2, "updated": 2, "deleted": 1}, ("spaceId",)),
    "cron": Family(
        "cron",
        {"5-minutes": 12, "hourly": 3, "daily": 1, "weekly": 1},
        placed=False,
    ),
    "environment": Family(
        "environment",
        {"created": 1, "updated": 2, "deleted": 1, "autobuild-created": 1},
    ),
    "action": Family(
        "action",
        {"created": 2, "updated": 2, "deleted": 1},
        ("spaceId", "actionName"),
        ("actionId", "act"),
    ),
    "data-clip": Family(
        "data-clip",
        {
            "created": 2,
            "updated": 2,
            "deleted": 1,
            "collaborator-updated": 1,
            "resolutions-created": 1,
            "resolutions-updated": 1,
            "resolutions-refreshed": 1,
        },
        ("spaceId", "workbookId"),
        ("dataClipId", "dclp"),
    ),
    "canvas": Family(
        "canvas",
        {"created": 2, "updated": 3, "deleted": 1},
        ("spaceId",),
        ("canvasId", "cv"),
    ),
    "canvas-area": Family(
        "canvas-area",
        {"created": 2, "updated": 3, "deleted": 1},
        (),
        ("canvasAreaId", "cva"),
        placed=False,
    ),
    "thread": Family(
        "thread",
        {"created": 3, "updated": 4, "deleted": 1},
        ("spaceId",),
        ("threadId", "th"),
    ),
}

WEIGHTS: Final[dict[str, int]] = {
    f"{noun}:{verb}": weight
    for noun, family in FAMILIES.items()
    for verb, weight in family.weights.items()
}
"""Every documented topic and its relative frequency."""

TOPICS: Final[tuple[str, ...]] = tuple(WEIGHTS)

NOBODY: Final = ("cron:", ":expired", ":thawed", "program:recompute", "sheet:calculation")
"""What happens by itself: a topic that contains one of these has no actor."""


def is_by_nobody(topic: str) -> bool:
    """Tell whether events of this topic have no actor."""
    return any(part in topic for part in NOBODY)
