"""Look at a machine before people sit down at it, and say how to mend it."""

from workshop.doctor.command import doctor

__all__ = ["doctor"]
