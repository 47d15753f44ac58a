"""BAGEL-7B-MoT and the checkpoints that share its layout (CLEAR, the embedded pocket-bagel)."""
