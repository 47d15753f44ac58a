"""Interventions: what becomes of the answer with something else in place of the drawing."""
