"""Every promise has a test that turns red when the code that keeps it is broken on purpose."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.mutants.catalog import MUTANTS, Mutant
from tests.mutants.trial import REPOSITORY, OutdatedMutantError, mutated, tried

AT_ONCE = 2

QUICK = [mutant for mutant in MUTANTS if mutant.quick]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_fits_the_code(mutant: Mutant) -> None:
    """What a mutant replaces stands in its module once, and what results is Python."""
    source = (REPOSITORY / mutant.module).read_text()
    compile(mutated(mutant, source), mutant.module, "exec")


def test_mutant_whose_text_is_gone_is_said_to_be_outdated() -> None:
    """A mutant that changes nothing does not pass for one that was caught."""
    with pytest.raises(OutdatedMutantError, match="its text is 0 times in"):
        mutated(replace(MUTANTS[0], module="streamer/archiver.py"), "nothing of it")


def test_every_promise_is_broken_by_a_quick_mutant() -> None:
    """The eleven promises have one each that is tried whenever the tests run."""
    assert sorted({mutant.number for mutant in QUICK}) == list(range(1, 12))


@pytest.mark.parametrize("mutant", QUICK, ids=lambda mutant: mutant.name)
def test_architecture_page_names_the_guard_of_each_promise(mutant: Mutant) -> None:
    """Promise and test of every quick mutant stand in one row of the page."""
    page = (REPOSITORY / "streamer" / "README.md").read_text()
    test = mutant.guard.rpartition("::")[2]
    assert f"| {mutant.number} | {mutant.promise} | `{test}` |" in page


@pytest.mark.timeout(400)
async def test_quick_mutants_are_caught_by_their_guards() -> None:
    """Each still passes the happy path, and its guard fails on what it asserts."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def try_one(mutant: Mutant) -> str | None:
        async with turn:
            verdict = await tried(mutant)
        print(verdict.told())  # noqa: T201 - the test's second purpose
        return None if verdict.caught else verdict.told()

    said = await asyncio.gather(*map(try_one, QUICK))
    assert [one for one in said if one is not None] == []
