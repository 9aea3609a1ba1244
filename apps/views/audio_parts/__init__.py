"""Parts of the audio page."""
