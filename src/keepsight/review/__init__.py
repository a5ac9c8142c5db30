"""Review: which frames a person should look at, from what the engine itself knows.

observations.py   what is kept of an object and frame
suspicion.py      cues that a mask is wrong
queue.py          the ranking
both_ways.py      tracking back, on request, and where it disagrees
"""

from keepsight.review.both_ways import BackTracker, track_back
from keepsight.review.observations import Observation, Trail
from keepsight.review.queue import LEAST_RISK, ReviewQueue, Stretch
from keepsight.review.suspicion import CUES, Cue

__all__ = [
    "CUES",
    "LEAST_RISK",
    "BackTracker",
    "Cue",
    "Observation",
    "ReviewQueue",
    "Stretch",
    "Trail",
    "track_back",
]
