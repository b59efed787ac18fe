"""How the company of a seed comes to be: its people, environments, spaces and agents.

Made once, and one by one where the control endpoints ask for more.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from streamer.sandbox import names
from streamer.sandbox.account import MARKER, Account, Environment, Space, Workbook
from streamer.sandbox.dice import dice, identifier

if TYPE_CHECKING:
    import random

    from streamer.sandbox.options import SandboxOptions


def build_account(options: SandboxOptions, until: datetime) -> Account:
    """Make the company of this seed, as it is at `until`."""
    chance = dice(options.seed, "account")
    account = Account(id=identifier(chance, "acc"), users=[], keys=[], former=[])
    for _ in range(options.users):
        account.users.append(_user(chance, account.id, until))
    account.keys = [identifier(chance, kind) for kind in ("key", "key", "pat")]
    account.former = [identifier(chance, kind) for kind in ("usr", "g", "ag")]
    for number in range(options.environments):
        environment = build_environment(options, account, number, until)
        account.environments[environment.id] = environment
    return account


def build_environment(
    options: SandboxOptions, account: Account, number: int, until: datetime, name: str | None = None
) -> Environment:
    """Make environment `number` of the account; it is not added to it."""
    chance = dice(options.seed, "environment", number)
    known = number < len(names.ENVIRONMENTS)
    name = name or (names.ENVIRONMENTS[number] if known else f"customer-{number:03}")
    body: dict[str, Any] = {
        "id": identifier(chance, "env"),
        "accountId": account.id,
        "name": name,
        "isProd": "production" in name,
        "guestAuthentication": ["magic_link", "shared_link"] if number % 2 else ["magic_link"],
        "features": {"recordComments": True, "dataRetention": number % 3 == 0},
        "metadata": {"owner": chance.choice(account.users)["email"] if account.users else None},
        "namespaces": ["default"],
    }
    environment = Environment(number, body, spaces=[], guests=[], agents=[])
    for place in range(options.spaces):
        environment.spaces.append(_space(chance, environment, account, place, until))
    for _ in range(options.guests):
        environment.guests.append(_guest(chance, environment, until))
    for place in range(options.agents):
        environment.agents.append(_agent(chance, environment, account, place, until))
    return environment


def add_object(
    options: SandboxOptions,
    account: Account,
    kind: str,
    environment: Environment | None,
    until: datetime,
) -> dict[str, Any]:
    """Make a user, or an agent, guest or space of an environment, and return its body.

    Raises:
        ValueError: There is no such kind, or it needs an environment.
    """
    if kind == "user":
        chance = dice(options.seed, "user", len(account.users))
        account.users.append(_user(chance, account.id, until))
        return account.users[-1]
    if environment is None:
        message = f"{kind} needs an environment"
        raise ValueError(message)
    places = len(environment.agents) + len(environment.guests) + len(environment.spaces)
    chance = dice(options.seed, kind, environment.number, places)
    if kind == "agent":
        place = len(environment.agents)
        environment.agents.append(_agent(chance, environment, account, place, until))
        return environment.agents[-1]
    if kind == "guest":
        environment.guests.append(_guest(chance, environment, until))
        return environment.guests[-1]
    if kind == "space":
        place = len(environment.spaces)
        environment.spaces.append(_space(chance, environment, account, place, until))
        return environment.spaces[-1].body
    message = f"{kind} is no kind of object"
    raise ValueError(message)


def stamp(at: datetime) -> str:
    """Write an instant as Flatfile does: UTC, milliseconds, `Z`."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def _past(chance: random.Random, until: datetime, most_days: float) -> datetime:
    return until - timedelta(days=chance.random() * most_days)


def _person(chance: random.Random, domain: str) -> tuple[str, str]:
    given, family = chance.choice(names.GIVEN_NAMES), chance.choice(names.FAMILY_NAMES)
    handle = f"{given}.{family}".lower().encode("ascii", "ignore").decode().replace("'", "")
    return f"{given} {family}", f"{handle}{chance.randint(1, 99)}@{domain}"


