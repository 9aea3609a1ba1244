"""Parts of the detection page."""
