"""What an answer rests on, as pure functions over arrays."""
