"""Each permission that a worker lacks is named when it starts, and most of them by `check`."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import QUICK
from tests.integration.test_kafka_acls import grant, listed
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.guarded_broker import PASSWORD, Guarded, guarded_broker
from tests.support.sandbox_process import SandboxProcess
from tests.support.streamer_command import streamer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def guarded(_quick_starts: None) -> Iterator[Guarded]:
    """A broker that lets its user do nothing yet."""
    with guarded_broker(QUICK) as broker:
        yield broker


CHECKED = frozenset({"transactional id", "group", "topics at all", "configuration"})
"""What `check` finds out without leaving a trace; the others show only once there is a record."""


@pytest.mark.parametrize(
    ("what", "resource", "lacking", "named"),
    [
        ("reading", "topic", {"Read"}, r"unauthorized topics \{'\w+\.checkpoints'\}"),
        ("writing", "topic", {"Write"}, r"TopicAuthorizationFailedError: \w+\.checkpoints"),
        ("configuration", "topic", {"DescribeConfigs"}, r"topic \w+\.audit: cannot read its conf"),
        (
            "topics at all",
            "topic",
            {"Read", "Write", "Describe", "DescribeConfigs", "Create"},
            r"topic \w+\.audit: cannot look at it",
        ),
        (
            "transactional id",
            "transactional id",
            {"Write", "Describe"},
            r"TransactionalIdAuthorizationFailed: streamer\.\w+\.audit\.\w+",
        ),
        ("group", "group", {"Read", "Describe"}, r"GroupAuthorizationFailed.*\w+-streamer"),
    ],
)
async def test_permission_that_is_lacking_is_named(
    what: str, resource: str, lacking: set[str], named: str, guarded: Guarded, prefix: str
) -> None:
    """With all listed permissions but these, it is said which thing cannot be used."""
    permissions = [
        one._replace(operations=tuple(op for op in one.operations if op not in lacking))
        if one.resource == resource
        else one
        for one in listed(prefix)
    ]
    await asyncio.to_thread(grant, guarded.plain, permissions)
    async with SandboxProcess(events=100, environments=3) as sandbox:
        environ = environ_of(sandbox, guarded.plain, prefix, KAFKA__REPLICATION_FACTOR="1")
        made = await streamer("topics", "create", settings=environ)
        assert made.code == 0, made.everything
        environ |= {
            "STREAMER_KAFKA__BOOTSTRAP_SERVERS": guarded.sasl,
            "STREAMER_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "STREAMER_KAFKA__SASL_USERNAME": "bob",
            "STREAMER_KAFKA__SASL_PASSWORD": PASSWORD,
        }
        checked = await streamer("check", settings=environ)
        async with DaemonProcess(environ) as daemon:
            async with asyncio.timeout(30):
                # It ends by itself, or says so and goes on trying.
                while daemon.is_running and not re.search(named, daemon.text):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
    assert re.search(named, daemon.text), daemon.text[-3000:]
    assert "permissions that the README lists" in daemon.text or what in {"reading", "writing"}
    if what in CHECKED:
        assert checked.code == 5
        assert re.search(named, checked.out), checked.out
