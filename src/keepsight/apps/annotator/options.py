"""What `keepsight annotate` may be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AnnotateOptions"]

SERVER = "Server"


@dataclass(frozen=True)
class AnnotateOptions:
    """The options of `keepsight annotate`, as typed."""

    source: Annotated[
        str | None,
        typer.Argument(
            help="Video file or folder of images; may be left out when --project names an existing project.",
            show_default=False,
        ),
    ] = None
    project: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where everything is saved; SOURCE with .keepsight added to its name when left out.",
            show_default=False,
        ),
    ] = None
    model: Annotated[str, typer.Option(help="As for `keepsight track`.")] = "pocket"
    policy: Annotated[str, typer.Option(help="Memory policy of runs: sam2, samurai or sam2long.")] = "sam2"
    device: Annotated[str, typer.Option(help="As for `keepsight track`.")] = "auto"
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen at. Any but this machine's own needs a token.", rich_help_panel=SERVER
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0 for any that is free.", rich_help_panel=SERVER)
    ] = 8265
    token: Annotated[
        str | None,
        typer.Option(
            help="What pages must know to be let in; made up when left out and needed.",
            show_default=False,
            rich_help_panel=SERVER,
        ),
    ] = None
    allow: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Open nothing outside this folder; may be repeated. SOURCE's own folder when left out.",
            show_default=False,
            rich_help_panel=SERVER,
        ),
    ] = None
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open the page.", rich_help_panel=SERVER)
    ] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False
