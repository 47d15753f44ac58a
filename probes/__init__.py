"""Measurements as pure functions over arrays: no model, no file, no screen."""
