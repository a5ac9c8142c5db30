"""What the memory policies are for: `sam2`, `samurai` and `sam2long` on clips made to be difficult.

    python -m benchmarks.policies                                   # the table, with pocket
    python -m benchmarks.policies --davis ../shared/data/davis/val  # real clips instead of rendered ones
    python -m benchmarks.policies --objects 8                       # time with many objects
    python -m benchmarks.policies --json runs.json                  # and go on there after an interruption

Objects are given by their masks on the first frame. J&F is DAVIS' (first and last frame left out); presence
AUC is how often a frame with the object has a higher presence than one without. Policies take turns frame by
frame. `sam2long` is scored as it streams and in hindsight, and timed apart on frames where its hypotheses are
all the same and where they differ. Peak memory is measured in a process of its own per policy.
"""

import argparse
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import keepsight as ks
from benchmarks.policy_runs import (
    Footage,
    Outcome,
    davis,
    measured_memory,
    rendered,
    rendered_crowd,
    take_turns,
)
from benchmarks.rendered_clips import FAMILIES, LENGTH
from keepsight.evaluation import MaskSequence, open_dataset
from keepsight.memory import POLICIES

KINDS = [kind for kinds in FAMILIES.values() for kind in kinds]
KNOWN = [policy for policy in ("sam2", "samurai", "sam2long") if policy in POLICIES]
MEMORY_FRAMES = 150  # of the run that measures memory

Figures = dict[str, dict[str, float | None]]


