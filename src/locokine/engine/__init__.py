"""The engine: memory layout, time grid, coupling of the laws, steps, events, batches."""
