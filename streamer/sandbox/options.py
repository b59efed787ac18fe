"""How large the sandbox's account is, how fast it lives, and how the server behaves."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any, Final, get_args

from streamer.errors import SettingsError
from streamer.sandbox.faults import KINDS, Faults, RetryAfter
from streamer.sandbox.reading import Bound, Order, Reading, Resolution

if TYPE_CHECKING:
    from collections.abc import Mapping

FIXED: Final = frozenset(
    {
        "host", "port", "seed", "environments", "events", "days", "until", "equal_shares",
        "event_bytes", "users", "guests", "spaces", "agents", "pre_encode", "clock_offset_s",
    }
)  # fmt: skip
"""What the account was built from: it cannot change while the sandbox runs."""


SHARES: Final = frozenset({*KINDS, "late_share", "hostile_share"})
"""Of all requests, or of all live events."""

_AT_MOST: Final = {
    "events": 1_000_000_000,
    "days": 36_500,
    **dict.fromkeys(("environments", "users", "guests", "spaces", "agents"), 1_000_000),
}
"""What the account is built from, where more of it is surely a slip."""

_SIGNED: Final = frozenset({"seed", "clock_offset_s", "date_skew_s"})
_ROUNDING: Final = 1e-9

CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "order": get_args(Order),
    "since_bound": get_args(Bound),
    "since_resolution": get_args(Resolution),
    "retry_after": get_args(RetryAfter),
}
"""The values of options that have only a few."""


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """Everything that can be chosen about a sandbox.

    Attributes:
        host: The address that it listens on.
        port: Where it listens there; 0 takes a free one.
        seed: Two sandboxes with equal options, `until` included, show the same bytes.
        environments: How many there are at first.
        events: The backlog over all environments together.
        days: The time before `until` that the backlog is spread over.
        until: Where the backlog ends; the moment the sandbox is made, if not given.
        rate: Live events per second over all environments together.
        equal_shares: Whether environments have equal shares of events, instead of a few large ones.
        active: How many environments live events go to; 0 means all.
        latency_s: How long every response of the API waits.
        page_cap: The largest page of events, whatever is asked for.
        list_cap: The largest page of every other listing.
        token_lifetime_s: How long an access token is good for.
        event_bytes: The mean size of an event, every one near it; 0 is a mix of 0.3 to 5 KB.
        users: How many the account has.
        guests: How many each environment has.
        spaces: How many each environment has.
        agents: How many each environment has.
        pre_encode: Whether the backlog is encoded before the first request and kept in memory.
        cache_bytes: How much of the encoded backlog is kept otherwise.
        auth_wrapped: Whether the answer of `POST /auth` is wrapped in `data`.
        paginated: Whether listings other than events carry their `pagination` object.
        client_id: The key pair's public half.
        secret: The key pair's other half.
        tokens: Tokens from the dashboard (`pat_…`) that are accepted as they are.
        clock_offset_s: How far the account's clock is ahead of this machine's.
        reading: How the API reads its own documentation.
        faults: Which requests go wrong.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    environments: int = 3
    events: int = 2000
    days: float = 7.0
    until: datetime | None = None
    rate: float = 0.0
    equal_shares: bool = False
    active: int = 0
    latency_s: float = 0.0
    page_cap: int = 1000
    list_cap: int = 100
    token_lifetime_s: float = 86_400.0
    event_bytes: int = 0
    users: int = 24
    guests: int = 12
    spaces: int = 8
    agents: int = 4
    pre_encode: bool = False
    cache_bytes: int = 16 << 20
    auth_wrapped: bool = False
    paginated: bool = True
    client_id: str = "sandbox"
    secret: str = "sandbox"  # noqa: S105 - the documented pair of a double, no secret
    tokens: tuple[str, ...] = ()
    clock_offset_s: float = 0.0
    reading: Reading = field(default_factory=Reading)
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        for group in (self, self.reading, self.faults):
            for option in fields(group):
                _check_range(option.name, getattr(group, option.name))
        shares = {kind: getattr(self.faults, kind) for kind in KINDS}
        if sum(shares.values()) > 1 + _ROUNDING:
            raise SettingsError(
                where=f"sandbox options {', '.join(kind for kind in KINDS if shares[kind])}",
                what="together they are more than all requests",
                next_step="Give shares of which the sum is at most 1.",
            )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SandboxOptions:
        """Read options from what a JSON object gives; what it leaves out has its default.

        Raises:
            SettingsError: An option is not known, or has another type.
        """
        content = dict(content)
        until = content.pop("until", None)
        default = cls(until=None if until is None else datetime.fromisoformat(until))
        return default._with(content, fixed=frozenset())

    def changed(self, changes: Mapping[str, Any]) -> SandboxOptions:
        """Return the options with some of them changed, as a running sandbox can take them.

        Raises:
            SettingsError: An option is not known, has another type, or cannot change any more.
        """
        return self._with(changes, fixed=FIXED)

    def _with(self, changes: Mapping[str, Any], *, fixed: frozenset[str]) -> SandboxOptions:
        # In JSON the three groups are one: their names do not overlap.
        groups: dict[str, Any] = {"": self, "reading": self.reading, "faults": self.faults}
        homes = {
            option.name: group
            for group, options in groups.items()
            for option in fields(options)
            if option.name not in groups
        }
        taken: dict[str, dict[str, Any]] = {group: {} for group in groups}
        for name, value in changes.items():
            if name not in homes or name in fixed:
                raise SettingsError(
                    where=f"sandbox option {name}",
                    what="cannot change while it runs" if name in homes else "is not known",
                    next_step=f"These can: {', '.join(sorted(set(homes) - fixed))}.",
                )
            group = homes[name]
            taken[group][name] = _converted(name, value, getattr(groups[group], name))
        return replace(
            self,
            **taken[""],
            reading=replace(self.reading, **taken["reading"]),
            faults=replace(self.faults, **taken["faults"]),
        )


