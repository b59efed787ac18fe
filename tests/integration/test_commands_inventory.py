"""`streamer inventory` against a real topic and a real account: what is shown, and how."""

from __future__ import annotations

import csv
import io
import json
import resource
from typing import TYPE_CHECKING, Any, Final

import pytest

from streamer.audit.privacy import CLEAR
from streamer.inventory.message import encode, key_of
from streamer.kafka.client import Connection
from streamer.kafka.partitions import partition_of
from streamer.kafka.topics import ensure
from streamer.kafka.transaction import Outgoing
from streamer.sandbox.founding import build_account
from streamer.sandbox.options import SandboxOptions
from tests.support.inventory import UNTIL, thing
from tests.support.kafka_parts import commit, kafka_settings, started
from tests.support.sandbox_process import SandboxProcess
from tests.support.streamer_command import Result, kafka_variables, streamer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamer.broker.local import LocalBroker
    from streamer.flatfile.objects import Kind

PARTITIONS: Final = 3
HOSTILE: Final = "=1+1\x1b[2J\u202e[red]"
"""A formula, a sequence that clears a terminal, one that turns its direction, and markup."""

AT: Final = "2026-11-20T08:00:00.000Z"


class Topic:
    """An inventory topic that a test writes to as a worker would."""

    def __init__(self, broker: LocalBroker, prefix: str) -> None:
        self.kafka = kafka_settings(broker.bootstrap_servers, prefix, partitions=PARTITIONS)
        self.connection = Connection(self.kafka)
        self.settings = kafka_variables(broker, prefix)

    async def publish(
        self,
        objects: Iterable[tuple[Kind, dict[str, Any]]],
        *,
        at: str = AT,
        observed_only: bool | None = None,
    ) -> None:
        """Commit objects, each in the partition of its environment."""
        messages: dict[int, list[Outgoing]] = {}
        for kind, body in objects:
            found = thing(kind, body)
            value = encode(
                found,
                account_id="us_acc_1",
                privacy=CLEAR,
                first_seen=at,
                last_seen=at,
                observed_only=observed_only,
            )
            place = found.environment_id
            partition = partition_of(place, PARTITIONS) if place else 0
            messages.setdefault(partition, []).append(Outgoing(key_of(kind, found.id), value))
        for partition, own in messages.items():
            await self.commit(partition, own)

    async def commit(self, partition: int, messages: list[Outgoing]) -> None:
        """Commit messages to a partition."""
        topic = self.kafka.inventory_topic
        name = f"{topic}.{partition}"
        async with started(self.connection, name, partition=partition) as producer:
            await commit(producer, {topic: messages})

    async def run(self, *arguments: str, columns: int = 200) -> Result:
        """Run `streamer inventory`."""
        settings = self.settings | {"COLUMNS": str(columns)}
        return await streamer("inventory", *arguments, settings=settings)


@pytest.fixture
async def topic(broker: LocalBroker, prefix: str) -> Topic:
    """A topic of two environments with two spaces, an agent and a guest each, and a user."""
    made = Topic(broker, prefix)
    await ensure(made.connection, made.kafka)
    await made.publish(_account())
    return made


def _account() -> Iterable[tuple[Kind, dict[str, Any]]]:
    yield "user", {"id": "us_usr_1", "name": "Ada Park", "email": "ada@example.com"}
    for n, name in ((1, "production"), (2, "staging")):
        place = f"us_env_{n}"
        yield "environment", {"id": place, "name": name, "isProd": n == 1}
        for m, space in ((1, "Payroll"), (2, HOSTILE if n == 1 else "Benefits")):
            archived = AT if m == 2 else None
            body = {"id": f"us_sp_{n}{m}", "environmentId": place, "name": space}
            yield "space", body | {"archivedAt": archived, "createdAt": AT}
        source = {"slug": "importer", "topics": ["job:ready"], "source": f"v{n}", "createdAt": AT}
        yield "agent", {"id": f"us_ag_{n}", "environmentId": place, **source}
        reach = [{"id": f"us_sp_{n}1"}, {"id": "us_sp_unknown"}]
        guest = {"name": "Ben Ode", "email": f"ben{n}@partner.example.com", "spaces": reach}
        yield "guest", {"id": f"us_g_{n}", "environmentId": place, **guest}


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("kind", ["environments", "spaces", "agents", "users", "guests"])
async def test_tables_fit_and_show_whole_ids(kind: str, columns: int, topic: Topic) -> None:
    """No line is broken by the terminal, and what is copied from one is an id."""
    result = await topic.run(kind, columns=columns)
    assert (result.code, result.err) == (0, "")
    assert max(map(len, result.lines)) <= columns
    ids = {
        "environments": ["us_env_1", "us_env_2"],
        "spaces": ["us_sp_11", "us_sp_12", "us_sp_21", "us_sp_22"],
        "agents": ["us_ag_1", "us_ag_2"],
        "users": ["us_usr_1"],
        "guests": ["us_g_1", "us_g_2"] if columns == 200 else [],
    }
    assert all(id_ in result.out for id_ in ids[kind])


