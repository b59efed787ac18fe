"""Every error that streamer raises on purpose, in one tree.

    StreamerError                      1
    ├── SettingsError                  2   a setting is missing, unknown or contradicts another
    ├── PortInUseError                 2   a port that we were told to listen on is taken
    ├── DataFolderError                2   a broker's data folder is in use or cannot be used
    ├── FlatfileError                      something about the Flatfile API
    │   ├── CredentialsRefusedError    3   key pair or token refused
    │   ├── FlatfileForbiddenError         403 for one resource
    │   ├── FlatfileNotFoundError          404 for one resource
    │   ├── FlatfileAnswerError            an answer that no retry will mend
    │   │   └── AnswerTooLargeError        it is larger than we read; fewer rows may do
    │   └── FlatfileUnavailableError       (retriable) no answer, or one that says: later
    ├── KafkaNotReadyError             4   broker, topics or permissions are not as needed
    │   ├── KafkaUnreachableError      4   (retriable) no broker answered in time
    │   ├── TopicError                 4   a topic is missing, or made differently
    │   └── ShardRefusedError          4   what the log says contradicts what we were told
    ├── ShardLostError                     (retriable) fenced, or no longer assigned
    ├── EnvironmentReturnedError           (retriable) it answers again, and was not read back
    ├── CommitUnknownError                 (retriable) a commit whose outcome is not known
    ├── CommitRefusedError                 (retriable) the broker refused one record for good
    ├── BrokerStartError               1   the local Apache Kafka could not be fetched or started
    └── CheckFailedError               5   the answer of `verify`, `check`, … is no

The number is the exit code where the error ends a command (1 where none is given).
A message reads *where: what. What to do next.* and never carries a secret.
"""

from __future__ import annotations

import copyreg
from typing import Any, ClassVar

from typing_extensions import override


class StreamerError(Exception):
    """Something went wrong that a person can read about and act on.

    Attributes:
        exit_code: What the process exits with if this error ends a command.
        retriable: Whether the same thing may succeed later without anyone acting.
    """

    exit_code: ClassVar[int] = 1
    retriable: ClassVar[bool] = False

    def __init__(self, *, where: str, what: str, next_step: str) -> None:
        self.where = where
        self.what = what
        self.next_step = next_step
        super().__init__(f"{where}: {what}. {next_step}")

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process raise it here: pickle would hand its words over by position."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class SettingsError(StreamerError):
    """A setting is missing, unknown, malformed, or contradicts another one."""

    exit_code = 2


class PortInUseError(StreamerError):
    """A port that we were told to listen on is taken, or not ours to take."""

    exit_code = 2


class DataFolderError(StreamerError):
    """The data folder of a local broker is in use by another one, or cannot be used."""

    exit_code = 2


class FlatfileError(StreamerError):
    """Something about the Flatfile API."""


class CredentialsRefusedError(FlatfileError):
    """Flatfile refused the key pair or the token."""

    exit_code = 3


class FlatfileForbiddenError(FlatfileError):
    """403: these credentials may not see this resource; others may be visible."""


class FlatfileNotFoundError(FlatfileError):
    """404: the resource does not exist, or does not any more."""


class FlatfileAnswerError(FlatfileError):
    """An answer that cannot be used and that a retry would not mend."""


class AnswerTooLargeError(FlatfileAnswerError):
    """An answer that is larger than `MAX_BODY_BYTES`: ask for less at once."""


class FlatfileUnavailableError(FlatfileError):
    """No answer, or one that asks us to come back later; bounded retries are used up."""

    retriable = True


class KafkaNotReadyError(StreamerError):
    """Broker, topics or permissions are not as streamer needs them."""

    exit_code = 4


class KafkaUnreachableError(KafkaNotReadyError):
    """No broker answered in time."""

    retriable = True


class TopicError(KafkaNotReadyError):
    """A topic is missing, or was made with another policy or partition count."""


class ShardRefusedError(KafkaNotReadyError):
    """What a shard's log says contradicts what this worker was told: nothing is written."""


class ShardLostError(StreamerError):
    """Fenced, or no longer assigned.

    Both a new owner and a transaction that outlived its time-out look like this: ask the group
    anew. Still assigned: restore the shard. Otherwise: stop it quietly.
    """

    retriable = True


class EnvironmentReturnedError(StreamerError):
    """An environment answers again whose records were not read back while it did not.

    Restore its shard with all environments, and go on.
    """

    retriable = True


class CommitUnknownError(StreamerError):
    """A commit whose outcome is not known: throw the producer away and restore from the log."""

    retriable = True


class CommitRefusedError(StreamerError):
    """The broker refused a batch (too large, or against its rules): nothing was committed.

    Attributes:
        topic: Where that batch was to go.
        is_certain: Whether it was about what is in the batch. If not, it may pass by itself.
        is_narrowed: Whether the next attempt will be another one.
    """

    retriable = True

    def __init__(self, *, topic: str, reason: str, is_certain: bool) -> None:
        self.topic = topic
        self.is_certain = is_certain
        self.is_narrowed = False
        super().__init__(
            where=f"topic {topic}",
            what=f"the broker refused a batch ({reason})",
            next_step="It is narrowed down to the record that is refused. If this repeats, "
            "raise max.message.bytes of the topic.",
        )


class BrokerStartError(StreamerError):
    """The local Apache Kafka could not be fetched, formatted or started."""


class CheckFailedError(StreamerError):
    """A command whose answer is yes or no answered no."""

    exit_code = 5
