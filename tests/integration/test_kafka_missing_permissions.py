"""Each permission that a worker lacks is named when it starts, and by `check` before that."""

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


TOPICS = r"audit, \w+\.checkpoints, \w+\.dead-letters, \w+\.inventory"


@pytest.mark.parametrize(
    ("resource", "lacking", "named", "checked"),
    [
        pytest.param(
            "topic",
            {"Read"},
            r"unauthorized topics \{'\w+\.checkpoints'\}",
            rf"topics \w+\.{TOPICS}: not allowed: Read\.",
            id="reading",
        ),
        pytest.param(
            "topic",
            {"Write"},
            r"TopicAuthorizationFailedError: \w+\.checkpoints",
            rf"topics \w+\.{TOPICS}: not allowed: Write\.",
            id="writing",
        ),
        pytest.param(
            "topic",
            {"DescribeConfigs"},
            r"topic \w+\.audit: cannot read its conf",
            rf"topics \w+\.{TOPICS}: not allowed: DescribeConfigs\.",
            id="configuration",
        ),
        pytest.param(
            "topic",
            {"Read", "Write", "Describe", "DescribeConfigs", "Create"},
            r"topic \w+\.audit: cannot look at it",
            rf"topics \w+\.{TOPICS}: not allowed: Describe, DescribeConfigs, Read, Write\.",
            id="topics at all",
        ),
        pytest.param(
            "transactional id",
            {"Write", "Describe"},
            r"TransactionalIdAuthorizationFailed: streamer\.\w+\.audit\.\w+",
            r"transactional ids streamer\.\w+\.audit\.\*: not allowed: Describe, Write\.",
            id="transactional id",
        ),
        pytest.param(
            "transactional id",
            {"Write"},
            r"TransactionalIdAuthorizationFailed: streamer\.\w+\.audit\.\w+",
            r"transactional ids streamer\.\w+\.audit\.\*: not allowed: Describe, Write\.",
            id="transactions",
        ),
        pytest.param(
            "group",
            {"Read", "Describe"},
            r"GroupAuthorizationFailed.*\w+-streamer",
            r"group \w+-streamer: not allowed: Describe, Read\.",
            id="group",
        ),
        pytest.param(
            "group",
            {"Read"},
            r"GroupAuthorizationFailed.*\w+-streamer",
            r"group \w+-streamer: not allowed: Read\.",
            id="joining the group",
        ),
    ],
)
async def test_permission_that_is_lacking_is_named(
    resource: str, lacking: set[str], named: str, checked: str, guarded: Guarded, prefix: str
) -> None:
    """With all listed permissions but these, worker and `check` say what cannot be used."""
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
        looked = await streamer("check", settings=environ)
        async with DaemonProcess(environ) as daemon:
            async with asyncio.timeout(30):
                # It ends by itself, or says so and goes on trying.
                while daemon.is_running and not re.search(named, daemon.text):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
    assert re.search(named, daemon.text), daemon.text[-3000:]
    assert looked.code == 5
    assert re.search(checked, looked.out), looked.out
    assert looked.out.count("not allowed") == 1
    assert "permissions that the README lists" in looked.out


async def test_check_names_all_that_is_lacking_before_there_are_topics(
    guarded: Guarded, prefix: str
) -> None:
    """That topics cannot be created is said, and what else is lacking at once; none is made."""
    permissions = [
        one._replace(operations=tuple(op for op in one.operations if op != "Create"))
        for one in listed(prefix)
        if one.resource == "topic"
    ]
    await asyncio.to_thread(grant, guarded.plain, permissions)
    async with SandboxProcess(events=1, environments=1) as sandbox:
        environ = environ_of(
            sandbox,
            guarded.sasl,
            prefix,
            KAFKA__SECURITY_PROTOCOL="SASL_PLAINTEXT",
            KAFKA__SASL_USERNAME="bob",
            KAFKA__SASL_PASSWORD=PASSWORD,
        )
        for _ in range(2):
            looked = await streamer("check", settings=environ)
            assert looked.code == 5
            assert re.search(rf"topics \w+\.{TOPICS}: not allowed: Create\.", looked.out), (
                looked.out
            )
            assert re.search(r"transactional ids .*: not allowed: Describe, Write\.", looked.out)
            assert re.search(r"group \w+-streamer: not allowed: Describe, Read\.", looked.out)
            assert "none yet" in looked.out
