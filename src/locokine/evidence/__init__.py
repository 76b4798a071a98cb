"""Published experiments as scenarios with what was observed, and how far a simulation is from it."""
