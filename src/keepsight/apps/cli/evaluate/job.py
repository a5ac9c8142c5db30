"""What an evaluation is to do, every choice made and everything checked that needs no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keepsight.apps.cli.evaluate.options import EvalOptions
from keepsight.errors import OutputError, UsageError
from keepsight.evaluation import PROMPT_KINDS, Dataset, MaskSequence, PromptKind, open_dataset

__all__ = ["EvalJob", "eval_job_from"]

FORMATS = (".csv", ".json")


@dataclass(frozen=True)
class EvalJob:
    """What to do.

    Attributes:
        dataset: with the chosen sequences only.
        prompts: kinds of first prompts, each tried on its own.
        policies: names of memory policies, likewise.
        model: name or path.
        config: path of its configuration, or None.
        device: as on the command line.
        dtype: as on the command line.
        output_dir: folder of the results file.
        outputs: files for the figures, `.csv` or `.json`.
        resume: whether to go on with earlier results.
    """

    dataset: Dataset
    prompts: tuple[PromptKind, ...]
    policies: tuple[str, ...]
    model: str
    config: str | None
    device: str
    dtype: str
    output_dir: Path
    outputs: tuple[Path, ...]
    resume: bool


def eval_job_from(options: EvalOptions) -> EvalJob:
    """Settles what was left open on the command line, and looks through the dataset.

    Raises:
        UsageError: a prompt, sequence, split or file format that does not exist.
        OutputError: a file for the figures that cannot be written.
        SourceError: the dataset or a part of it is missing.
        AnnotationError: the ground truth of a chosen sequence is wrong.
    """
    prompts = _prompts(_listed(options.prompt))
    outputs = tuple(dict.fromkeys(options.output or []))
    for path in outputs:
        _check_output(path)
    dataset = open_dataset(options.dataset, options.split).only(options.sequence or [])
    has_masks = isinstance(dataset.sequences[0], MaskSequence)
    if "mask" in prompts and not has_masks:
        raise UsageError(
            f"--prompt mask: expected box or point, as {dataset.layout} has boxes only. Leave mask out."
        )
    for sequence in dataset.sequences:
        sequence.check()
    return EvalJob(
        dataset=dataset,
        prompts=prompts or (("mask",) if has_masks else ("box",)),
        policies=_listed(options.policy) or ("sam2",),
        model=options.model,
        config=options.config,
        device=options.device,
        dtype=options.dtype,
        output_dir=options.output_dir,
        outputs=outputs,
        resume=options.resume,
    )


def _listed(said: Sequence[str] | None) -> tuple[str, ...]:
    """Each name once, from options that are repeated or hold commas."""
    words = [word.strip() for text in said or [] for word in text.split(",")]
    return tuple(dict.fromkeys(word for word in words if word))


def _prompts(words: Sequence[str]) -> tuple[PromptKind, ...]:
    for word in words:
        if word not in PROMPT_KINDS:
            raise UsageError(f"--prompt: expected {', '.join(PROMPT_KINDS)}, but got {word!r}.")
    return tuple(kind for word in words for kind in PROMPT_KINDS if kind == word)


def _check_output(path: Path) -> None:
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"--output {path}: expected a file name that ends in {' or '.join(FORMATS)}, but got "
            f"'{path.suffix}'. Give one that does."
        )
    if not path.parent.is_dir():
        raise OutputError(f"--output {path}: the folder '{path.parent}' does not exist. Create it first.")
    if path.is_dir():
        raise OutputError(f"--output {path}: a folder stands where the file belongs. Choose another name.")
