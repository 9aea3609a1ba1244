"""Data: where it lies, batches in memory, augmentation."""
