"""Afterimage: a workbench that shows what multimodal language models do with an image inside."""

__version__ = "0.1.0"
