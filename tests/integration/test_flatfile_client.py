"""The client against a server on loopback that does as it is told: requests, lists, tokens."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from typing_extensions import override

from streamer.config import FlatfileSettings
from streamer.errors import (
    CredentialsRefusedError,
    FlatfileAnswerError,
    FlatfileForbiddenError,
    FlatfileNotFoundError,
)
from streamer.flatfile.auth import KeyPair, PersonalToken
from streamer.flatfile.client import FlatfileClient
from streamer.flatfile.listing import PageRequest
from streamer.flatfile.models import BrokenEvent, Event, User
from streamer.flatfile.objects import Element, ListKey, read_element
from streamer.flatfile.transport import Patience
from tests.support.scripted_server import Act, Asked, ScriptedServer, answer, late

QUICK = Patience(attempts=3, wait_s=0.001, longest_wait_s=0.01)
SINCE = datetime(2026, 11, 23, 20, 46, 4, tzinfo=UTC)
FIRST_PAGE = PageRequest(None, 1, 1000)
EVENT = {"id": "us_evt_1", "topic": "a:b", "createdAt": "2026-11-23T20:46:04.300Z"}
CLIENT_SECRET, FIRST_TOKEN = "hush-client-secret", "hush-token-1"


class Account(ScriptedServer):
    """A server that hands out tokens and accepts the last one; the rest is the test's to script."""

    def __init__(self, rest: Act | None = None) -> None:
        super().__init__(self.answer)
        self.rest = rest or answer({"data": []})
        self.tokens = 0
        self.revoked: set[str] = set()
        self.attempts: list[tuple[str, str]] = []

    def answer(self, asked: Asked) -> Act:
        """Answer one request."""
        if asked.path == "/v1/auth":
            self.tokens += 1
            return answer({"data": {"accessToken": f"hush-token-{self.tokens}"}})
        if asked.token != f"hush-token-{self.tokens}" or asked.token in self.revoked:
            return answer({"errors": [{"message": f"bad token {asked.token}"}]}, status=401)
        return self.serve(asked)

    def serve(self, asked: Asked) -> Act:
        """Answer one request that has a good token."""
        del asked
        return self.rest

    def client(self, **options: Any) -> FlatfileClient:  # noqa: ANN401 -- as FlatfileClient's
        """Return a client for this account."""
        settings = FlatfileSettings(
            api_url=f"{self.url}/v1", client_id="client", secret=SecretStr(CLIENT_SECRET)
        )
        options.setdefault("patience", QUICK)
        options.setdefault("on_request", self.count)
        return FlatfileClient(settings, **options)

    def count(self, operation: str, outcome: str, duration_s: float) -> None:
        """Count an attempt."""
        assert duration_s >= 0
        self.attempts.append((operation, outcome))


