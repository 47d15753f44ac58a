"""Training the embedded checkpoint, pocket-bagel: seeded, in stages, resumable."""
