"""`keepsight annotate`: the page for one video."""

import typer

from keepsight.apps.annotator.options import AnnotateOptions
from keepsight.terminal import Reporting, command_from

__all__ = ["add_to"]

HELP = """Annotate SOURCE in the browser: point at objects, track them, see where it went wrong, correct.

Everything is saved at once, beside the video. Ctrl-C stops."""


def add_to(app: typer.Typer) -> None:
    """Adds `keepsight annotate` to a command line."""

    def annotate(options: AnnotateOptions) -> None:
        from keepsight.apps.annotator.startup import start

        with Reporting(options.debug):
            start(options)

    app.command("annotate", help=HELP)(command_from(AnnotateOptions, annotate))
