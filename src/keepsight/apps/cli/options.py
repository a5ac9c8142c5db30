"""What `keepsight track` may be told, each option once, with the help text users see."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["MaskFormat", "TrackOptions"]

WHAT = "What to track"
HOW = "How to track"
RESULTS = "Results"
SCRIPT = "Script interface (hyphens or underscores)"


class MaskFormat(str, Enum):
    """How masks are stored."""

    png = "png"
    coco = "coco"
    none = "none"


@dataclass(frozen=True)
class TrackOptions:
    """The options of `keepsight track`, as typed; None where nothing was said."""

    source: Annotated[
        str | None,
        typer.Argument(
            help="Video file, folder or glob of images, camera number or stream URL.", show_default=False
        ),
    ] = None

    box: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X1,Y1,X2,Y2[,NAME]",
            help="An object's box in pixels: left, top, right, bottom. Repeat for more objects.",
            rich_help_panel=WHAT,
        ),
    ] = None
    point: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y[,LABEL[,OBJECT]]",
            help="A click: label 1 on the object, 0 beside it. OBJECT is a number or a name; a click for "
            "a boxed object refines its box. Without OBJECT: object 1.",
            rich_help_panel=WHAT,
        ),
    ] = None
    mask: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A PNG of the frame's size: 0 background, anything else the object. In a palette PNG "
            "every value is an object of its own.",
            rich_help_panel=WHAT,
        ),
    ] = None
    prompts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Prompts for one or many frames: keepsight's JSON list, LabelMe JSON, Pascal VOC XML, "
            "or the script interface's annotation JSON.",
            rich_help_panel=WHAT,
        ),
    ] = None
    detect: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS[,CLASS]",
            help="Find objects of these classes on the first tracked frame and track them; 'all' for every "
            "class the detector knows. Needs keepsight[detect].",
            rich_help_panel=WHAT,
        ),
    ] = None
    detect_every: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Look for more on every N-th tracked frame; what is tracked already stays as it is.",
            show_default=False,
            rich_help_panel=WHAT,
        ),
    ] = None
    detector: Annotated[
        str,
        typer.Option(
            help="A YOLO segmentation network: a .pt or .onnx file, or its name.", rich_help_panel=WHAT
        ),
    ] = "yolo11n-seg.pt"
    detect_confidence: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="Score below which a detection is passed over.", rich_help_panel=WHAT
        ),
    ] = 0.25
    frame: Annotated[
        int,
        typer.Option(min=0, help="The frame that boxes, points and masks refer to.", rich_help_panel=WHAT),
    ] = 0

    model: Annotated[
        str | None,
        typer.Option(
            help="Catalogue name (see `keepsight models`), Hugging Face repository, or a path. "
            "Default: pocket.",
            show_default=False,
            rich_help_panel=HOW,
        ),
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
    reverse: Annotated[
        bool, typer.Option("--reverse", help="Track towards the beginning.", rich_help_panel=HOW)
    ] = False
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=HOW)] = "auto"
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.", rich_help_panel=HOW)] = (
        "auto"
    )
    mask_threshold: Annotated[
        float, typer.Option(help="Mask logit above which a pixel belongs to the object.", rich_help_panel=HOW)
    ] = 0.0

    output_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where results go. Default: keepsight_output; sam2_output with --image_dir.",
            show_default=False,
            rich_help_panel=RESULTS,
        ),
    ] = None
    masks: Annotated[
        MaskFormat | None,
        typer.Option(
            help="DAVIS palette PNGs, one COCO / YouTube-VIS JSON, or none. "
            "Default: png; none with --image_dir.",
            show_default=False,
            rich_help_panel=RESULTS,
        ),
    ] = None
    frames: Annotated[
        bool | None,
        typer.Option(
            "--frames/--no-frames",
            help="Frames with masks, boxes and labels drawn in. Default: no; yes with --image_dir.",
            show_default=False,
            rich_help_panel=RESULTS,
        ),
    ] = None
    video: Annotated[
        bool | None,
        typer.Option(
            "--video/--no-video",
            help="The same as an H.264 video. Default: yes; no with --image_dir.",
            show_default=False,
            rich_help_panel=RESULTS,
        ),
    ] = None
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace results that lie in the output folder.", rich_help_panel=RESULTS
        ),
    ] = False
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=RESULTS)
    ] = False

    image_dir: Annotated[
        str | None, typer.Option(help="The source: a folder of images.", rich_help_panel=SCRIPT)
    ] = None
    json_annotation: Annotated[
        Path | None,
        typer.Option(
            help='Boxes on the first frame: {"annotation": {"object": [{"name", "bndbox": {"xmin", ...}}]}}.',
            rich_help_panel=SCRIPT,
        ),
    ] = None
    local_checkpoint_path: Annotated[
        str | None, typer.Option(help="The model: a checkpoint file.", rich_help_panel=SCRIPT)
    ] = None
    model_config_yaml: Annotated[
        str | None,
        typer.Option(help="The configuration that belongs to a .pt checkpoint.", rich_help_panel=SCRIPT),
    ] = None
    make_video: Annotated[
        bool, typer.Option("--make-video", help="Same as --video.", rich_help_panel=SCRIPT)
    ] = False
    video_fps: Annotated[
        float | None,
        typer.Option(
            help="The video's frames per second. Default: the source's; 10.0 with --image_dir.",
            show_default=False,
            rich_help_panel=SCRIPT,
        ),
    ] = None
    no_save_annotated_frames: Annotated[
        bool,
        typer.Option("--no-save-annotated-frames", help="Same as --no-frames.", rich_help_panel=SCRIPT),
    ] = False
