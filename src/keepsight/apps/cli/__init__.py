"""The `keepsight` command."""

import os
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and leaves the process with its exit code.

    Args:
        arguments: the command line without the program's name; `sys.argv` when omitted.

    Raises:
        SystemExit: always; 0 done, 1 failed, 2 wrong use, 130 interrupted with the results so far kept.
    """
    # PyTorch's own switch, read once: without it every large activation is made of thousands of small
    # pages, which on some machines costs SAM 2's image encoder more than its arithmetic.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    from keepsight.apps.cli.allocator import keep_freed_memory
    from keepsight.apps.cli.command import run

    keep_freed_memory()
    run(arguments)
