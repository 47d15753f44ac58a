"""Sacrifice: whether a model answers better while less of the image can be read from its layers."""
