"""Learn from text: loss, schedule, loop, and a state that survives a power cut."""
