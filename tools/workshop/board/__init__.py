"""A page for the instructor, live: who has passed what, and who may need help."""
