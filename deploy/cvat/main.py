"""Where Nuclio looks for the function; all of it is in the package."""

from keepsight.apps.cvat.nuclio import handler, init_context

__all__ = ["handler", "init_context"]
