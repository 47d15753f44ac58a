"""Figures of papers from a file that says how they are made: looks at models, the panels drawn from them."""
