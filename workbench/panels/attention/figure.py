"""Results drawn: on the screen (`screen.py`), over the picture (`maps.py`) and for paper (`paper.py`)."""

from __future__ import annotations

from workbench.panels.attention.paper import numbers, paper
from workbench.panels.attention.screen import screen

__all__ = ["numbers", "paper", "screen"]