class Results:
    """Outcomes, kept in a file if there is one, so that an interrupted benchmark goes on where it was.

    Args:
        path: a JSON file, or None.
        settings: what the outcomes depend on.

    Raises:
        SystemExit: the file holds outcomes of other settings.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any]) -> None:
        self.path = path
        self.content: dict[str, Any] = {"settings": settings, "clips": [], "memory": {}}
        if path is not None and path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["settings"] != settings:
                raise SystemExit(
                    f"Expected '{path}' to hold results of {settings}, but got those of {kept['settings']}. "
                    f"Name another file, or delete this one."
                )
            self.content = kept

    @property
    def outcomes(self) -> list[Outcome]:
        """Of the clips done so far."""
        return [Outcome(**row) for row in self.content["clips"]]

    @property
    def memory(self) -> dict[str, dict[str, float]]:
        """By policy, as `measured_memory` returns it."""
        known: dict[str, dict[str, float]] = self.content["memory"]
        return known

    def add(self, outcome: Outcome) -> None:
        """Keeps one more clip."""
        self.content["clips"].append(asdict(outcome))
        self.save()

    def save(self) -> None:
        """Writes the file; nothing is lost if that is interrupted."""
        if self.path is not None:
            new = self.path.with_suffix(".new")
            new.write_text(json.dumps(self.content), encoding="utf-8")
            new.replace(self.path)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def quality_table(outcomes: Sequence[Outcome]) -> str:
    """J&F and presence AUC of every account: a row per clip, the mean of every family, the mean of all."""
    accounts = list(outcomes[0].figures)
    policies = list(outcomes[0].seconds)
    header = ["clip", f"J, easy start, {policies[0]}"]
    header += [f"J&F {account}" for account in accounts] + [f"presence AUC {policy}" for policy in policies]

    def row(name: str, figures: Figures) -> list[str]:
        cells = [figures[policies[0]]["easy J"]]
        cells += [figures[a]["J&F"] for a in accounts] + [figures[p]["presence AUC"] for p in policies]
        return [name, *(_number(cell) for cell in cells)]

    rows = []
    for family in dict.fromkeys(outcome.family for outcome in outcomes):
        members = [outcome for outcome in outcomes if outcome.family == family]
        rows += [row(outcome.name, outcome.figures) for outcome in members]
        rows.append(row(f"**{family}**", mean_of(members)))
    rows.append(row("**all clips**", mean_of(outcomes)))
    return table(header, rows)


def mean_of(outcomes: Sequence[Outcome]) -> Figures:
    """The mean of every figure over the clips that have it."""
    first = outcomes[0].figures
    return {
        account: {name: _mean([o.figures[account][name] for o in outcomes]) for name in first[account]}
        for account in first
    }


def cost_table(outcomes: Sequence[Outcome], memory: dict[str, dict[str, float]]) -> str:
    """Time and memory of every policy; times are medians over all timed frames."""
    policies = list(outcomes[0].seconds)
    seconds = {p: statistics.median(s for o in outcomes for s in o.seconds[p]) for p in policies}
    header = [
        "policy",
        "ms a frame",
        f"time / {policies[0]}",
        "state, MiB",
        "peak RSS, MiB",
        "RSS growth, MiB",
    ]
    rows = []
    for policy in policies:
        kept = max(outcome.kept_mib[policy] for outcome in outcomes)
        measured = [f"{memory[policy][k]:.0f}" if policy in memory else "" for k in ("peak", "growth")]
        ratio = seconds[policy] / seconds[policies[0]]
        rows.append([policy, f"{1e3 * seconds[policy]:.1f}", f"{ratio:.2f}", f"{kept:.1f}", *measured])
    return table(header, rows)


def hypothesis_table(outcomes: Sequence[Outcome]) -> str:
    """Time of policies with hypotheses relative to the first policy: where they are the same, where not."""
    plain = next(iter(outcomes[0].seconds))
    rows = []
    for policy in outcomes[0].live:
        entries = [
            (live, ours, theirs)
            for o in outcomes
            for live, ours, theirs in zip(o.live[policy], o.seconds[policy], o.seconds[plain], strict=True)
        ]
        for name, chosen in (
            ("the same", [e for e in entries if e[0] <= 1]),
            ("different", [e for e in entries if e[0] > 1]),
        ):
            ratio = ""
            if chosen:
                ours, theirs = (statistics.median(e[i] for e in chosen) for i in (1, 2))
                ratio = f"{ours / theirs:.2f}"
            rows.append([policy, name, str(len(chosen)), ratio])
    return table(["policy", "hypotheses", "frames", f"time / {plain}"], rows)


def footage(given: argparse.Namespace) -> list[Footage]:
    """The clips asked for."""
    if given.davis:
        sequences = [s for s in open_dataset(given.davis).sequences if isinstance(s, MaskSequence)]
        return davis(sequences, given.frames)
    if given.objects:
        return [rendered_crowd(given.objects, given.frames)]
    return rendered(given.clips, given.seeds, given.frames)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="pocket", help="catalogue name or path")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--policies", nargs="+", default=KNOWN, metavar="POLICY")
    parser.add_argument("--clips", nargs="+", choices=KINDS, default=KINDS, help="kinds of rendered clips")
    parser.add_argument("--seeds", type=int, default=1, help="rendered clips of each kind")
    parser.add_argument("--frames", type=int, default=LENGTH, help="of each clip, at most")
    parser.add_argument("--davis", type=Path, help="a folder of DAVIS, instead of rendered clips")
    parser.add_argument("--objects", type=int, help="one rendered clip with so many objects instead")
    parser.add_argument(
        "--memory-frames", type=int, default=MEMORY_FRAMES, help="0: do not measure peak memory"
    )
    parser.add_argument("--threads", type=int, help="of torch; all cores when omitted")
    parser.add_argument("--json", type=Path, help="keep results here, and go on with what is there")
    return parser


def main(words: Sequence[str] | None = None) -> None:
    """Runs what is missing and prints the tables."""
    given = arguments().parse_args(words)
    if given.threads:
        torch.set_num_threads(given.threads)
    settings = {
        name: str(v) for name, v in sorted(vars(given).items()) if name not in ("json", "seeds", "clips")
    }
    results = Results(given.json, settings)
    network = ks.load_model(given.model, device=given.device)
    done = {outcome.name for outcome in results.outcomes}
    for clip in footage(given):
        if clip.name not in done:
            results.add(take_turns(network, given.policies, clip))
            print(f"{clip.name}: {_said(results.outcomes[-1])}", flush=True)
    for policy in given.policies if given.memory_frames else ():
        if policy not in results.memory:
            results.memory[policy] = measured_memory(given.model, given.device, policy, given.memory_frames)
            results.save()
    outcomes = results.outcomes
    print(f"\n{quality_table(outcomes)}\n\n{cost_table(outcomes, results.memory)}")
    if outcomes[0].live:
        print(f"\n{hypothesis_table(outcomes)}")


def _said(outcome: Outcome) -> str:
    return ", ".join(f"{account} J&F {_number(f['J&F'])}" for account, f in outcome.figures.items())


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return statistics.fmean(numbers) if numbers else None


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
