"""Tries one mutant: a copy of the tree, the text replaced, the happy path and the guard run in it.

The working tree is never touched. The verdict comes from pytest's own report, so that an assertion
is told apart from a time-out and from an exception.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.etree import ElementTree as ET

from tests.mutants.catalog import HAPPY_PATH

if TYPE_CHECKING:
    from tests.mutants.catalog import Mutant

REPOSITORY: Final = Path(__file__).parents[2]

COPIED: Final = ("streamer", "schemas", "tests", "pyproject.toml", "README.md")

TRIAL_S: Final = 240.0
"""How long happy path and guard may take together."""

ASSERTION: Final = re.compile(r"(?:AssertionError: )?assert ")
"""How the message of a failed assertion begins; a time-out and an exception begin otherwise."""


class OutdatedMutantError(Exception):
    """The text that a mutant replaces is not in its module exactly once."""

    def __init__(self, mutant: Mutant, times: int) -> None:
        super().__init__(
            f"mutant {mutant.name!r}: its text is {times} times in {mutant.module}, not once. "
            "Look where the code went that it breaks, and change its text in the catalog."
        )


class Verdict(NamedTuple):
    """What became of one mutant.

    Attributes:
        caught: Whether the happy path passed, and the guard failed as it should.
        said: The assertion that turned red; else what happened instead.
    """

    mutant: Mutant
    caught: bool
    said: str

    def told(self) -> str:
        """All of it in three lines."""
        mark = "caught  " if self.caught else "SURVIVED"
        return (
            f"{mark} {self.mutant.number:2} {self.mutant.promise}: {self.mutant.name}\n"
            f"            {self.mutant.guard}\n            {self.said[:300]}"
        )


def mutated(mutant: Mutant, source: str) -> str:
    """The text of its module with the mutant in it.

    Raises:
        OutdatedMutantError: There is nothing to replace, or more than one place.
    """
    times = source.count(mutant.old)
    if times != 1:
        raise OutdatedMutantError(mutant, times)
    return source.replace(mutant.old, mutant.new)


async def tried(mutant: Mutant) -> Verdict:
    """Try a mutant.

    Raises:
        OutdatedMutantError: Its module has changed.
    """
    with tempfile.TemporaryDirectory(prefix="streamer-mutant-") as folder:
        tree = Path(folder)
        await asyncio.to_thread(_copy, mutant, tree)
        report = tree / "report.xml"
        await _pytest(tree, HAPPY_PATH, mutant.guard, f"--junitxml={report}")
        return _verdict(mutant, report)


def _copy(mutant: Mutant, tree: Path) -> None:
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            # With what Python has compiled: times are copied too, so that it stays valid.
            shutil.copytree(source, tree / name)
        else:
            shutil.copy2(source, tree / name)
    module = tree / mutant.module
    module.write_text(mutated(mutant, module.read_text()))


async def _pytest(tree: Path, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments),
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(TRIAL_S):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _verdict(mutant: Mutant, report: Path) -> Verdict:
    if not report.exists():
        return Verdict(mutant, caught=False, said="pytest came to no result")
    happy: list[str] = []
    guard: list[str] = []
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest's own report
        is_happy = f"::{case.get('name')}" in HAPPY_PATH
        wrong = [
            f"{fault.tag}: {fault.get('message')}"
            for fault in case
            if fault.tag in {"failure", "error"}
        ]
        (happy if is_happy else guard).extend(wrong or ["passed"])
    if happy != ["passed"]:
        return Verdict(mutant, caught=False, said=f"the happy path: {happy}")
    failed = [one.removeprefix("failure: ") for one in guard if one != "passed"]
    red = next((one for one in failed if ASSERTION.match(one) and re.search(mutant.red, one)), None)
    if red is None:
        return Verdict(mutant, caught=False, said=f"the guard: {failed or 'passed'}")
    return Verdict(mutant, caught=True, said=red.splitlines()[0])
