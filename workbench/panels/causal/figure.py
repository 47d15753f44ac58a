"""Causal tracing as figures: `screen` with Plotly, `paper` with matplotlib, from the same chart."""

from workbench.panels.causal.paper import paper
from workbench.panels.causal.screen import screen

__all__ = ["paper", "screen"]
