"""For `cvat-cli function ... --function-file func.py`: keepsight's tracker for agents of CVAT."""

from keepsight.apps.cvat.agent import create

__all__ = ["create"]
