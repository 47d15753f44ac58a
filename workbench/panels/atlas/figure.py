"""The atlas on the screen (Plotly) and on paper (matplotlib), both drawn from the same facets."""

from __future__ import annotations

from workbench.panels.atlas.facets import caveat
from workbench.panels.atlas.paper import paper
from workbench.panels.atlas.screen import screen

__all__ = ["caveat", "paper", "screen"]
