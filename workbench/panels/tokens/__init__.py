"""Tokens: what a model's tokeniser keeps of an image."""
