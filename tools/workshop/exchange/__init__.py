"""What learners hand in: taken whole, written down for good, found again."""
