"""`keepsight cvat`: CVAT's jobs and files from the command line."""

import sys

import typer
from rich.console import Console

from keepsight.apps.cvat.job.options import TRACK_HELP, CvatTrackOptions
from keepsight.terminal import INTERRUPTED, Reporting, command_from

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Adds `keepsight cvat` to a command line."""
    commands = typer.Typer(help="Track the shapes of a CVAT job, or of a file that CVAT exported.")
    commands.command("track", help=TRACK_HELP)(command_from(CvatTrackOptions, _track))

    @commands.callback()
    def only() -> None:
        """Without it typer would leave out the word `track`."""

    app.add_typer(commands, name="cvat")


def _track(options: CvatTrackOptions) -> None:
    with Reporting(options.debug):
        # Only now, as this loads PyTorch, and every command of keepsight comes through this module.
        from keepsight.apps.cvat.job.report import sentences, table_of
        from keepsight.apps.cvat.job.run import run

        errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
        try:
            outcome = run(options, Console(stderr=True))
        except KeyboardInterrupt:
            errors.print("Stopped by Ctrl-C. Nothing was written.")
            raise typer.Exit(INTERRUPTED) from None
        # A file or pipe has no width; there tables must not be cut to that of a terminal.
        console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 240)
        console.print(table_of(outcome))
        for sentence in sentences(outcome):
            console.print(sentence, soft_wrap=True)
