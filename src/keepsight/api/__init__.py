"""The public doors of the library: composes video, weights, memory and session."""

from keepsight.api.models import load_model
from keepsight.api.tracker import VideoTracker
from keepsight.api.tracking import track

__all__ = ["VideoTracker", "load_model", "track"]
