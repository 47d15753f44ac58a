"""One pass through a model, with what was asked for kept."""
