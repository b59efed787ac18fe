"""What was seen of a server, in sentences for the engineer who runs streamer.

Every line is either what was seen, or says that it cannot be seen from here, and why.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from streamer.commands.terminal import counted
from streamer.flatfile.newest_first import STRETCH_PAGES
from streamer.flatfile.server_profile import CONVINCING_STEPS, Order
from streamer.flatfile.since_reading import Comparison
from streamer.flatfile.survey import ENVIRONMENTS_AT_MOST
from streamer.flatfile.walk import FOLLOW_AFTER_PAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamer.commands.verdicts import Verdicts
    from streamer.config import CaptureSettings
    from streamer.flatfile.since_reading import SinceReading
    from streamer.flatfile.survey import Survey

UNSEEN: Final = "cannot be seen from here"

_READ_AGAIN: Final = {
    Order.OLDEST_FIRST: (1.0, 1.4),
    Order.NEWEST_FIRST: (1.0, 1.5),
    Order.NONE: (2.0, 3.0),
    Order.UNKNOWN: (1.0, 3.0),
}
"""How many times as many requests as a long backlog has pages, at least and at most."""

_CUT: Final = {Comparison.SINCE_CUT, Comparison.BOTH_CUT}
_ROUNDED: Final = {Comparison.SINCE_ROUNDED, Comparison.BOTH_ROUNDED}


def write_order(survey: Survey, verdicts: Verdicts) -> None:
    """In which order events are listed."""
    seen = counted(survey.rows, "event")
    match survey.order:
        case Order.UNKNOWN:
            verdicts.skipped(
                "order",
                f"{UNSEEN}: {seen} on the pages looked at, and {CONVINCING_STEPS + 1} with "
                "different times are needed",
            )
        case Order.NONE:
            verdicts.ok("order", f"none by time: {seen} looked at, earlier and later ones mixed")
        case _:
            verdicts.ok("order", f"{survey.order.value}: {seen} looked at, none out of place")


def write_page_size(survey: Survey, verdicts: Verdicts) -> None:
    """How many events a page has at most."""
    asked = f"{survey.page_size:,}"
    if survey.cap is not None:
        verdicts.ok("page size", f"{survey.cap:,} at most, although {asked} are asked for")
    elif survey.longest >= survey.page_size:
        verdicts.ok("page size", f"{asked} are given where {asked} are asked for")
    else:
        verdicts.skipped(
            "page size",
            f"{UNSEEN}: the longest listing looked at has {counted(survey.longest, 'event')}, "
            "all on one page",
        )


def write_since(survey: Survey, verdicts: Verdicts) -> None:
    """What the server makes of `since`."""
    reading = survey.since
    unit = _unit(reading.comparisons)
    if not reading.left:
        verdicts.warn("since", "the answers fit no reading of it that is known here")
    elif reading.comparisons == {Comparison.IGNORED}:
        verdicts.warn("since", "is ignored: every look has to read the whole listing")
    elif unit is None:
        verdicts.skipped("since", f"{UNSEEN}: the events that there are do not tell readings apart")
    else:
        verdicts.ok("since", f"compared {unit}; {_bound(reading)}")


def _unit(comparisons: set[Comparison]) -> str | None:
    if comparisons == {Comparison.EXACT}:
        return Comparison.EXACT.value
    if comparisons <= _CUT:
        return "to the second, what is behind it cut off"
    if comparisons <= _ROUNDED:
        return "to the second, rounded"
    return "to the second" if comparisons <= _CUT | _ROUNDED else None


def _bound(reading: SinceReading) -> str:
    in_seconds = Comparison.EXACT not in reading.comparisons
    itself = "that second" if in_seconds else "that instant"
    if reading.inclusive is None:
        why = " (no event looked at stands on a whole second)" if in_seconds else ""
        return f"whether it includes {itself} {UNSEEN}{why}"
    return f"{itself} is {'included' if reading.inclusive else 'left out'}"


def write_backlog(
    survey: Survey, settings: CaptureSettings, environments: int, verdicts: Verdicts
) -> None:
    """How much there is to be read before `run` has caught up."""
    backlog = survey.backlog
    if backlog is None:
        verdicts.ok("backlog", "none: STREAMER_CAPTURE__START is now")
        return
    where = (
        "in the account"
        if environments > ENVIRONMENTS_AT_MOST
        else f"in {counted(len(survey.looked_at), 'environment')}"
    )
    if settings.start != "earliest":
        where += f" from {settings.start} on"
    if backlog.unknown_beyond is not None:
        verdicts.warn(
            "backlog", f"at least {backlog.events:,} events {where}; {backlog.unknown_beyond}"
        )
    elif backlog.is_counted:
        verdicts.ok("backlog", f"{counted(backlog.events, 'event')} {where}")
    else:
        verdicts.ok("backlog", f"about {_two_digits(backlog.events):,} events {where}")


def write_rate(
    turned_away: int, requests: int, rate: float, page_s: float, verdicts: Verdicts
) -> None:
    """Whether the server asked for fewer requests.

    Args:
        turned_away: Requests that were answered with 429.
        requests: All of them.
        rate: Requests a second that the budget allows after them.
        page_s: What a page takes.
        verdicts: Where the line goes.
    """
    pace = f"a page takes {_brief(page_s)}"
    if turned_away:
        verdicts.warn(
            "rate limit",
            f"met: {turned_away} of {requests} requests were answered with 429, and the budget "
            f"went down to {rate:.0f} requests a second; {pace}",
        )
    else:
        verdicts.ok("rate limit", f"not met: no request was answered with 429; {pace}")


def consequences(
    survey: Survey, settings: CaptureSettings, environments: int, page_s: float
) -> Iterator[str]:
    """Say what `run` will do with such a server, a sentence or two at a time.

    Args:
        survey: What was seen.
        settings: Those of `run`.
        environments: How many it will read.
        page_s: What a page takes.
    """
    if survey.backlog is None:
        yield "Publish nothing that has happened until it first runs: there is no backlog to read."
    else:
        yield _reading(survey)
        yield _cost(survey, environments, page_s)
    yield (
        "Ask every time from a whole second that lies one to two seconds before what it needs, and "
        "drop what it has published: so nothing depends on how `since` is compared."
    )
    yield (
        f"Then send one request every {settings.idle_interval:g} s for an environment that is "
        f"quiet, and every {settings.interval:g} s for one that has news; every "
        f"{settings.sweep_interval:g} s read the last {_duration(settings.sweep_window)} again, "
        f"for events that became visible late{_deep_sweep(settings)}."
    )


def _deep_sweep(settings: CaptureSettings) -> str:
    window_s = settings.deep_sweep_window
    return f", and once a day the last {_duration(window_s)}" if window_s else ""


def _reading(survey: Survey) -> str:
    size = survey.full_page
    match survey.order:
        case Order.OLDEST_FIRST:
            return (
                "Read each environment from its oldest event on, page by page, and publish as it "
                f"reads: the first records appear at once. After {FOLLOW_AFTER_PAGES} pages "
                "`since` follows what is read, so that page numbers stay small."
            )
        case Order.NEWEST_FIRST:
            short = STRETCH_PAGES * size
            return (
                f"Read an environment of up to {short:,} events ({STRETCH_PAGES} pages) at once, "
                "and publish it from its oldest event on. Of a longer one look for the far end "
                f"first, by asking for single events, then read {STRETCH_PAGES} pages at a time "
                "from there: the oldest records appear first, and a restart goes on where it was."
            )
        case Order.NONE:
            return (
                "Read all of each environment, and again until a pass brings nothing new; publish "
                "what is new as it is met, which is not in the order of time. Only then the "
                "watermark moves: a restart before that reads all of it again."
            )
        case Order.UNKNOWN:
            return (
                "Take in at once what fits on a page. Read a longer listing as if it had no order, "
                "until enough events show one: all of it, and again until a pass brings nothing "
                "new."
            )


def _cost(survey: Survey, environments: int, page_s: float) -> str:
    backlog = survey.backlog
    if backlog is None or backlog.is_counted:
        requests = counted(environments, "request")
        return f"For the backlog send {requests}: all that an environment has is on one page."
    least, most = _READ_AGAIN[survey.order]
    pages = max(environments, math.ceil(backlog.events / survey.full_page))
    low, high = _two_digits(math.ceil(least * pages)), _two_digits(math.ceil(most * pages))
    at_least = "" if backlog.unknown_beyond is None else "at least "
    return (
        f"For the backlog send {at_least}about {low:,} to {high:,} requests: up to "
        f"{_duration(high * page_s)} of waiting for answers, less where environments are read side "
        "by side."
    )


def _brief(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{max(1, round(seconds * 1000))} ms"


def _duration(seconds: float) -> str:
    for unit, unit_s in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{max(1, round(seconds))} s"


def _two_digits(number: int) -> int:
    """Round to two significant digits: more would pretend to be known."""
    return round(number, min(0, 2 - len(str(number))))
