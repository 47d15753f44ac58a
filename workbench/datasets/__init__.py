"""Collections of images with labels or masks, streamed in batches."""
