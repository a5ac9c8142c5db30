"""The doors: ways in for people and other programs. None imports another."""