class Lists(Account):
    """An account whose lists have 250 objects, and one of the many ways to page through them."""

    def __init__(self, *, cap: int, pagination: str) -> None:
        super().__init__()
        self.cap = cap
        self.pagination = pagination

    @override
    def serve(self, asked: Asked) -> Act:
        """Answer with a page of objects."""
        items = [{"id": f"us_usr_{n}", "name": str(n), "email": f"{n}@x"} for n in range(250)]
        asked_size, number = int(asked.query["pageSize"]), int(asked.query["pageNumber"])
        size = min(asked_size, self.cap)
        body: dict[str, object] = {"data": items[(number - 1) * size :][:size]}
        if self.pagination == "true":
            body["pagination"] = {"currentPage": number, "pageCount": -(-250 // size)}
        elif self.pagination == "for the size asked for":
            pages = -(-250 // asked_size)
            body["pagination"] = {"pageCount": pages, "totalCount": 250}
        elif self.pagination == "nonsense":
            body["pagination"] = {"pageCount": "many"}
        return answer(body)


async def _listed(
    client: FlatfileClient, which: ListKey, *, archived: bool | None = None
) -> tuple[list[Element], bool]:
    """What a list shows, and whether that was all of it."""
    found: list[Element] = []
    is_complete = await client.read_list(which, found.extend, archived=archived)
    return found, is_complete


async def test_events_are_asked_for_as_documented() -> None:
    """A page of events is asked for with its bounds, its size and the acknowledged ones."""
    async with Account(answer({"data": [EVENT]})) as server, server.client() as client:
        page = await client.events_page(PageRequest(SINCE, 3, 200), "us_env_1")
    assert [row.id for row in page.rows] == ["us_evt_1"]
    assert page.server_at == SINCE + timedelta(seconds=1)
    auth, asked = server.asked
    assert (auth.method, auth.path) == ("POST", "/v1/auth")
    assert json.loads(auth.body) == {
        "type": "apiCredentials",
        "clientId": "client",
        "secret": CLIENT_SECRET,
    }
    assert (asked.method, asked.path) == ("GET", "/v1/events")
    assert asked.query == {
        "environmentId": "us_env_1",
        "since": "2026-11-23T20:46:04Z",
        "pageSize": "200",
        "pageNumber": "3",
        "includeAcknowledged": "true",
    }
    assert asked.headers["authorization"] == f"Bearer {FIRST_TOKEN}"
    assert asked.headers["x-disable-hooks"] == "true"
    assert asked.headers["accept-encoding"] == "gzip"


async def test_events_of_all_environments_are_asked_for_without_one() -> None:
    """The scout's page names neither an environment nor a lower bound if it has none."""
    async with Account() as server, server.client() as client:
        await client.events_page(FIRST_PAGE)
    assert server.asked[-1].query.keys() == {"pageSize", "pageNumber", "includeAcknowledged"}


async def test_hostile_page_comes_out_of_the_client_whole() -> None:
    """A page with a broken element is read, beside the others, without a retry."""
    body = b'{"data":[%b,{"id":"us_evt_2","payload":"\\ud800"}]}' % json.dumps(EVENT).encode()
    async with Account(answer(body)) as server, server.client() as client:
        page = await client.events_page(FIRST_PAGE)
    assert [type(row) for row in page.rows] == [Event, BrokenEvent]
    assert server.attempts == [("authenticate", "ok"), ("list_events", "ok")]


async def test_requests_share_a_connection() -> None:
    """One request after another goes over one connection, also after an error."""
    async with Account(late(b'{"errors":[]}', status=404)) as server, server.client() as client:
        for _ in range(5):
            with pytest.raises(FlatfileNotFoundError):
                await client.user("us_usr_1")
    assert server.connections == 1


@pytest.mark.parametrize("cap", [7, 100, 1000])
@pytest.mark.parametrize(
    "pagination", ["none", "true", "for the size asked for", "nonsense"], ids=lambda p: p
)
async def test_list_is_walked_to_its_end_whatever_the_cap(cap: int, pagination: str) -> None:
    """All objects of a list are found, however few the server gives at once."""
    async with Lists(cap=cap, pagination=pagination) as server, server.client() as client:
        users, is_complete = await _listed(client, ListKey("user"))
    assert is_complete
    assert [user.id for user in users] == [f"us_usr_{n}" for n in range(250)]
    assert read_element(users[7].raw, User) == User(id="us_usr_7", name="7", email="7@x")
    if pagination == "true":
        assert len(server.asked) - 1 == -(-250 // min(cap, 100))  # No request for an empty page.


async def test_list_of_a_server_that_ignores_the_page_number_ends() -> None:
    """A server that gives the same page for ever is asked twice."""
    same = answer({"data": [{"id": "us_sp_1"}, {"id": "us_sp_2"}]})
    async with Account(same) as server, server.client() as client:
        spaces, _ = await _listed(client, ListKey("space"), archived=True)
    assert [space.id for space in spaces] == ["us_sp_1", "us_sp_2"]
    assert len(server.asked) == 3
    assert server.asked[-1].query["archived"] == "true"


async def test_broken_object_does_not_lose_the_others() -> None:
    """An object with a hostile name, or members of the wrong type, is read as far as possible."""
    body = (
        b'{"data":[{"id":"us_env_1","name":"a","isProd":true},{"id":"us_env_2","name":"x\\ud800"},'
        b'{"id":"us_env_3","name":[1],"isProd":"yes"},{"name":"no id"},{"id":"../../x","name":1},7,'
        b'{"id":"us_env_4","name":"d","features":{"z":1e400}}],"pagination":{"pageCount":1}}'
    )
    async with Account(answer(body)) as server, server.client() as client:
        environments = await client.environments()
    assert [(e.id, e.name, e.is_prod) for e in environments] == [
        ("us_env_1", "a", True),
        ("us_env_2", "x?", False),
        ("us_env_3", "", False),
        ("us_env_4", "d", False),
    ]


@pytest.mark.parametrize(
    ("elements", "is_complete"),
    [
        (b'{"id":"us_usr_1","name":"x\\ud800"}', True),
        (b'{"id":"us_usr_1"},{"id":"../../x"}', True),
        (b'{"id":"us_usr_1"},{"name":"no id"}', False),
        (b'{"id":"us_usr_1"},7', False),
        (b'{"id":"us_usr_1","deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}", False),
    ],
)
async def test_list_with_something_that_cannot_be_told_apart_is_not_all_of_it(
    elements: bytes, *, is_complete: bool
) -> None:
    """What has no readable id may be anyone; what has an id that is none is nobody."""
    async with Account(answer(b'{"data":[%b]}' % elements)) as server, server.client() as client:
        found, said = await _listed(client, ListKey("user"))
    assert {one.id for one in found} <= {"us_usr_1"}
    assert said is is_complete


async def test_list_that_shows_fewer_than_it_says_is_not_all_of_it() -> None:
    """A page that moved while it was read, or a server that ignores the number."""
    page = {"data": [{"id": "us_usr_1"}], "pagination": {"pageCount": 2, "totalCount": 2}}
    async with Account(answer(page)) as server, server.client() as client:
        found, is_complete = await _listed(client, ListKey("user"))
    assert ([one.id for one in found], is_complete) == (["us_usr_1"], False)


async def test_list_with_pages_that_are_too_large_is_read_in_smaller_ones() -> None:
    """Agents come with their source; none of them is handed on twice."""
    kb = 1000
    agents = [
        {"id": f"us_ag_{n}", "source": "x" * (200 * kb if n == 30 else 10 * kb)} for n in range(40)
    ]

    class Agents(Account):
        @override
        def serve(self, asked: Asked) -> Act:
            size, number = int(asked.query["pageSize"]), int(asked.query["pageNumber"])
            return answer({"data": agents[(number - 1) * size :][:size]})

    async with Agents() as server:
        settings = FlatfileSettings(
            api_url=f"{server.url}/v1",
            client_id="client",
            secret=SecretStr(CLIENT_SECRET),
            max_body_bytes=300 * kb,
        )
        async with FlatfileClient(settings, patience=QUICK) as client:
            found, is_complete = await _listed(client, ListKey("agent", "us_env_1"))
    assert ([one.id for one in found], is_complete) == ([one["id"] for one in agents], True)
    assert {asked.query["pageSize"] for asked in server.asked[1:]} == {"20", "5"}


async def test_agents_may_come_without_data_but_environments_may_not() -> None:
    """Where `data` is optional its absence is an empty list; elsewhere it is no answer."""
    async with Account(answer({})) as server, server.client() as client:
        assert await _listed(client, ListKey("agent", "us_env_1")) == ([], True)
        with pytest.raises(Exception, match="data") as caught:
            await client.environments()
    assert caught.value.retriable is True  # type: ignore[attr-defined]


async def test_guests_are_one_page() -> None:
    """The guests of a space are asked for once, without a page number."""
    guests = answer({"data": [{"id": "us_g_1", "name": "G", "environmentId": "us_env_1"}]})
    async with Account(guests) as server, server.client() as client:
        ((guest,), _) = await _listed(client, ListKey("guest", "us_sp_1"))
    assert guest.id == "us_g_1"
    assert server.asked[-1].query == {"spaceId": "us_sp_1"}
    assert len(server.asked) == 2


async def test_single_objects_are_found_by_their_id() -> None:
    """Each kind of object is asked for at its own endpoint."""
    async with Account(answer({"data": {"id": "us_x_1", "name": "N"}})) as server:
        async with server.client() as client:
            assert (await client.user("us_x_1")).name == "N"
            assert (await client.guest("us_x_1")).id == "us_x_1"
            assert (await client.agent("us_x_1", "us_env_1")).id == "us_x_1"
            assert (await client.space("us_x_1")).name == "N"
        assert [asked.target for asked in server.asked[1:]] == [
            "/v1/users/us_x_1",
            "/v1/guests/us_x_1",
            "/v1/agents/us_x_1?environmentId=us_env_1",
            "/v1/spaces/us_x_1",
        ]


async def test_single_event_is_read_like_a_row_of_a_page() -> None:
    """One event by its id keeps its bytes, also when it is hostile."""
    body = b'{"data": {"id":"us_evt_1","topic":"a:b","createdAt":"z","payload":"\\ud800"} }'
    async with Account(answer(body)) as server, server.client() as client:
        row = await client.event("us_evt_1")
    assert isinstance(row, Event)
    assert bytes(row.payload) == b'"\\ud800"'


@pytest.mark.parametrize(
    "identifier",
    ["../environments", "a/b", "a?b=c", "a%2fb", "", "a" * 129, "a\n", "ä", "..", "a b", "a#b"],
)
async def test_crafted_id_is_never_sent(identifier: str) -> None:
    """An id that could climb out of its path counts as not found, and no request is made."""
    async with Account() as server, server.client() as client:
        for call in (
            client.user(identifier),
            client.event(identifier),
            client.agent("us_ag_1", identifier),
            _listed(client, ListKey("guest", identifier)),
            _listed(client, ListKey("space", identifier)),
            client.events_page(FIRST_PAGE, identifier),
        ):
            with pytest.raises(FlatfileNotFoundError):
                await call
    assert server.asked == []


async def test_403_and_404_are_told_apart() -> None:
    """What may not be seen and what does not exist are different errors, and not retried."""
    async with Account(answer({"errors": []}, status=403)) as server, server.client() as client:
        with pytest.raises(FlatfileForbiddenError):
            await client.events_page(FIRST_PAGE, "us_env_1")
        server.rest = answer({"errors": []}, status=404)
        with pytest.raises(FlatfileNotFoundError):
            await client.events_page(FIRST_PAGE, "us_env_1")
        server.rest = answer({"errors": []}, status=400)
        with pytest.raises(FlatfileAnswerError):
            await client.events_page(FIRST_PAGE, "us_env_1")
    assert server.attempts[1:] == [
        ("list_events", "forbidden"),
        ("list_events", "not_found"),
        ("list_events", "rejected"),
    ]


async def test_revoked_token_is_renewed_once_for_all_requests() -> None:
    """Twenty requests that meet a revoked token are all answered, with one new token."""
    async with Account(answer({"data": [EVENT]})) as server, server.client() as client:
        await client.authenticate()
        server.revoked.add(FIRST_TOKEN)
        pages = await asyncio.gather(*(client.events_page(FIRST_PAGE) for _ in range(20)))
    assert all(len(page.rows) == 1 for page in pages)
    assert server.tokens == 2


async def test_refused_key_pair_is_said_so_at_once() -> None:
    """A wrong key pair is refused without a retry, in a sentence without the secret."""
    for status in (400, 401, 403):
        refusing = ScriptedServer(lambda _, status=status: answer({"errors": []}, status=status))  # type: ignore[misc]
        async with refusing as server:
            settings = FlatfileSettings(
                api_url=server.url, client_id="client", secret=SecretStr(CLIENT_SECRET)
            )
            async with FlatfileClient(settings, patience=QUICK) as client:
                with pytest.raises(CredentialsRefusedError) as caught:
                    await client.authenticate()
            assert len(server.asked) == 1
        assert caught.value.exit_code == 3
        assert CLIENT_SECRET not in str(caught.value)


async def test_new_token_that_is_refused_too_ends_the_request() -> None:
    """A server that refuses each token it hands out is not asked for ever."""
    async with Account() as server, server.client() as client:
        server.revoked |= {f"hush-token-{n}" for n in range(100)}
        with pytest.raises(CredentialsRefusedError):
            await client.environments()
        assert server.tokens <= 4


async def test_refused_personal_token_is_read_again() -> None:
    """A personal token that is refused is replaced by what its file holds by then."""
    held = ["pat_old"]
    pats = ScriptedServer(
        lambda asked: answer({"data": []}, status=200 if asked.token.endswith("new") else 401)
    )
    async with pats as server:
        client = FlatfileClient(
            FlatfileSettings(api_url=server.url, token=SecretStr("pat_old")),
            credentials=lambda: PersonalToken(SecretStr(held[0])),
            patience=QUICK,
        )
        async with client:
            with pytest.raises(CredentialsRefusedError):
                await client.environments()
            held[0] = "pat_new"
            assert await client.environments() == []


async def test_no_secret_is_in_a_log_line_or_an_error() -> None:
    """Neither token nor secret nor URL is told when requests fail in every way."""
    texts: list[str] = []
    with capture_logs() as lines:
        async with Account() as server, server.client() as client:
            await client.authenticate()
            for act in (
                answer({"errors": [{"message": FIRST_TOKEN}]}, status=400),
                answer(FIRST_TOKEN.encode(), status=503),
                answer(b"", status=302, Location=f"http://x.example.com/{FIRST_TOKEN}"),
                answer(b"<html>", Content_Type="text/html"),
                answer(b"{", announced=9),
            ):
                server.rest = act
                with pytest.raises(Exception, match="GET") as caught:
                    await client.user("us_usr_1")
                texts += [str(caught.value), repr(caught.value.__cause__)]
            server.revoked |= {f"hush-token-{n}" for n in range(100)}
            with pytest.raises(CredentialsRefusedError) as refused:
                await client.environments()
            texts += [str(refused.value), repr(client), repr(client._auth)]
    texts += [repr(line) for line in lines]
    assert len(lines) >= 4
    for text in texts:
        assert "hush" not in text
        assert "127.0.0.1" not in text


async def test_credentials_are_taken_from_a_callable() -> None:
    """A key pair that was rotated in its file is used at the next renewal."""
    pair = [KeyPair("client", SecretStr("old"))]
    async with Account() as server, server.client(credentials=lambda: pair[0]) as client:
        await client.environments()
        pair[0] = KeyPair("client", SecretStr("new"))
        server.revoked.add(FIRST_TOKEN)
        await client.environments()
    sent = [json.loads(asked.body)["secret"] for asked in server.asked if asked.body]
    assert sent == ["old", "new"]
