"""Checkpoints: the catalogue, key tables, strict loaders and the embedded model."""
