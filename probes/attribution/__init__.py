"""What of an image an answer rests on: maps over patches, and how far a map can be trusted."""
