"""nbgrader for a learner: `nbgrader list`, `fetch_assignment`, `submit`."""

from pathlib import Path

c = get_config()  # type: ignore[name-defined]  # noqa: F821

c.Exchange.assignment_dir = str(Path.home() / "labs")
c.ExchangeFactory.list = "workshop.exchange.learners.List"
c.ExchangeFactory.fetch_assignment = "workshop.exchange.learners.FetchAssignment"
c.ExchangeFactory.submit = "workshop.exchange.learners.Submit"
c.ExchangeFactory.fetch_feedback = "workshop.exchange.learners.FetchFeedback"
