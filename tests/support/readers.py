"""The readers that schemas/README.md shows, taken out of it and pointed at another deployment."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE: Final = Path(__file__).parents[2] / "schemas" / "README.md"


def example(heading: str, servers: str, topic: str) -> str:
    """The example whose fence has this after it, reading this topic of these servers."""
    fenced = rf"(?ms)^```{re.escape(heading)}\n(.*?)^```$"
    found = re.search(fenced, PAGE.read_text())
    assert found is not None, heading
    text = found[1]
    assert "localhost:9092" in text
    assert "flatfile.audit" in text
    return text.replace("localhost:9092", servers).replace("flatfile.audit", topic)


async def lines_of(command: Sequence[str], count: int, *, within_s: float = 40.0) -> list[str]:
    """The first lines that a command prints; one that goes on is then ended."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, limit=16 << 20
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(within_s):
            lines = [(await process.stdout.readline()).decode().rstrip("\n") for _ in range(count)]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    return lines
