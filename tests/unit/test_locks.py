"""What the image installs is what `pyproject.toml` asks for, in the versions that are tested."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.container_files import REPOSITORY

PROJECT: Final = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LOCKS: Final = REPOSITORY / "tests/locks"
NEXT_STEP: Final = "make it anew with the command in its first lines"


def _locked(name: str) -> dict[str, str]:
    """The versions in a lock, by name."""
    text = (LOCKS / name).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def _needed(requirement: str, found: dict[str, Requirement]) -> dict[str, Requirement]:
    """What a requirement needs, and what that needs, as the packages installed here say."""
    wanted = Requirement(requirement)
    name = canonicalize_name(wanted.name)
    if name not in found and (wanted.marker is None or wanted.marker.evaluate({"extra": ""})):
        found[name] = wanted
        for further in metadata.requires(wanted.name) or ():
            _needed(further, found)
    return found


def test_image_installs_what_is_asked_for_and_no_more() -> None:
    """The lock names the dependencies, what they need in turn, and nothing else."""
    found: dict[str, Requirement] = {}
    for requirement in PROJECT["project"]["dependencies"]:
        _needed(requirement, found)
    assert set(_locked("runtime.txt")) == set(found), NEXT_STEP


@pytest.mark.parametrize(
    ("lock", "requirements"),
    [
        ("runtime.txt", PROJECT["project"]["dependencies"]),
        ("build.txt", PROJECT["build-system"]["requires"]),
    ],
)
def test_locked_version_is_one_that_is_asked_for(lock: str, requirements: list[str]) -> None:
    """No lower bound was raised without the lock."""
    locked = _locked(lock)
    for requirement in map(Requirement, requirements):
        version = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}: {NEXT_STEP}"


def test_image_runs_the_versions_that_are_tested() -> None:
    """Each version is that of the constraints with which the tests are installed."""
    pairs = re.findall(
        r"^([a-z0-9-]+)==(\S+)", (REPOSITORY / "tests/constraints.txt").read_text(), re.MULTILINE
    )
    assert set(_locked("runtime.txt").items()) <= set(pairs), NEXT_STEP


@pytest.mark.parametrize("lock", ["runtime.txt", "build.txt"])
def test_lock_pins_by_hash_and_names_no_host(lock: str) -> None:
    """Each package has a hash, and where it is fetched from is not for the repository to say."""
    text = (LOCKS / lock).read_text()
    entries = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(_locked(lock))
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
