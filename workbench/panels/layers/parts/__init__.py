"""What is measured over a collection, one file for each kind of measure; `part.py` says what they share."""
