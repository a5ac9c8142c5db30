"""What `keepsight eval` may be told, each option once, with the help text users see."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["EVAL_HELP", "EvalOptions"]

# One line per paragraph: the help is wrapped to the terminal's width.
EVAL_HELP = (
    "Measure how well models and policies track on a benchmark's videos.\n\n"
    "DATASET is a folder in the layout of DAVIS (JPEGImages, Annotations), LaSOT, GOT-10k or OTB. What is "
    "told of every object on its first frame comes from the ground truth.\n\n"
    "Exit codes: 0 done, 1 failed, 2 wrong use, 130 stopped by Ctrl-C. Whatever ends a run, the sequences "
    "finished so far are kept, and the same command goes on from there."
)

WHAT = "What to measure"
HOW = "How to track"
RESULTS = "Results"


@dataclass(frozen=True)
class EvalOptions:
    """The options of `keepsight eval`, as typed; None where nothing was said."""

    dataset: Annotated[Path, typer.Argument(help="The benchmark's folder.", show_default=False)]

    prompt: Annotated[
        list[str] | None,
        typer.Option(
            metavar="mask|box|point",
            help="What is told of each object on its first frame; repeat, or separate by commas, for "
            "several. Default: mask, or box where the dataset has boxes only.",
            show_default=False,
            rich_help_panel=WHAT,
        ),
    ] = None
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="Memory policies to compare; repeat, or separate by commas. Default: sam2.",
            show_default=False,
            rich_help_panel=WHAT,
        ),
    ] = None
    sequence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Measure on this sequence only; repeat for more.",
            rich_help_panel=WHAT,
        ),
    ] = None
    split: Annotated[
        str | None,
        typer.Option(
            help="A list of DAVIS' ImageSets, such as train. Default: val where it exists, else everything.",
            show_default=False,
            rich_help_panel=WHAT,
        ),
    ] = None

    model: Annotated[str, typer.Option(help="As for `keepsight track`.", rich_help_panel=HOW)] = "pocket"
    config: Annotated[
        str | None,
        typer.Option(help="The configuration that belongs to a .pt checkpoint.", rich_help_panel=HOW),
    ] = None
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=HOW)] = "auto"
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.", rich_help_panel=HOW)] = (
        "auto"
    )

    output_dir: Annotated[
        Path,
        typer.Option(
            help="Where results.jsonl lies, one line per finished sequence, prompt and policy.",
            rich_help_panel=RESULTS,
        ),
    ] = Path("keepsight_eval")
    output: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.csv|FILE.json",
            help="Also write all figures to this file; give it twice to have both.",
            rich_help_panel=RESULTS,
        ),
    ] = None
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            help="Go on with the results in the output folder, or throw them away and start anew.",
            rich_help_panel=RESULTS,
        ),
    ] = True
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=RESULTS)
    ] = False
