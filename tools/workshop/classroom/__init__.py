"""A classroom on one machine: its settings, its people, their accounts and cards."""
