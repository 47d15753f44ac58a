"""Which part of the image the answer rests on: maps by many methods, with how far each can be trusted."""
