"""The commands, their exit codes and their last words."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from keepsight.apps.cli.evaluate.options import EVAL_HELP, EvalOptions
from keepsight.apps.cli.job import Engine, Summary, TrackJob, default_engine, job_from, plan_from, run_job
from keepsight.apps.cli.options import TrackOptions
from keepsight.apps.cli.prompts import PromptPlan
from keepsight.apps.cli.review.options import REVIEW_HELP, ReviewOptions
from keepsight.terminal import INTERRUPTED, Reporting, add_commands, command_from

__all__ = ["build_app", "run"]

GLOBAL_OPTIONS = ("--help", "--version")


def run(arguments: Sequence[str] | None = None, engine: Callable[[], Engine] = default_engine) -> None:
    """Runs the command line.

    Args:
        arguments: without the program's name; `sys.argv` when omitted. A line that begins with an option
            is a `track`, as in the script interface.
        engine: what loads models and tracks.

    Raises:
        SystemExit: always, with the exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0].startswith("-") and words[0] not in GLOBAL_OPTIONS:
        words.insert(0, "track")
    build_app(engine)(words, prog_name="keepsight")


def build_app(engine: Callable[[], Engine]) -> typer.Typer:
    """The commands, over a given engine."""
    app = typer.Typer(
        name="keepsight",
        help="Say once which object is meant, and get its mask on every other frame of a video.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        # The script interface writes --image_dir where we write --image-dir.
        context_settings={"token_normalize_func": lambda token: token.replace("_", "-")},
    )

    def track(options: TrackOptions) -> None:
        with Reporting(options.debug):
            job = job_from(options)
            _track(job, plan_from(options), engine)

    app.command("track", help=TRACK_HELP)(command_from(TrackOptions, track))
    app.command("models")(_models)

    def evaluate(options: EvalOptions) -> None:
        with Reporting(options.debug):
            _evaluate(options, engine)

    app.command("eval", help=EVAL_HELP)(command_from(EvalOptions, evaluate))

    def review(options: ReviewOptions) -> None:
        with Reporting(options.debug):
            _review(options, engine)

    app.command("review", help=REVIEW_HELP)(command_from(ReviewOptions, review))

    @app.command("demo")
    def demo(
        output_dir: Annotated[Path, typer.Option(help="Where clip and results go.")] = Path("demo_output"),
        model: Annotated[str, typer.Option(help="As for `keepsight track`.")] = "pocket",
        device: Annotated[str, typer.Option(help="As for `keepsight track`.")] = "cpu",
        overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier demo.")] = False,
        debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    ) -> None:
        """Render a clip, track the fish in it on the CPU, and say where the results are."""
        from keepsight.apps.cli.demo import prepare_demo, score_demo

        with Reporting(debug):
            job, plan, truths = prepare_demo(output_dir, model, device, overwrite)
            _track(job, plan, engine)
            Console().print(score_demo(job, truths))

    @app.callback(invoke_without_command=True)
    def entry(
        version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
    ) -> None:
        if version:
            import keepsight

            typer.echo(f"keepsight {keepsight.__version__}")
            raise typer.Exit

    add_commands(app)
    return app


TRACK_HELP = """Track objects through SOURCE and write masks, JSON lines and an overlay video.

Exit codes: 0 done, 1 failed, 2 wrong use, 130 stopped by Ctrl-C with the results so far kept."""


def _track(job: TrackJob, plan: PromptPlan, engine: Callable[[], Engine]) -> None:
    summary = run_job(job, plan, engine, Console(stderr=True))
    _report(job, plan, summary)
    if summary.interrupted:
        raise typer.Exit(INTERRUPTED)


def _report(job: TrackJob, plan: PromptPlan, summary: Summary) -> None:
    say = Console(soft_wrap=True, highlight=False, markup=False).print
    stopped = "Stopped by Ctrl-C, what was done is kept. " if summary.interrupted else ""
    speed = summary.frames / summary.seconds if summary.seconds else 0.0
    say(f"{stopped}Tracked {summary.frames} frames in {summary.seconds:.1f} s ({speed:.1f} frames/s).")
    for number, frames in summary.seen.items():
        say(f"  object {number} ({plan.names.get(number, 'unnamed')}): visible on {frames} frames")
    say("Written:")
    for name, what in WRITTEN.items():
        path = job.output_dir / name
        if path.is_dir():
            say(f"  {path}/  {what} ({sum(1 for _ in path.iterdir())} files)")
        elif path.exists():
            say(f"  {path}  {what}")


def _evaluate(options: EvalOptions, engine: Callable[[], Engine]) -> None:
    from keepsight.apps.cli.evaluate.job import eval_job_from

    job = eval_job_from(options)
    # Only now, as this loads PyTorch: whoever mistyped a path need not wait for it.
    from keepsight.apps.cli.evaluate.report import report_tables, runs_of, write_report
    from keepsight.apps.cli.evaluate.run import run_eval

    outcome = run_eval(job, engine, Console(stderr=True))
    # A file or pipe has no width; there tables must not be cut to that of a terminal.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 240)
    runs = runs_of(outcome.records)
    if runs:
        console.print(*report_tables(runs, job.dataset.layout))
        for path in job.outputs:
            write_report(path, outcome.settings, runs)
    if outcome.interrupted:
        done = f"{len(outcome.records)} of {outcome.planned}"
        console.print(f"Stopped by Ctrl-C with {done} done; the same command goes on.", soft_wrap=True)
        raise typer.Exit(INTERRUPTED)


def _review(options: ReviewOptions, engine: Callable[[], Engine]) -> None:
    from keepsight.apps.cli.review.job import review_from, run_review
    from keepsight.apps.cli.review.report import ranking_table, summary, write_ranking

    job = review_from(options)
    reviewed = run_review(job, engine, Console(stderr=True))
    stretches = reviewed.queue.stretches()
    # A file or pipe has no width; there tables must not be cut to that of a terminal.
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 240)
    if stretches:
        console.print(ranking_table(job, stretches[: options.limit]))
    console.print(summary(reviewed, len(stretches), min(options.limit, len(stretches))), soft_wrap=True)
    if options.json is not None:
        write_ranking(options.json, job, reviewed)
        console.print(f"Written: {options.json}", soft_wrap=True)
    if reviewed.interrupted:
        raise typer.Exit(INTERRUPTED)


WRITTEN = {
    "tracked_detections.jsonl": "boxes, scores and track identities, one line per frame",
    "masks": "masks, one palette PNG per frame",
    "annotations.json": "masks as COCO / YouTube-VIS JSON",
    "annotated_frames": "frames with masks, boxes and labels drawn in",
    "tracking_video.mp4": "the overlay video",
}


def _models() -> None:
    """List the models that `--model` knows by name."""
    from keepsight.weights.catalogue import CATALOGUE

    table = Table("name", "weights", "input", "licence", box=SIMPLE, padding=(0, 1, 0, 0))
    with Reporting(debug=False):
        for name, checkpoint in CATALOGUE.items():
            origin = checkpoint.repository or checkpoint.source
            table.add_row(name, origin, str(checkpoint.config.image_size), checkpoint.licence)
    Console().print(table)
