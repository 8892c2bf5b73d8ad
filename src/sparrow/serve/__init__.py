"""Serve many people with one model: a paged cache and a batch that never stops."""

from sparrow.serve.engine import Engine, EngineStats, Output
from sparrow.serve.sampling import Sampling
from sparrow.serve.settings import EngineSettings

__all__ = ["Engine", "EngineSettings", "EngineStats", "Output", "Sampling"]
