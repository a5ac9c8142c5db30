"""What `keepsight review` may be told, each option once, with the help text users see."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from keepsight.apps.cli.options import HOW, RESULTS, WHAT

__all__ = ["REVIEW_HELP", "ReviewOptions"]

# One line per paragraph: the help is wrapped to the terminal's width.
REVIEW_HELP = (
    "Track objects through SOURCE and say which frames to look at: where a mask is most likely wrong, and a "
    "correction is worth most.\n\n"
    "Nothing but the ranking is written. It goes by what the tracker itself knows: its own score and "
    "presence, and jumps of size, shape and motion.\n\n"
    "Exit codes: 0 done, 1 failed, 2 wrong use, 130 stopped by Ctrl-C, with the frames tracked so far ranked."
)


@dataclass(frozen=True)
class ReviewOptions:
    """The options of `keepsight review`, as typed; None where nothing was said."""

    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="Video file, folder or glob of images.", show_default=False),
    ]

    box: Annotated[
        list[str] | None,
        typer.Option(metavar="X1,Y1,X2,Y2[,NAME]", help="As for `keepsight track`.", rich_help_panel=WHAT),
    ] = None
    point: Annotated[
        list[str] | None,
        typer.Option(metavar="X,Y[,LABEL[,OBJECT]]", help="As for `keepsight track`.", rich_help_panel=WHAT),
    ] = None
    mask: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="As for `keepsight track`.", rich_help_panel=WHAT),
    ] = None
    prompts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="As for `keepsight track`. Frames that have a prompt count as right.",
            rich_help_panel=WHAT,
        ),
    ] = None
    frame: Annotated[
        int,
        typer.Option(min=0, help="The frame that boxes, points and masks refer to.", rich_help_panel=WHAT),
    ] = 0

    model: Annotated[str, typer.Option(help="As for `keepsight track`.", rich_help_panel=HOW)] = "pocket"
    config: Annotated[
        str | None,
        typer.Option(help="The configuration that belongs to a .pt checkpoint.", rich_help_panel=HOW),
    ] = None
    policy: Annotated[
        str, typer.Option(help="The memory policy: sam2, samurai or sam2long.", rich_help_panel=HOW)
    ] = "sam2"
    start: Annotated[
        int | None,
        typer.Option(
            min=0, help="First frame to track. Default: the first prompted frame.", rich_help_panel=HOW
        ),
    ] = None
    stop: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Frame to stop before, as in Python's range. Default: the end.",
            rich_help_panel=HOW,
        ),
    ] = None
    both_ways: Annotated[
        bool,
        typer.Option(
            "--both-ways",
            help="Also track back from the last frame, and suspect what the two ways do not share. Takes "
            "twice as long.",
            rich_help_panel=HOW,
        ),
    ] = False
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=HOW)] = "auto"
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.", rich_help_panel=HOW)] = (
        "auto"
    )

    limit: Annotated[
        int, typer.Option(min=1, help="Stretches of frames to list at most.", rich_help_panel=RESULTS)
    ] = 20
    json: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write all stretches, and the risk of every frame, to this file.",
            rich_help_panel=RESULTS,
        ),
    ] = None
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=RESULTS)
    ] = False
