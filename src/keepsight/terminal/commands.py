"""The commands that other rooms, and other people's packages, add to `keepsight`.

No app imports another, so the command line does not import `keepsight cvat`: pyproject.toml names it in the
entry point group `keepsight.commands`, as a function that is handed the command line to add itself to.
"""

from collections.abc import Callable
from importlib.metadata import entry_points

import typer

__all__ = ["GROUP", "Registrar", "add_commands"]

GROUP = "keepsight.commands"

Registrar = Callable[[typer.Typer], None]


def add_commands(app: typer.Typer) -> None:
    """Adds every installed command, in the order of their names.

    The functions are imported now, so what they import at their top is paid by every command: heavy imports
    belong inside the commands.
    """
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        add: Registrar = entry.load()
        add(app)
