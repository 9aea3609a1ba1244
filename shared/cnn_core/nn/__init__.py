"""Building blocks of the networks, each for 1-D, 2-D and 3-D data."""
