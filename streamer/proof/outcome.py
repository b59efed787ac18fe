"""What a verification has come to, of some partitions or of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamer.proof.findings import Findings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamer.proof.stretch import Stretch


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was read, and what of it does not hold.

    Attributes:
        records: How many messages of the audit topic were taken.
        findings: What does not hold.
        environments: By id, what was read of each environment that has records.
    """

    records: int
    findings: Findings
    environments: Mapping[str, Stretch]

    @classmethod
    def of_all(cls, parts: Sequence[Outcome]) -> Outcome:
        """Put together what has come of partitions that were verified apart from each other."""
        findings = Findings()
        for each in parts:
            findings.include(each.findings)
        return cls(
            records=sum(each.records for each in parts),
            findings=findings,
            # A key belongs to one partition, so that no environment is there twice.
            environments={name: one for each in parts for name, one in each.environments.items()},
        )
