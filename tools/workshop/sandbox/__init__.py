"""Run other people's code where it can see nothing, reach nothing and break nothing."""

from workshop.sandbox.box import Box, Job, Reply
from workshop.sandbox.limits import Limits

__all__ = ["Box", "Job", "Limits", "Reply"]
