"""The parts of the text page, one per file."""
