"""One video's conversation: frames and prompts in, masks out. Network, policy and frames are handed in."""

from keepsight.session.prepared import PreparedFrame
from keepsight.session.session import Session
from keepsight.session.state import SessionState

__all__ = ["PreparedFrame", "Session", "SessionState"]
