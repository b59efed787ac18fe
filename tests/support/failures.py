"""Failures that an operator meets, each produced once; what the product says about it is returned.

Nothing is faked: real commands and daemons meet a real broker, a sandbox, files and ports that are
as they should not be.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme
from confluent_kafka.admin import AdminClient

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.guarded_broker import PASSWORD
from tests.support.kafka_parts import make_topic
from tests.support.sandbox_process import SandboxProcess
from tests.support.streamer_command import streamer

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker
    from tests.support.guarded_broker import Guarded


@dataclass(frozen=True, slots=True)
class Place:
    """Where failures are produced.

    Attributes:
        broker: A broker that others use as well.
        guarded: One that asks for passwords and permissions.
        own_broker: Starts one that may be killed.
        prefix: Of the topics.
    """

    broker: LocalBroker
    guarded: Guarded
    own_broker: Callable[..., Awaitable[LocalBroker]]
    prefix: str

    def environ(self, sandbox: SandboxProcess, **more: str) -> dict[str, str]:
        """The variables of a deployment where all is well but for `more`."""
        quick = {"KAFKA__STARTUP_TIMEOUT": "5", "KAFKA__PARTITIONS": "2"}
        return environ_of(sandbox, self.broker.bootstrap_servers, self.prefix, **(quick | more))


Produce = Callable[[Place], Awaitable[str]]


def checked(**variables: str) -> Produce:
    """What `check` says with these variables, in a deployment where else all is well."""

    async def produce(place: Place) -> str:
        async with SandboxProcess(events=0, environments=1) as sandbox:
            return await _check(place.environ(sandbox, **variables))

    return produce


async def _check(environ: dict[str, str]) -> str:
    result = await streamer("check", settings=environ)
    assert result.code in {2, 5}, result.everything
    return result.out


async def _ended(environ: dict[str, str], code: int) -> str:
    """What the last line of a daemon says that ends with this exit code."""
    async with DaemonProcess(environ) as daemon:
        assert await daemon.ended(within_s=40) == code, daemon.text
        (line,) = daemon.events("daemon.ended")
        return str(line["reason"])


async def token_with_a_blank(place: Place) -> str:
    """A token from the dashboard that was copied with what stood around it."""
    async with SandboxProcess(events=0, environments=1) as sandbox:
        environ = place.environ(sandbox, FLATFILE__TOKEN="pat_1 pat_2")  # noqa: S106
        del environ["STREAMER_FLATFILE__CLIENT_ID"], environ["STREAMER_FLATFILE__SECRET"]
        return await _check(environ)


async def secret_without_a_file(place: Place) -> str:
    """The variable names a file that is not mounted."""
    async with SandboxProcess(events=0, environments=1) as sandbox:
        environ = place.environ(sandbox, FLATFILE__SECRET_FILE="/run/nowhere")  # noqa: S106
        del environ["STREAMER_FLATFILE__SECRET"]
        return await _check(environ)


async def port_in_use(place: Place) -> str:
    """Something else listens where health and metrics should be."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        async with SandboxProcess(events=0, environments=1) as sandbox:
            return await _ended(place.environ(sandbox, WEB__PORT=port), 2)


