"""Tries mutants and shows which assertion turned red.

    .venv/bin/python -m tests.mutants          all of them, a few minutes
    .venv/bin/python -m tests.mutants futures  those whose name has this word

Ends with 1 if one survived or is outdated.
"""

from __future__ import annotations

import asyncio
import sys

from tests.mutants.catalog import MUTANTS
from tests.mutants.trial import OutdatedMutantError, tried


async def main(words: list[str]) -> int:
    """Try those whose name has one of the words; all, without any."""
    chosen = [one for one in MUTANTS if not words or any(word in one.name for word in words)]
    failed = 0
    for mutant in chosen:
        try:
            verdict = await tried(mutant)
        except OutdatedMutantError as error:
            failed += 1
            print(error)  # noqa: T201 - what the command is for
        else:
            failed += not verdict.caught
            print(verdict.told(), flush=True)  # noqa: T201
    print(f"{len(chosen) - failed} of {len(chosen)} caught")  # noqa: T201
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