def _user(chance: random.Random, account_id: str, until: datetime) -> dict[str, Any]:
    name, email = _person(chance, "larkspur.example.com")
    created = _past(chance, until, 900)
    user_id = identifier(chance, "usr")
    return {
        "id": user_id,
        "email": email,
        "name": name,
        "accountId": account_id,
        "idp": "frontegg",
        "idpRef": f"{chance.getrandbits(128):032x}",
        "metadata": {"team": chance.choice(("onboarding", "data", "support", "security"))},
        "createdAt": stamp(created),
        "updatedAt": stamp(created + timedelta(days=1)),
        "lastSeenAt": stamp(_past(chance, until, 3)),
        "dashboard": chance.randint(1, 4),
        "actorRoles": [],
    }


def _guest(chance: random.Random, environment: Environment, until: datetime) -> dict[str, Any]:
    name, email = _person(chance, f"{chance.choice(names.PARTNERS)}.example.com")
    created = _past(chance, until, 200)
    spaces = chance.sample(environment.spaces, k=min(len(environment.spaces), chance.randint(1, 3)))
    return {
        "id": identifier(chance, "g"),
        "environmentId": environment.id,
        "email": email,
        "name": name,
        "spaces": [
            {
                "id": space.id,
                "workbooks": [{"id": workbook.id} for workbook in space.workbooks],
                "lastAccessed": stamp(_past(chance, until, 10)),
            }
            for space in spaces
        ],
        "createdAt": stamp(created),
        "updatedAt": stamp(created),
    }


def _agent(
    chance: random.Random, environment: Environment, account: Account, place: int, until: datetime
) -> dict[str, Any]:
    created = _past(chance, until, 300)
    slug = ("record-validator", "file-extractor", "carrier-export", "space-setup")[place % 4]
    return {
        "id": identifier(chance, "ag"),
        "accountId": account.id,
        "environmentId": environment.id,
        "topics": ["records:created", "records:updated", "job:ready"],
        "compiler": "js",
        "slug": slug if place < 4 else f"{slug}-{place}",
        "isSystem": place == 0,
        "namespace": "default",
        "source": "export default (listener) => { listener.on('**', () => {}); };\n" * 20,
        "options": {"retries": 3},
        "createdAt": stamp(created),
        "updatedAt": stamp(created),
    }


def _space(
    chance: random.Random, environment: Environment, account: Account, place: int, until: datetime
) -> Space:
    created = _past(chance, until, 300)
    space_id = identifier(chance, "sp")
    name = names.SPACES[place % len(names.SPACES)]
    owner = chance.choice(account.users) if account.users else {"id": None, "name": None}
    workbooks = tuple(
        Workbook(
            id=identifier(chance, "wb"),
            slug=chance.choice(names.WORKBOOKS).lower().replace(" ", "-"),
            sheets=tuple(
                (identifier(chance, "sh"), slug) for slug in chance.sample(names.SHEETS, k=2)
            ),
        )
        for _ in range(1 + place % 2)
    )
    body = {
        "id": space_id,
        "name": name if place < len(names.SPACES) else f"{name} {place}",
        "environmentId": environment.id,
        "primaryWorkbookId": workbooks[0].id,
        "createdByUserId": owner["id"],
        "createdByUserName": owner["name"],
        "workbooksCount": len(workbooks),
        "filesCount": chance.randint(0, 9),
        "isCollaborative": bool(place % 2),
        "guestAuthentication": environment.body["guestAuthentication"],
        "namespace": "default",
        "labels": chance.sample(("2026", "renewal", "pilot", "urgent"), k=chance.randint(0, 2)),
        "metadata": {"partner": chance.choice(names.PARTNERS)},
        "archivedAt": stamp(_past(chance, until, 30)) if place % 7 == 6 else None,
        "expiredAt": None,
        "lastActivityAt": stamp(_past(chance, until, 2)),
        "createdAt": stamp(created),
        "updatedAt": stamp(created + timedelta(hours=2)),
        "guestLink": f"https://spaces.example.com/s/{space_id}?key={MARKER}_link_"
        f"{chance.getrandbits(64):016x}",
        "accessToken": f"{MARKER}_space_{chance.getrandbits(128):032x}",
    }
    return Space(body, workbooks)
