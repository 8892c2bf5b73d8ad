"""Grade submissions: run them in the sandbox, judge outside, keep nbgrader's books."""
