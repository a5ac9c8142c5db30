"""Evaluation: benchmarks in, figures out; nothing here tracks.

dataset.py       which benchmark a folder holds, and its sequences
davis.py         frames and label images
box_folders.py   frames and lists of boxes (LaSOT, GOT-10k, OTB)
sequence.py      one video and its truth, read when asked for
first_prompt.py  the prompt that the truth gives
region.py        J
contour.py       F
statistics.py    mean, recall, decay
box_metrics.py   success, precision, normalised precision
confidence.py    whether score and presence can be believed
score.py         from what was tracked to figures
"""

from keepsight.evaluation.confidence import Confidence
from keepsight.evaluation.contour import boundary, contour_accuracy
from keepsight.evaluation.dataset import Dataset, open_dataset
from keepsight.evaluation.first_prompt import PROMPT_KINDS, PromptKind, prompt_from_box, prompt_from_mask
from keepsight.evaluation.overlap import without_overlap
from keepsight.evaluation.packed_mask import PackedMask
from keepsight.evaluation.region import region_iou
from keepsight.evaluation.score import BoxScore, Found, MaskScore, mean_figures, score_boxes, score_masks
from keepsight.evaluation.sequence import BoxSequence, MaskSequence
from keepsight.evaluation.statistics import Statistics, statistics_of

__all__ = [
    "PROMPT_KINDS",
    "BoxScore",
    "BoxSequence",
    "Confidence",
    "Dataset",
    "Found",
    "MaskScore",
    "MaskSequence",
    "PackedMask",
    "PromptKind",
    "Statistics",
    "boundary",
    "contour_accuracy",
    "mean_figures",
    "open_dataset",
    "prompt_from_box",
    "prompt_from_mask",
    "region_iou",
    "score_boxes",
    "score_masks",
    "statistics_of",
    "without_overlap",
]
