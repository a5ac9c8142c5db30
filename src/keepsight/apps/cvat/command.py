"""`keepsight cvat`: CVAT's jobs and files from the command line."""

import typer

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Adds `keepsight cvat` to a command line."""
    commands = typer.Typer(help="Track the shapes of a CVAT job, or of a file that CVAT exported.")
    app.add_typer(commands, name="cvat")
