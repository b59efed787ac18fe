"""The permissions that the README lists are enough for a worker, and what is missing is said."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from tests.integration.conftest import QUICK
from tests.support.audit_follower import AuditFollower
from tests.support.container_files import REPOSITORY
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.guarded_broker import PASSWORD, Guarded, guarded_broker
from tests.support.sandbox_process import SandboxProcess
from tests.support.streamer_command import streamer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RESOURCES: Final = {
    "topic": ResourceType.TOPIC,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
    "group": ResourceType.GROUP,
}
OPERATIONS: Final = {
    "Create": AclOperation.CREATE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
}


class Permission(NamedTuple):
    """A row of the README's table."""

    resource: str
    name: str
    pattern: str
    operations: tuple[str, ...]


def listed(prefix: str) -> list[Permission]:
    """Return what the README lists, for topics that begin with this prefix."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    table = text.partition("<!-- permissions -->")[2].partition("<!-- end -->")[0]
    rows = re.findall(
        r"^\| ([a-z ]+) \| `([^`]+)` \| (prefixed|literal) \| ([A-Za-z, ]+) \|", table, re.MULTILINE
    )
    return [
        Permission(
            resource, name.replace("flatfile", prefix), pattern, tuple(operations.split(", "))
        )
        for resource, name, pattern, operations in rows
    ]


def grant(servers: str, permissions: Sequence[Permission]) -> None:
    """Give them to the user of the worker."""
    bindings = [
        AclBinding(
            RESOURCES[each.resource],
            each.name,
            ResourcePatternType[each.pattern.upper()],
            "User:bob",
            "*",
            OPERATIONS[operation],
            AclPermissionType.ALLOW,
        )
        for each in permissions
        for operation in each.operations
    ]
    admin = AdminClient({"bootstrap.servers": servers})
    for done in admin.create_acls(bindings).values():
        done.result(timeout=20)


@pytest.fixture
def guarded(_quick_starts: None) -> Iterator[Guarded]:
    """A broker that lets its user do nothing yet."""
    with guarded_broker(QUICK) as broker:
        yield broker


async def test_listed_permissions_are_enough_and_missing_ones_are_named(
    guarded: Guarded, prefix: str
) -> None:
    """Without any, `run` says what it cannot do; with those listed, the worker publishes."""
    async with SandboxProcess(events=100, environments=3) as sandbox:
        environ = environ_of(
            sandbox,
            guarded.sasl,
            prefix,
            KAFKA__SECURITY_PROTOCOL="SASL_PLAINTEXT",
            KAFKA__SASL_USERNAME="bob",
            KAFKA__SASL_PASSWORD=PASSWORD,
        )
        async with DaemonProcess(environ) as daemon:
            assert await daemon.ended() == 4, daemon.text
        assert "the permissions that the README lists" in daemon.text
        await asyncio.to_thread(grant, guarded.plain, listed(prefix))
        async with DaemonProcess(environ) as daemon:
            assert await daemon.ended() == 4, daemon.text
        assert "its default replication factor may not be read" in daemon.text
        environ["STREAMER_KAFKA__REPLICATION_FACTOR"] = "1"
        async with (
            AuditFollower(guarded.plain, f"{prefix}.audit") as follower,
            DaemonProcess(environ, follower=follower) as daemon,
        ):
            await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
            assert await daemon.stop() == 0
            found = await follower.findings(await sandbox.ledger())
        checked = await streamer("check", settings=environ)
    assert found.flaws == []
    assert "Authorization" not in daemon.text
    assert checked.code == 0, checked.out
