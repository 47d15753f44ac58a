"""Interventions as figures: `screen` with Plotly, `paper` with matplotlib, from the same chart."""

from workbench.panels.interventions.paper import DRAWN, paper
from workbench.panels.interventions.screen import screen

__all__ = ["DRAWN", "paper", "screen"]
