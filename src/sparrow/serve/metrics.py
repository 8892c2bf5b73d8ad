"""Tell Prometheus how the server is: counts, lengths of queues, and waiting times."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from sparrow.serve.engine import EngineStats

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds; a step on a slow processor takes as long as a whole answer on a card.
BETWEEN_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
WHOLE_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300)
# Fields of EngineStats, as people who watch servers read them.
NOW = {
    "waiting": "Requests that wait for their first step.",
    "running": "Requests that are read or written now.",
    "blocks_total": "Blocks of the cache.",
    "blocks_used": "Blocks that some request reads.",
    "blocks_cached": "Blocks whose content is known.",
}
SO_FAR = {
    "prompt_tokens": "Tokens of all prompts.",
    "cached_tokens": "Those of them that were in the cache.",
    "generated_tokens": "Tokens written.",
    "preemptions": "Requests that had to give their blocks back.",
    "proposed": "Tokens that speculation proposed.",
    "accepted": "Those of them that were right.",
    "steps": "Steps of the engine.",
}


class _Engine(Collector):
    """The engine's own figures, read when somebody asks."""

    def __init__(self, stats: Callable[[], EngineStats]) -> None:
        self._stats = stats

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """One family a figure."""
        stats = self._stats()
        for name, about in NOW.items():
            yield GaugeMetricFamily(f"sparrow_{name}", about, getattr(stats, name))
        for name, about in SO_FAR.items():
            yield CounterMetricFamily(f"sparrow_{name}", about, getattr(stats, name))


class Metrics:
    """Counters of one server; two servers in a process do not share them.

    Args:
        stats: where the engine stands now.
    """

    def __init__(self, stats: Callable[[], EngineStats]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Engine(stats))
        self.requests = Counter(
            "sparrow_requests",
            "Answered requests, by path and status.",
            ("path", "status"),
            registry=self._registry,
        )
        self.first_token_s = self._histogram(
            "sparrow_first_token_seconds", "From request to first token.", WHOLE_S
        )
        self.between_tokens_s = self._histogram(
            "sparrow_between_tokens_seconds", "From one token to the next.", BETWEEN_S
        )
        self.request_s = self._histogram(
            "sparrow_request_seconds", "From request to last token.", WHOLE_S
        )

    def _histogram(
        self, name: str, about: str, buckets: tuple[float, ...]
    ) -> Histogram:
        return Histogram(name, about, buckets=buckets, registry=self._registry)

    def page(self) -> bytes:
        """What /metrics answers."""
        return generate_latest(self._registry)