async def test_long_names_are_folded_into_their_column(topic: Topic) -> None:
    """And hide nothing that stands beside them."""
    place = {"id": "us_env_3", "name": "n" * 250}
    long = {"id": f"us_sp_{'i' * 14}", "environmentId": "us_env_3", "name": "s" * 250}
    await topic.publish([("environment", place), ("space", long)])
    for columns in (80, 200):
        result = await topic.run("spaces", "--environment", "us_env_3", columns=columns)
        assert max(map(len, result.lines)) <= columns
        assert long["id"] in result.out
        assert result.out.count("s" * 10) > 5


async def test_spaces_are_counted_by_environment_and_in_total(topic: Topic) -> None:
    """The archived ones as well."""
    lines = [line.split() for line in (await topic.run("spaces")).lines]
    assert ["production", "2", "1"] in lines
    assert ["staging", "2", "1"] in lines
    assert ["total", "4", "2"] in lines


async def test_the_matrix_shows_which_names_exist_where(topic: Topic) -> None:
    """In letters for people, in columns for a spreadsheet, in lists for programs."""
    shown = await topic.run("spaces", "--matrix", columns=80)
    assert "a production" in shown.lines
    rows = {line.split()[0]: line.split()[1:] for line in shown.lines if "●" in line}
    assert rows["Payroll"] == ["2", "●●"]
    assert rows["Benefits"] == ["1", "·●"]
    written = (await topic.run("spaces", "--matrix", "--csv")).out
    assert next(csv.reader(io.StringIO(written))) == [
        "space",
        "environments",
        "production",
        "staging",
    ]
    assert ["Benefits", "1", "", "x"] in list(csv.reader(io.StringIO(written)))
    lines = [json.loads(line) for line in (await topic.run("spaces", "--matrix", "--json")).lines]
    assert {"name": "Payroll", "environments": ["production", "staging"]} in lines


async def test_the_matrix_of_forty_environments_fits(topic: Topic) -> None:
    """In as many blocks as it takes."""
    places = [("environment", {"id": f"us_env_{n}", "name": f"place {n}"}) for n in range(100, 140)]
    spaces = [
        ("space", {"id": f"us_sp_{n}", "environmentId": f"us_env_{n}", "name": "S" * 60})
        for n in range(100, 140)
    ]
    await topic.publish([*places, *spaces])  # type: ignore[list-item]
    for columns in (80, 200):
        result = await topic.run("spaces", "--matrix", columns=columns)
        assert max(map(len, result.lines)) <= columns
        cells = [line.split()[-1] for line in result.lines if line.startswith("SSS")]
        assert sum(each.count("●") for each in cells) == 40


async def test_agents_tell_whether_their_code_is_the_same(topic: Topic) -> None:
    """By the digest of their source, among those of one name."""
    shown = await topic.run("agents")
    assert shown.out.count("1 of 2") == 2
    same = {"id": "us_ag_2", "environmentId": "us_env_2", "slug": "importer", "source": "v1"}
    await topic.publish([("agent", same)], at="2026-11-21T08:00:00.000Z")
    assert (await topic.run("agents")).out.count("2 of 2") == 2


async def test_what_is_asked_for_is_shown_and_nothing_else(topic: Topic) -> None:
    """By environment, by text, by what no event told of; and what is gone is not."""
    for arguments, ids in (
        (("spaces", "--environment", "STAGING"), {"us_sp_21", "us_sp_22"}),
        (("spaces", "--environment", "us_env_1"), {"us_sp_11", "us_sp_12"}),
        (("spaces", "--filter", "PAYROLL"), {"us_sp_11", "us_sp_21"}),
        (("guests", "--filter", "ben2@"), {"us_g_2"}),
        (("users", "--filter", "nobody"), set()),
        (("agents", "--unreported"), set()),
    ):
        result = await topic.run(*arguments, "--json")
        assert {json.loads(line)["id"] for line in result.lines} == ids
        assert result.code == 0
        assert bool(ids) != ("nothing is there" in result.err)
    new = {"id": "us_ag_3", "environmentId": "us_env_1", "slug": "unheard-of"}
    await topic.publish([("agent", new)], observed_only=True)
    assert "us_ag_3" in (await topic.run("agents", "--unreported")).out
    await topic.commit(
        partition_of("us_env_1", PARTITIONS), [Outgoing(key_of("agent", "us_ag_3"), None)]
    )
    assert "us_ag_3" not in (await topic.run("agents")).out


