"""The curves on the screen (Plotly) and on paper (matplotlib), both drawn from the same `Chart`."""

from __future__ import annotations

from workbench.panels.layers.paper import MOST_PANELS, paper
from workbench.panels.layers.screen import screen

__all__ = ["MOST_PANELS", "paper", "screen"]