async def intercepted_tls(place: Place) -> str:
    """What answers in the place of Flatfile has a certificate that nobody here trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server, SandboxProcess(events=0, environments=1) as sandbox:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        return await _check(place.environ(sandbox, FLATFILE__API_URL=url))


async def wrong_password(place: Place) -> str:
    """Kafka knows the user by another password."""
    return await _log_in(place, user="ada", password="wrong")  # noqa: S106 - planted


async def missing_permission(place: Place) -> str:
    """Kafka lets the user do nothing."""
    return await _log_in(place, user="bob", password=PASSWORD)


async def _log_in(place: Place, *, user: str, password: str) -> str:
    async with SandboxProcess(events=0, environments=1) as sandbox:
        environ = place.environ(
            sandbox,
            KAFKA__BOOTSTRAP_SERVERS=place.guarded.sasl,
            KAFKA__SECURITY_PROTOCOL="SASL_PLAINTEXT",
            KAFKA__SASL_USERNAME=user,
            KAFKA__SASL_PASSWORD=password,
        )
        return await _check(environ)


async def untrusted_broker(place: Place) -> str:
    """Kafka shows a certificate of an authority that was not named."""
    servers = place.guarded.tls
    return await checked(KAFKA__BOOTSTRAP_SERVERS=servers, KAFKA__SECURITY_PROTOCOL="SSL")(place)


async def compacted_audit_topic(place: Place) -> str:
    """Somebody made the topic with the policy of another one."""
    servers = place.broker.bootstrap_servers
    await make_topic(servers, f"{place.prefix}.audit", 2, cleanup_policy="compact")
    return await checked()(place)


async def unequal_partitions(place: Place) -> str:
    """Partitions were added to one of the topics."""
    servers = place.broker.bootstrap_servers
    await make_topic(servers, f"{place.prefix}.audit", 3)
    await make_topic(servers, f"{place.prefix}.checkpoints", 2, cleanup_policy="compact")
    return await checked()(place)


async def another_account(place: Place) -> str:
    """The topics hold the records of one account, and the credentials open another one."""
    await _published(place)
    async with SandboxProcess(events=0, environments=1, seed=2) as another:
        return await _ended(place.environ(another), 4)


async def audit_topic_made_anew(place: Place) -> str:
    """The audit topic was deleted; the checkpoints were not."""
    await _published(place)
    await _delete(place, "audit")
    async with SandboxProcess(events=0, environments=1) as sandbox:
        return await _ended(place.environ(sandbox), 4)


async def checkpoints_deleted(place: Place) -> str:
    """The checkpoints were deleted; the records were not."""
    await _published(place)
    await _delete(place, "checkpoints")
    async with SandboxProcess(events=0, environments=1) as sandbox:
        return await _ended(place.environ(sandbox), 4)


async def _published(place: Place) -> None:
    """Let a worker publish something, and stop."""
    servers = place.broker.bootstrap_servers
    async with (
        SandboxProcess(events=10, environments=1) as sandbox,
        AuditFollower(servers, f"{place.prefix}.audit") as follower,
        DaemonProcess(place.environ(sandbox), follower=follower) as daemon,
    ):
        await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
        assert await daemon.stop() == 0


async def _delete(place: Place, name: str) -> None:
    """Delete a topic, and wait until the broker does not know it any more."""
    topic = f"{place.prefix}.{name}"
    admin = AdminClient({"bootstrap.servers": place.broker.bootstrap_servers})
    await asyncio.to_thread(admin.delete_topics([topic], operation_timeout=10)[topic].result)
    async with asyncio.timeout(10):
        while topic in (await asyncio.to_thread(admin.list_topics, timeout=10)).topics:
            pass


async def silent_flatfile(place: Place) -> str:
    """Flatfile accepts connections, and answers nothing."""
    async with (
        SandboxProcess(events=10, environments=2) as sandbox,
        DaemonProcess(place.environ(sandbox, WEB__STALL_AFTER="2")) as daemon,
    ):
        await daemon.until_shards(2)
        await sandbox.settings(hang=1.0, faults_on="/v1/events")
        return await _not_ready(daemon)


async def kafka_gone(place: Place) -> str:
    """The broker is away while there is something to write."""
    broker = await place.own_broker()
    async with (
        SandboxProcess(events=10, environments=2, rate=5.0) as sandbox,
        DaemonProcess(
            place.environ(
                sandbox,
                KAFKA__BOOTSTRAP_SERVERS=broker.bootstrap_servers,
                KAFKA__SESSION_TIMEOUT="2",
                KAFKA__TRANSACTION_TIMEOUT="2",
            )
        ) as daemon,
    ):
        await daemon.until_shards(2)
        broker.kill()
        return await _not_ready(daemon)


async def _not_ready(daemon: DaemonProcess) -> str:
    """What `/readyz` says once it answers 503."""
    async with asyncio.timeout(40):
        while (answer := await daemon.get("/readyz"))[0] == 200:  # noqa: ASYNC110 - a page
            await asyncio.sleep(0.1)
    return answer[1]


async def secret_refused_later(place: Place) -> str:
    """The account was given another secret, and the worker was not told."""
    async with (
        SandboxProcess(events=10, environments=1) as sandbox,
        DaemonProcess(place.environ(sandbox)) as daemon,
    ):
        await daemon.until_shards(2)
        await sandbox.settings(secret="another")  # noqa: S106 - planted
        await sandbox.post("revoke", {})
        await daemon.until_logged("flatfile.credentials_refused")
        await daemon.until_logged("archiver.poll_failed")
        return daemon.text


async def forbidden_environment(place: Place) -> str:
    """The credentials open the account, but for one environment."""
    async with SandboxProcess(events=10, environments=2) as sandbox:
        environment = next(iter(await sandbox.environments()))
        await sandbox.post("environments", {"id": environment, "forbidden": True})
        async with DaemonProcess(place.environ(sandbox)) as daemon:
            await daemon.until_logged("archiver.poll_failed")
            return daemon.text


async def unreadable_event(place: Place) -> str:
    """Flatfile sends an event that is none."""
    async with SandboxProcess(events=0, environments=1) as sandbox:
        environment = next(iter(await sandbox.environments()))
        await sandbox.emit(environment, raw='{"id":"us_evt_1","topic":7}')
        async with DaemonProcess(place.environ(sandbox)) as daemon:
            await daemon.until_logged("archiver.event_dead_lettered")
            return daemon.text
