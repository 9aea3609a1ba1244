"""Parts of the medical page."""
