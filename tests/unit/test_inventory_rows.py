"""What is counted for people: by what things are, and not only by what they are called."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from streamer.audit.privacy import CLEAR
from streamer.commands.inventory_rows import Rows
from streamer.inventory.message import decode, encode
from tests.support.inventory import thing

if TYPE_CHECKING:
    from streamer.flatfile.objects import Kind
    from streamer.inventory.message import Message

NOW: Final = datetime(2026, 11, 24, tzinfo=UTC)
AT: Final = "2026-11-20T08:00:00.000Z"
TWINS: Final = ("us_env_1", "us_env_2")


def _message(kind: Kind, **body: Any) -> Message:  # noqa: ANN401 - members of any type
    value = encode(
        thing(kind, body),
        account_id="us_acc_1",
        privacy=CLEAR,
        first_seen=AT,
        last_seen=AT,
        observed_only=None,
    )
    message = decode(value)
    assert message is not None
    return message


def test_environments_of_one_name_are_not_taken_for_one() -> None:
    """Each has its own counts, its own column, and its own agents."""
    places = [_message("environment", id=id_, name="production") for id_ in TWINS]
    spaces = [
        _message("space", id=f"us_sp_{n}", environmentId=place, name="Payroll")
        for n, place in enumerate(TWINS)
    ]
    agents = [
        _message("agent", id=f"us_ag_{n}", environmentId=place, slug="importer", source=f"v{n}")
        for n, place in enumerate(TWINS)
    ]
    rows = Rows([*places, *spaces, *agents], NOW)
    names = [f"production ({id_})" for id_ in TWINS]
    assert rows.space_counts(spaces).rows == [[name, "1", "0"] for name in names]
    assert rows.matrix(spaces) == (names, {"Payroll": set(names)})
    assert [row[6] for row in rows.agents(agents).rows] == ["1 of 2", "1 of 2"]


def test_agents_of_one_name_in_one_environment_are_both_there() -> None:
    """Each has code that exists in its environment."""
    place = _message("environment", id="us_env_1", name="production")
    agents = [
        _message(
            "agent", id=f"us_ag_{n}", environmentId="us_env_1", slug="importer", source=f"v{n}"
        )
        for n in range(2)
    ]
    rows = Rows([place, *agents], NOW)
    assert [row[6] for row in rows.agents(agents).rows] == ["1 of 1", "1 of 1"]
