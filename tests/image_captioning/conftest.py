"""Fixtures of these tests; what they are made of is in `tiny_captions`."""

from tiny_captions import few_scenes, photos, run

__all__ = ["few_scenes", "photos", "run"]
