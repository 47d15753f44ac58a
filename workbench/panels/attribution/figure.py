"""Attributions as figures: `screen` with HTML, `paper` with matplotlib, from the same maps."""

from workbench.panels.attribution.paper import paper

__all__ = ["paper"]
