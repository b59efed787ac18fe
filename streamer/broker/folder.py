"""The data folder of one broker: what lies where, and that only one of us uses it at a time.

Kafka itself lets a second broker on the same folder wait without a word. The lock here is the
system's, held by this process and gone with it, however it ends. The Java process may outlive us
on some systems, so its number is kept beside the lock.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from streamer.errors import DataFolderError

if TYPE_CHECKING:
    from pathlib import Path

_HARMLESS = frozenset({"lost+found", ".DS_Store"})
"""What file systems put into an empty folder by themselves."""


class DataFolder:
    """One folder on disk. Nothing is touched before `acquire`."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self._lock: int | None = None

    @property
    def log_folder(self) -> Path:
        """Where Kafka keeps topics and metadata. It exists only once it is completely formatted."""
        return self.path / "kafka"

    @property
    def new_log_folder(self) -> Path:
        """Where a format works, until it is complete."""
        return self.path / "kafka.new"

    @property
    def properties_path(self) -> Path:
        """The properties of the running broker; on its command line, so it identifies it."""
        return self.path / "server.properties"

    @property
    def output_path(self) -> Path:
        """What the running broker says."""
        return self.path / "broker.log"

    @property
    def temporary_folder(self) -> Path:
        """Where Java unpacks native libraries, which a kill would leave in the system's folder."""
        return self.path / "tmp"

    @property
    def _lock_path(self) -> Path:
        return self.path / "broker.lock"

    @property
    def _pid_path(self) -> Path:
        return self.path / "broker.pid"

    def acquire(self) -> None:
        """Lock the folder, making it if it is missing. Balanced by `release`.

        Raises:
            DataFolderError: Another broker uses it, it holds something else, or it cannot be used.
        """
        try:
            self._acquire()
        except BlockingIOError:
            raise DataFolderError(
                where=f"data folder {self.path}",
                what=f"in use by another broker (process {self._owner()})",
                next_step="Stop that one, or choose another folder with --data.",
            ) from None
        except (FileExistsError, NotADirectoryError):
            raise DataFolderError(
                where=f"data folder {self.path}",
                what="it, or what it is in, is a file",
                next_step="Choose a folder with --data, which need not exist.",
            ) from None
        except OSError as error:
            raise DataFolderError(
                where=f"data folder {self.path}",
                what=f"cannot be used: {error.strerror}",
                next_step="Change its permissions, or choose another folder with --data.",
            ) from error

    def _acquire(self) -> None:
        if "," in str(self.path):
            raise DataFolderError(
                where=f"data folder {self.path}",
                what="has a comma in its name, which Kafka takes for the end of the name",
                next_step="Choose another folder with --data.",
            )
        self.path.mkdir(parents=True, exist_ok=True)
        if not self._lock_path.exists() and {item.name for item in self.path.iterdir()} - _HARMLESS:
            raise DataFolderError(
                where=f"data folder {self.path}",
                what="holds files that are not a broker's",
                next_step="Choose an empty or a new folder with --data.",
            )
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.write(lock, str(os.getpid()).encode())
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def _owner(self) -> str:
        with suppress(OSError):
            return self._lock_path.read_text("ascii", "replace").strip() or "unknown"
        return "unknown"

    def release(self) -> None:
        """Give the folder up. May be called twice."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def prepare_start(self) -> None:
        """Clear what the last start left; its output is kept under another name."""
        shutil.rmtree(self.temporary_folder, ignore_errors=True)
        self.temporary_folder.mkdir()
        with suppress(FileNotFoundError):
            self.output_path.replace(self.output_path.with_suffix(".log.1"))

    def is_formatted(self) -> bool:
        """Whether Kafka's own folder is there, and complete."""
        return self.log_folder.exists()

    def remember_pid(self, pid: int) -> None:
        """Note the number of the Java process that now works on this folder."""
        self._pid_path.write_text(str(pid), "ascii")

    def forget_pid(self) -> None:
        """Note that no Java process works on this folder any more."""
        self._pid_path.unlink(missing_ok=True)

    def remembered_pid(self) -> int | None:
        """The number that was noted last, if none was seen to end since."""
        with suppress(OSError, ValueError):
            return int(self._pid_path.read_text("ascii"))
        return None
