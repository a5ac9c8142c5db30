"""Lets `python -m keepsight.apps.cli` stand for the `keepsight` command."""

from keepsight.apps.cli import main

main()