async def test_an_object_that_moved_is_shown_once(topic: Topic) -> None:
    """Where it was seen last, also before its old place has noticed."""
    moved = {"id": "us_sp_11", "environmentId": "us_env_2", "name": "Payroll"}
    await topic.publish([("space", moved)], at="2026-11-21T08:00:00.000Z")
    lines = (await topic.run("spaces", "--json", "--filter", "us_sp_11")).lines
    assert [json.loads(line)["environment"]["id"] for line in lines] == ["us_env_2"]


async def test_json_is_what_lies_in_the_topic(topic: Topic) -> None:
    """Every member of it, one object a line."""
    (line,) = (await topic.run("spaces", "--json", "--filter", "us_sp_21")).lines
    found = thing("space", {**_body("us_sp_21")})
    value = encode(
        found,
        account_id="us_acc_1",
        privacy=CLEAR,
        first_seen=AT,
        last_seen=AT,
        observed_only=None,
    )
    assert json.loads(line) == json.loads(value)


def _body(id_: str) -> dict[str, Any]:
    return next(body for _, body in _account() if body["id"] == id_)


@pytest.mark.parametrize("how", ["--csv", "--json", "--matrix", "--filter="])
async def test_no_name_is_obeyed(how: str, topic: Topic) -> None:
    """Not by a terminal, and not by a spreadsheet."""
    result = await topic.run("spaces", how)
    assert "\x1b" not in result.out
    assert "\u202e" not in result.out
    assert "[red]" in result.out
    if how == "--csv":
        cells = [cell for row in csv.reader(io.StringIO(result.out)) for cell in row]
        assert any(cell.startswith("'=1+1") for cell in cells)
        assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@")]


async def test_what_cannot_be_done_is_said(topic: Topic, prefix: str) -> None:
    """With what to do, and an exit code."""
    unknown = await topic.run("spaces", "--environment", "nowhere")
    assert unknown.code == 2
    assert "none of the 2 environments" in unknown.err
    both = await topic.run("spaces", "--json", "--csv")
    assert both.code == 2
    topic.settings["STREAMER_KAFKA__TOPIC_PREFIX"] = f"{prefix}-other"
    missing = await topic.run("spaces")
    assert missing.code == 4
    assert "--live" in missing.err


async def test_live_shows_what_the_api_shows() -> None:
    """Without Kafka, and without any credential of it."""
    async with SandboxProcess(events=0, environments=2) as sandbox:
        account = await sandbox.account()
        places = account["environments"]
        settings = sandbox.environ | {"COLUMNS": "200"}
        await sandbox.post("environments", {"id": places[1]["id"], "forbidden": True})
        for kind in ("space", "agent", "guest"):
            result = await streamer("inventory", f"{kind}s", "--live", "--json", settings=settings)
            ids = {json.loads(line)["id"] for line in result.lines}
            assert ids == {one["id"] for one in places[0][f"{kind}s"]}
            assert "PLANTED" not in result.everything
            # What could not be listed is named, and is no success.
            assert places[1]["id"] in result.err
            assert result.code == 1
        users = await streamer("inventory", "users", "--live", settings=settings)
        assert users.code == 0
        assert all(user["id"] in users.out for user in account["users"])
        chosen = ("--environment", places[0]["name"])
        spaces = await streamer("inventory", "spaces", "--live", *chosen, settings=settings)
        assert (spaces.code, spaces.err) == (0, "")


async def test_a_large_account_is_shown_without_delay(broker: LocalBroker, prefix: str) -> None:
    """2,000 spaces, 5,000 users, 3,000 guests: less than a second of CPU, and little else."""
    made = Topic(broker, prefix)
    await ensure(made.connection, made.kafka)
    options = SandboxOptions(environments=40, spaces=50, agents=8, users=5_000, guests=75)
    account = build_account(options, UNTIL)
    objects: list[tuple[Kind, dict[str, Any]]] = [("user", user) for user in account.users]
    for place in account.environments.values():
        objects.append(("environment", place.body))
        objects += [("space", space.body) for space in place.spaces]
        objects += [("agent", agent) for agent in place.agents]
        objects += [("guest", guest) for guest in place.guests]
    await made.publish(objects)
    counts = {"environments": 40, "spaces": 2_000, "agents": 320, "users": 5_000, "guests": 3_000}
    for kind, count in counts.items():
        used_s = []
        for _ in range(2):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            result = await made.run(kind)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            assert len(result.lines) > count
        print(f"{kind}: {min(used_s):.2f} s of CPU")  # noqa: T201 - shown with -s
        # Not of time: that is also of whatever else the machine does.
        assert min(used_s) < 1
