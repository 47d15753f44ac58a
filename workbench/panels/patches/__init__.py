"""Patches: what a model has at one patch of the image, at every stage."""
