"""What `keepsight cvat track` may be told, each option once, with the help text users see."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["TRACK_HELP", "CvatTrackOptions"]

SERVER = "On a CVAT server"
FILES = "In files"
WHAT = "What to track"
HOW = "How to track"
RESULTS = "Results"

TRACK_HELP = "\n\n".join(
    (
        "Track the shapes on one frame of a CVAT job through its other frames.",
        "Tracks go on. Rectangles become tracks, polygons too with --convert-polygons-to-tracks; other "
        "polygons, and masks, become one shape per frame that share a group. A track gets a keyframe on "
        "every frame, an outside one where the object is not found, and an outside one after the target if "
        "nothing follows.",
        "What a hand made is not changed: it shows the tracker what is meant. A later run replaces only what "
        "keepsight wrote, as long as nobody changed it: keyframes that carry its mark (hidden below a "
        "hundredth of a pixel, in XML within an eighth), and shapes of the group whose source is 'auto'. The "
        "start frame's shape stays too, but that it joins the group.",
        "Nothing is written before everything is tracked. Exit codes: 0 done, 1 failed, 2 wrong use, 130 "
        "stopped by Ctrl-C with nothing written.",
    )
)


@dataclass(frozen=True)
class CvatTrackOptions:
    """The options of `keepsight cvat track`, as typed; None where nothing was said."""

    start_frame: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="FRAME",
            help="The frame whose shapes are tracked, as CVAT shows it; with XML as the file counts.",
            rich_help_panel=WHAT,
        ),
    ]
    target_frame: Annotated[
        list[int] | None,
        typer.Option(
            min=0,
            metavar="FRAME",
            help="The last frame; one before the start frame tracks backward, two track both ways. "
            "Default: the end of the job.",
            show_default=False,
            rich_help_panel=WHAT,
        ),
    ] = None
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only shapes of this label. Repeatable.", rich_help_panel=WHAT),
    ] = None
    id: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NUMBER",
            help="Only the object of this number (--dry-run lists them); shape:NUMBER or track:NUMBER where "
            "both exist. Repeatable.",
            rich_help_panel=WHAT,
        ),
    ] = None
    convert_polygons_to_tracks: Annotated[
        bool,
        typer.Option(
            "--convert-polygons-to-tracks",
            help="Polygons that are shapes become tracks, as rectangles do.",
            rich_help_panel=WHAT,
        ),
    ] = False

    job: Annotated[int | None, typer.Option(min=1, help="The job's number.", rich_help_panel=SERVER)] = None
    task: Annotated[
        int | None,
        typer.Option(
            min=1, help="Or its task's; the job is taken that holds the frames.", rich_help_panel=SERVER
        ),
    ] = None
    server_host: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="As for cvat-cli. Default: the saved profile's, else http://localhost.",
            show_default=False,
            rich_help_panel=SERVER,
        ),
    ] = None
    auth: Annotated[
        str | None,
        typer.Option(
            metavar="USER[:PASS]",
            help="As for cvat-cli. Without it the token in CVAT_ACCESS_TOKEN is used, or the saved "
            "profile's; a password may also stand in PASS.",
            show_default=False,
            rich_help_panel=SERVER,
        ),
    ] = None
    org: Annotated[
        str | None,
        typer.Option(metavar="SLUG", help="The organization's short name.", rich_help_panel=SERVER),
    ] = None
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Do not check the server's certificate.", rich_help_panel=SERVER),
    ] = False

    annotations: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="'CVAT for video 1.1' or 'CVAT for images 1.1' XML, or the JSON of "
            "GET /api/jobs/ID/annotations.",
            rich_help_panel=FILES,
        ),
    ] = None
    video: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The video, or the folder of images, that was annotated.",
            rich_help_panel=FILES,
        ),
    ] = None
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where the tracked annotations go, in the same form.", rich_help_panel=FILES
        ),
    ] = None
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the output file.", rich_help_panel=FILES)
    ] = False
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON only: the answer of GET /api/labels?job_id=ID, for names and attributes.",
            rich_help_panel=FILES,
        ),
    ] = None
    video_start: Annotated[
        int,
        typer.Option(
            min=0, help="JSON only: the video's frame that is the job's frame 0.", rich_help_panel=FILES
        ),
    ] = 0
    video_step: Annotated[
        int,
        typer.Option(min=1, help="JSON only: take every step-th frame of the video.", rich_help_panel=FILES),
    ] = 1

    model: Annotated[
        str,
        typer.Option(
            help="Catalogue name (see `keepsight models`), Hugging Face repository, or a path.",
            rich_help_panel=HOW,
        ),
    ] = "pocket"
    policy: Annotated[
        str, typer.Option(help="The memory policy: sam2, samurai or sam2long.", rich_help_panel=HOW)
    ] = "sam2"
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=HOW)] = "auto"
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.", rich_help_panel=HOW)] = (
        "auto"
    )
    polygon_tolerance: Annotated[
        float,
        typer.Option(
            min=0.0,
            metavar="PIXELS",
            help="How far a polygon may stray from the outline found; more gives fewer points.",
            rich_help_panel=HOW,
        ),
    ] = 1.0

    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Say what would be done; track and write nothing.", rich_help_panel=RESULTS
        ),
    ] = False
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=RESULTS)
    ] = False
