"""The decider: what follows from an input, as a pure function of the saga."""
