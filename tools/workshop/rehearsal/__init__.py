"""Try a whole class on this machine before the class comes: `workshop rehearse`."""
