"""The catalog, against a copy of the table that was typed in independently."""

from __future__ import annotations

import pytest

from streamer.audit import catalog

EXPECTED = """
environment 3004 | created 1 M creation, updated 3 L change, deleted 4 H deletion, autobuild-created 1 L creation | configuration
space 3004 | created 1 I creation, updated 3 I change, deleted 4 M deletion, archived 9 L change, unarchived 8 L change, expired 11 L change | configuration
space 3005 | guestAdded 1 M user+change, guestRemoved 2 L user+change | iam
agent 3004 | created 1 M creation, updated 3 M change, deleted 4 M deletion | configuration
secret 3004 | created 1 M creation, updated 3 M change, deleted 4 M deletion | configuration
flag 3004 | created 1 L creation, updated 3 L change, deleted 4 L deletion | configuration
action 3004 | created 1 I creation, updated 3 I change, deleted 4 L deletion | configuration
program 3004 | created 1 I creation, updated 3 I change, recomputing * I info, recomputed * I change | configuration
workbook 6001 | created 1 I change, updated 3 I change, deleted 4 L change, expired * L change, thawed * L change | database
sheet 6001 | created 1 I change, updated 3 I change, deleted 4 L change, counts-updated 3 I change, calculation-updated 3 I change | database
records 6001 | created 1 I change, updated 3 I change, deleted 4 L change | database
snapshot 6001 | created 1 I change | database
layer 6001 | created 1 I change | database
commit 6001 | created 1 I change, updated 3 I change, completed * I change | database
data-clip 6001 | created 1 I change, updated 3 I change, deleted 4 L change, collaborator-updated 8 L change, resolutions-created 3 I change, resolutions-updated 3 I change, resolutions-refreshed 3 I change | database
file 6001 | created 6 I creation, updated 3 I change, deleted 4 L deletion, expired * L deletion | file
document 6001 | created 1 I creation, updated 3 I change, deleted 4 L deletion | -
canvas 6001 | created 1 I creation, updated 3 I change, deleted 4 I deletion | -
canvas-area 6001 | created 1 I creation, updated 3 I change, deleted 4 I deletion | -
thread 6001 | created 1 I creation, updated 3 I change, deleted 4 I deletion | -
job 6001 | created 1 I creation, updated 3 I change, deleted 4 I deletion, ready * I start, scheduled * I info, completed * I end, failed * L end+error, parts-completed * I info, outcome-acknowledged * I info | -
cron 0 | 5-minutes 99 I info, hourly 99 I info, daily 99 I info, weekly 99 I info | -
"""  # noqa: E501  (typed in from the specification of the mapping, one line each)

SEVERITIES = {"I": "info", "L": "low", "M": "medium", "H": "high"}


def _expected() -> dict[str, tuple[int, int, str, str | None, frozenset[str]]]:
    rows = {}
    for line in EXPECTED.strip().splitlines():
        head, verbs, category = line.split(" | ")
        noun, class_uid = head.split()
        for entry in verbs.split(", "):
            verb, activity, severity, types = entry.split()
            rows[f"{noun}:{verb}"] = (
                int(class_uid),
                99 if activity == "*" else int(activity),
                SEVERITIES[severity],
                None if category == "-" else category,
                frozenset(types.split("+")),
            )
    return rows


def test_every_documented_topic_is_as_specified() -> None:
    """Class, activity, severity, ECS category and type of all 82 topics agree with the table."""
    actual = {
        topic.name: (
            topic.ocsf_class,
            topic.ocsf_activity,
            topic.severity,
            topic.ecs_category,
            frozenset(topic.ecs_types),
        )
        for topic in catalog.TOPICS.values()
    }
    assert actual == _expected()
    assert len(actual) == 82


def test_only_what_failed_is_a_failure() -> None:
    """Of the documented topics `job:failed` alone reports a failure by its name."""
    failures = [name for name, topic in catalog.TOPICS.items() if topic.outcome != "success"]
    assert failures == ["job:failed"]


def test_activity_99_has_a_name_and_no_other_has() -> None:
    """OCSF wants a name of our own for what it does not name itself, and only for that."""
    named = {name for name, topic in catalog.TOPICS.items() if topic.activity_name}
    assert named == {name for name, topic in catalog.TOPICS.items() if topic.ocsf_activity == 99}
    assert catalog.TOPICS["cron:daily"].activity_name == "Tick"
    assert catalog.TOPICS["workbook:thawed"].activity_name == "Restore"


@pytest.mark.parametrize(
    ("name", "category", "operation", "outcome", "ocsf", "activity_name"),
    [
        ("webhook:created", "webhook", "create", "success", (6001, 1), None),
        ("webhook:deleted", "webhook", "delete", "success", (6001, 4), None),
        ("space:frozen", "space", "other", "unknown", (3004, 99), "frozen"),
        ("secret:rotation-failed", "secret", "fail", "failure", (3004, 99), "rotation-failed"),
        ("nonsense", "nonsense", "other", "unknown", (6001, 99), ""),
        ("", "", "other", "unknown", (6001, 99), ""),
    ],
)
def test_an_undocumented_topic_is_read_by_its_halves(
    name: str,
    category: str,
    operation: str,
    outcome: str,
    ocsf: tuple[int, int],
    activity_name: str | None,
) -> None:
    """What nobody documented still gets category, operation and class."""
    topic = catalog.describe(name)
    assert not topic.is_known
    assert (topic.category, topic.operation, topic.outcome) == (category, operation, outcome)
    assert (topic.ocsf_class, topic.ocsf_activity) == ocsf
    assert topic.activity_name == activity_name


def test_a_new_nouns_target_is_named_after_it() -> None:
    """An event of an unknown kind is looked up by `<noun>Id`."""
    topic = catalog.describe("data-feed:created")
    assert (topic.target, topic.target_id) == ("data-feed", "dataFeedId")
