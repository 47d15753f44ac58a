"""Corruptions: what each kind of damage does to an image. It asks no model."""
