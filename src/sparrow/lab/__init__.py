"""A learner's session: begin a lab, use what you wrote, hand it in."""

from sparrow.lab.session import Lab, start

__all__ = ["Lab", "start"]
