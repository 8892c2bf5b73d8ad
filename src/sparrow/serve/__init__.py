"""Serve many people with one model: a paged cache and a batch that never stops."""

from sparrow.serve.engine import Engine, EngineSettings, EngineStats, Output
from sparrow.serve.sampling import Sampling

__all__ = ["Engine", "EngineSettings", "EngineStats", "Output", "Sampling"]
