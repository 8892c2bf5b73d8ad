"""Say how good a model is, and how sure we may be of it."""

from sparrow.evaluate.intervals import Interval, wilson_interval

__all__ = ["Interval", "wilson_interval"]
