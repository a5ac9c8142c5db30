"""Layers that more than one box of the figure is made of."""
