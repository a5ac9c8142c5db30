"""Errors as a terminal shows them: one sentence and an exit code."""

from types import TracebackType

import typer
from rich.console import Console

from keepsight.errors import KeepsightError, PolicyError, UnknownModelError, UsageError

__all__ = ["FAILED", "INTERRUPTED", "WRONG_USE", "Reporting"]

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130  # 130: what shells report after Ctrl-C


class Reporting:
    """Turns an error into one sentence and an exit code; with `debug` lets it through, traceback and all."""

    def __init__(self, debug: bool) -> None:
        self._debug = debug

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, typer.Exit | SystemExit) or self._debug:
            return
        say = Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print
        if isinstance(error, KeyboardInterrupt):
            say("Stopped by Ctrl-C before anything was tracked.")
            raise SystemExit(INTERRUPTED) from error
        if isinstance(error, KeepsightError):
            say(f"Error: {error}")
        else:
            say(f"Error: not foreseen: {type(error).__name__}: {error} (--debug shows where it happened)")
        wrong_use = isinstance(error, UsageError | UnknownModelError | PolicyError)
        raise SystemExit(WRONG_USE if wrong_use else FAILED) from error
