"""Afterimage: what happens to an image inside a multimodal model."""
