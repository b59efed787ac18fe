"""What the settings' parser found, in our words: what a person has to write instead.

The parser's own sentences speak of inputs and tuples, and change with its versions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_WHOLE: Final = "must be a whole number"
_NUMBER: Final = "must be a number"
_TEXT: Final = "must be text"
_LIST: Final = "must be a list: comma-separated, or JSON"
_YES_OR_NO: Final = "must be true or false"

_WORDS: Final = {
    "int_parsing": _WHOLE,
    "int_parsing_size": "must be a whole number that is not so large",
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "finite_number": "must be a number, and a finite one",
    "bool_parsing": _YES_OR_NO,
    "bool_type": _YES_OR_NO,
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be {le:.12g} or less",
    "literal_error": "must be {expected}",
    "string_type": _TEXT,
    "secret_type": _TEXT,
    "tuple_type": _LIST,
    "path_type": "must be the path of a file",
    "extra_forbidden": "there is no such setting",
    "model_type": "a section holds settings by name",
}
"""By the parser's kind of problem."""

UNEXPLAINED: Final = "holds something that it cannot hold"
"""For kinds that are not listed; a test sees to it that no setting of ours has one."""


def in_words(problem: ErrorDetails) -> str:
    """Say what is wrong with a setting; never quotes its value."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "value_error":
        return str(context.get("error", UNEXPLAINED))  # Ours, from `streamer.config_checks`.
    return _WORDS.get(kind, UNEXPLAINED).format(**context)
