"""Perceptual: how near a picture is to another, in numbers and as a map."""