def _check_range(name: str, value: object) -> None:
    """Hold a number against what it can be.

    Raises:
        SettingsError: It cannot be that.
    """
    if name in _SIGNED or not isinstance(value, int | float):
        return
    if not 0 <= value < inf:  # Also what is no number.
        raise SettingsError(
            where=f"sandbox option {name}",
            what=f"{value} is negative" if value < 0 else f"{value} is no number",
            next_step="Give zero or more.",
        )
    if value > _AT_MOST.get(name, value):
        raise SettingsError(
            where=f"sandbox option {name}",
            what=f"{value} is too many",
            next_step=f"Give {_AT_MOST[name]} or less.",
        )
    if name in SHARES and value > 1:
        raise SettingsError(
            where=f"sandbox option {name}",
            what=f"{value:g} is more than all",
            next_step="It is a share: give a number from 0 to 1.",
        )
    if name in {"page_cap", "list_cap"} and value < 1:
        raise SettingsError(
            where=f"sandbox option {name}",
            what="a page holds at least one row",
            next_step="Give one or more.",
        )


def _converted(name: str, value: Any, present: Any) -> Any:  # noqa: ANN401 - JSON in, option out
    """Return a JSON value as the option's type, which is that of its present value."""
    if name in CHOICES and value not in CHOICES[name]:
        raise SettingsError(
            where=f"sandbox option {name}",
            what=f"{value!r} is not one of its values",
            next_step=f"These are: {', '.join(CHOICES[name])}.",
        )
    if isinstance(present, tuple) and isinstance(value, list | tuple):
        return tuple(value)
    if isinstance(present, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is type(present):
        return value
    raise SettingsError(
        where=f"sandbox option {name}",
        what=f"{value!r} is not {type(present).__name__}",
        next_step="Give it the type that the documentation names.",
    )
