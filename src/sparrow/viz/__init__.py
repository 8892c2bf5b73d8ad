"""Show one idea a picture; the title is the conclusion, computed from the data."""
