"""Drawing token by token: the loop that all families share, and each family's own way in a file."""
