"""`streamer sandbox`: a Flatfile account on loopback, in the foreground.

Standard output carries the lines that `streamer run` needs, once the API answers, so that a script
can read them; everything else goes to standard error.
"""

from __future__ import annotations

import sys
from typing import Annotated, Final

from cyclopts import Group, Parameter, validators

from streamer.commands.stopping import stop_on_signals
from streamer.sandbox.faults import Faults
from streamer.sandbox.options import SandboxOptions
from streamer.sandbox.reading import Reading
from streamer.sandbox.server import LOOPBACK, Sandbox

_READING: Final = Group("What the API's documentation leaves open")
_FAULTS: Final = Group("Shares of requests that go wrong, and how")
_READING_DEFAULT: Final = Reading()
_FAULTS_DEFAULT: Final = Faults()


async def sandbox(  # noqa: PLR0913 - one parameter per option of the command line
    *,
    host: str = LOOPBACK,
    port: Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65535))] = 8088,
    seed: int = 1,
    environments: int = 3,
    events: int = 2000,
    days: float = 7.0,
    rate: float = 2.0,
    equal_shares: bool = False,
    active: int = 0,
    latency: float = 0.0,
    page_cap: int = 1000,
    list_cap: int = 100,
    token_lifetime: float = 86_400.0,
    event_bytes: int = 0,
    users: int = 24,
    guests: int = 12,
    spaces: int = 8,
    agents: int = 4,
    token: tuple[str, ...] = (),
    pre_encode: bool = False,
    reading: Annotated[Reading, Parameter(name="*", group=_READING)] = _READING_DEFAULT,
    faults: Annotated[Faults, Parameter(name="*", group=_FAULTS)] = _FAULTS_DEFAULT,
) -> int:
    """Run a Flatfile account on this machine until Ctrl-C, for a first try and for tests.

    Its company, people and events are invented, and the same for the same seed. The key pair is
    sandbox / sandbox. Everything can be changed while it runs, through POST /_sandbox/settings.

    Args:
        host: Address to listen on; whoever reaches it can do with the account what they like.
        port: Port there; 0 takes a free one.
        seed: Which company and which events.
        environments: How many environments the account has.
        events: Events that happened before the start, over all environments together.
        days: How many days back they go.
        rate: Events that happen per second from now on.
        equal_shares: Give every environment as many events as the others.
        active: How many environments live events go to; 0 means all.
        latency: Seconds that every answer waits.
        page_cap: The largest page of events, whatever is asked for.
        list_cap: The largest page of every other listing.
        token_lifetime: Seconds that an access token is good for.
        event_bytes: Mean size of an event; 0 is a mix of 0.3 to 5 KB.
        users: People of the account.
        guests: Guests of each environment.
        spaces: Spaces of each environment.
        agents: Agents of each environment.
        token: Tokens from the dashboard that are accepted as they are, such as pat_1.
        pre_encode: Encode all events at the start, and keep them in memory.
        reading: How the API reads its own documentation.
        faults: Which share of requests goes wrong.
    """
    return await serve(
        SandboxOptions(
            host=host,
            port=port,
            seed=seed,
            environments=environments,
            events=events,
            days=days,
            rate=rate,
            equal_shares=equal_shares,
            active=active,
            latency_s=latency,
            page_cap=page_cap,
            list_cap=list_cap,
            token_lifetime_s=token_lifetime,
            event_bytes=event_bytes,
            users=users,
            guests=guests,
            spaces=spaces,
            agents=agents,
            tokens=token,
            pre_encode=pre_encode,
            reading=reading,
            faults=faults,
        )
    )


async def serve(options: SandboxOptions) -> int:
    """Run a sandbox with these options until a signal, and return the exit code.

    Raises:
        PortInUseError: The port is taken.
    """
    stop = stop_on_signals()
    server = Sandbox(options)
    try:
        await server.start()
        sys.stdout.write(
            f"export STREAMER_FLATFILE__API_URL={server.url}\n"
            f"export STREAMER_FLATFILE__CLIENT_ID={options.client_id}\n"
            f"export STREAMER_FLATFILE__SECRET={options.secret}\n"
        )
        sys.stdout.flush()
        sys.stderr.write(
            f"A Flatfile account with {options.environments} environments and "
            f"{options.events} events answers on {server.url}. Ctrl-C stops it.\n"
        )
        await stop.wait()
    finally:
        await server.stop()
    return 0
