"""The policy on personal data: published as it is, under pseudonyms, or not at all.

A pseudonym is an HMAC under a key that only the operator has: the same person has the same one in
every record, and without the key nobody can tell whose it is. Destroying the key erases: what was
published can then no longer be tied to a person. Ids always stay: they are Flatfile's pseudonyms.
"""

from __future__ import annotations

import hmac
import unicodedata
from base64 import b32encode
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from streamer.audit.members import LONGEST, bounded
from streamer.audit.personal import PersonalRules
from streamer.audit.redaction import Redacted, redact_text, replaced, replaced_text
from streamer.audit.scanner import Scanner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamer.audit.names import Named

PolicyName: TypeAlias = Literal["clear", "pseudonymize", "drop"]

DROPPED: Final = b"[dropped]"
_PSEUDONYM_BYTES: Final = 15


@dataclass(frozen=True, slots=True)
class Privacy:
    """How personal data is published.

    Attributes:
        key: Makes the pseudonyms; needed for `pseudonymize`. With `drop` it keys digests only.
    """

    policy: PolicyName = "clear"
    key: bytes = b""

    @property
    def key_id(self) -> str | None:
        """Which key made the pseudonyms; tells nothing about it."""
        if self.policy != "pseudonymize":
            return None
        return hmac.digest(self.key, b"key id", "sha256")[:4].hex()

    @property
    def is_clear(self) -> bool:
        """Whether everything is published as it is."""
        return self.policy == "clear"

    def pseudonym(self, text: str) -> str:
        """Return what stands for a name or an address, however it is spelled or spaced."""
        if self.policy == "drop":
            return DROPPED.decode()
        plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
        digest = hmac.digest(self.key, b"person\0" + plain.encode("utf-8", "replace"), "sha256")
        return "pn_" + b32encode(digest[:_PSEUDONYM_BYTES]).decode().lower()

    def person(self, named: Named | None) -> Named | None:
        """Return a person as records show them."""
        if named is None or self.is_clear:
            return named
        if self.policy == "drop":
            return replace(named, name=None, email=None)
        return replace(
            named,
            name=self.pseudonym(named.name) if named.name else None,
            email=self.pseudonym(named.email) if named.email else None,
        )

    def plain(self, text: str | None, people: Iterable[str] = ()) -> str | None:
        """Return a text from elsewhere as it may be published.

        It is bounded, and holds no credential and, under a policy, no e-mail address.

        Args:
            text: Such as a name.
            people: Full names that may occur in it.
        """
        if text is None:
            return None
        text = redact_text(text)
        if self.policy != "clear":
            text = replaced_text(text, Scanner(self._rules(people)))
        return text if len(text) <= LONGEST else bounded(text)

    def part(self, text: bytes, path: str, people: Iterable[str] = ()) -> Redacted:
        """Take personal data out of JSON text, which need not be valid.

        Args:
            text: A part of an event, or all of it.
            path: What it is called.
            people: Full names that may occur in it.
        """
        rules = self._rules(people)
        if self.is_clear or not rules.may_hold(text):
            return Redacted(text, ())
        cleaned = replaced(text, Scanner(rules).find(text, path))
        return Redacted(cleaned.text, self.paths(cleaned.paths, people))

    def paths(self, paths: Iterable[str], people: Iterable[str] = ()) -> tuple[str, ...]:
        """Return paths as they may be published: a key may itself be an address."""
        shown = (self.plain(path, people) or "" for path in paths)
        return tuple(dict.fromkeys(path.removeprefix(".") for path in shown))

    def digest(self, published: bytes) -> tuple[str, str] | None:
        """Return name and value of the digest of a dead letter: a plain one could be guessed."""
        if self.is_clear:
            return "sha256", sha256(published).hexdigest()
        if not self.key:
            return None
        return "hmac_sha256", hmac.digest(self.key, published, "sha256").hex()

    def stub_id(self, raw: bytes) -> str:
        """Return the record id of an element that has none, from its bytes as they were sent."""
        if self.is_clear or not self.key:
            return f"sha256:{sha256(raw).hexdigest()}"
        return f"hmac-sha256:{hmac.digest(self.key, raw, 'sha256').hex()}"

    def _rules(self, people: Iterable[str]) -> PersonalRules:
        return PersonalRules(self._mark_of, people)

    def _mark_of(self, sought: bytes) -> bytes:
        if self.policy == "drop" or sought[:1] in (b"{", b"["):
            return DROPPED
        return self.pseudonym(sought.decode("utf-8", "replace")).encode()


CLEAR: Final = Privacy()
