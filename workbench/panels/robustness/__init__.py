"""Robustness: what damage to an image costs in answers, and what a model's own drawing gives back."""
