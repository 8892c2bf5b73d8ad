"""Run other people's code where it can see nothing, reach nothing and break nothing."""

from workshop.sandbox.box import Box, Job
from workshop.sandbox.limits import Limits
from workshop.sandbox.replies import Reply

__all__ = ["Box", "Job", "Limits", "Reply"]
