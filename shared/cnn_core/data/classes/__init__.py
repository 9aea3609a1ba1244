"""A user's own items with a class each: how they lie in a folder or archive, and how they are divided."""
