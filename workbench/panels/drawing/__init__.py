"""Drawing: what a model draws from words alone, and how it comes about."""
