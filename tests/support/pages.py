"""Reads a page as the client does, but in one step: without a thread for one that is hostile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamer.flatfile.pages import parse_clean_page, parse_hostile_page

if TYPE_CHECKING:
    from datetime import datetime

    from streamer.flatfile.pages import Page


def parse_page(body: bytes, server_at: datetime | None) -> Page:
    """Read a page, whatever its elements hold.

    Raises:
        FlatfileAnswerError: The body as a whole is not `{"data": […]}`, or is cut off.
    """
    return parse_clean_page(body, server_at) or parse_hostile_page(body, server_at)
