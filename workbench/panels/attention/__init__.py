"""Attention: what the answer attends to, layer by layer and head by head."""
