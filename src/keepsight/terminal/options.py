"""A command's options as a dataclass: each stated once, with its type, default and help."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["command_from"]

Options = TypeVar("Options", bound="DataclassInstance")


def command_from(options: type[Options], action: Callable[[Options], None]) -> Callable[..., None]:
    """A function with one keyword parameter per field of a dataclass, as typer reads commands.

    Args:
        options: a dataclass whose fields carry typer's annotations.
        action: what the command does with an instance of it.
    """

    def command(**values: Any) -> None:
        action(options(**values))

    hints = get_type_hints(options, include_extras=True)
    parameters = [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if option.default is MISSING else option.default,
            annotation=hints[option.name],
        )
        for option in fields(options)
    ]
    vars(command)["__signature__"] = inspect.Signature(parameters)
    command.__annotations__ = hints
    return command
