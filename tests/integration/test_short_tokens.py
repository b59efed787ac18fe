"""Access tokens that live for less than a request may wait for its turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from pydantic import SecretStr

from streamer.config import FlatfileSettings
from streamer.flatfile.budget import RateBudget
from streamer.flatfile.client import FlatfileClient
from streamer.flatfile.listing import PageRequest
from tests.support.scripted_server import DATE, Act, Asked, ScriptedServer, answer

LIFETIME: Final = timedelta(seconds=0.5)
ACCEPTED_FOR_S: Final = 1.5
"""Longer than is said, so that a slow machine is no refusal."""

REQUESTS: Final = 45
RATE: Final = 10.0
"""A second: the last of them waits for 3.5 s."""


class Account(ScriptedServer):
    """Hands out tokens that are good for a moment."""

    def __init__(self) -> None:
        super().__init__(self.answer)
        self.good_until: dict[str, float] = {}

    def answer(self, asked: Asked) -> Act:
        """Answer one request."""
        now = asyncio.get_running_loop().time()
        if asked.path == "/auth":
            token = f"token-{len(self.good_until)}"
            self.good_until[token] = now + ACCEPTED_FOR_S
            expires = parsedate_to_datetime(DATE) + LIFETIME
            return answer({"accessToken": token, "expires": f"{expires}"})
        if now > self.good_until[asked.token]:
            return answer({"errors": []}, status=401)
        return answer({"data": []})


async def test_token_is_taken_when_it_is_a_requests_turn() -> None:
    """Requests that wait for longer than a token lives are sent once each, with a good one."""
    outcomes: Counter[tuple[str, str]] = Counter()
    async with Account() as server:
        settings = FlatfileSettings(
            api_url=server.url, client_id="client", secret=SecretStr("secret")
        )
        async with FlatfileClient(
            settings,
            budget=RateBudget(rate=RATE),
            on_request=lambda operation, outcome, _: outcomes.update([(operation, outcome)]),
        ) as client:
            await asyncio.gather(
                *(client.events_page(PageRequest(None, 1, 1000)) for _ in range(REQUESTS))
            )
    assert outcomes.pop(("authenticate", "ok")) == len(server.good_until) > 1
    assert outcomes == {("list_events", "ok"): REQUESTS}
