"""Ctrl-C while something is written that is better finished."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

__all__ = ["held_back"]


@contextmanager
def held_back(sentence: str) -> Iterator[None]:
    """The first Ctrl-C inside is answered with a sentence, the second one raises `KeyboardInterrupt`.

    Args:
        sentence: what is said at the first.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # where signals do not arrive
        return

    def hold(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.default_int_handler)
        Console(stderr=True, soft_wrap=True, markup=False).print(sentence)

    before = signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
