"""The parts of the image page, one per file."""
