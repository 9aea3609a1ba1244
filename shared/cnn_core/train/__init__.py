"""Training: settings, optimisers, the one epoch loop, checkpoints."""
