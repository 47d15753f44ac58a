"""Results: what a study found, where it is kept, how it was made, and how it leaves as figures and tables."""
