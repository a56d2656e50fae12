"""Learning: activations of the frozen part, the loop, and the run from data to a trained classifier."""
