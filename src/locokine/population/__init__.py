"""Virtual subjects, drawn from the records of the parameters."""

from locokine.population.draw import Population, draw

__all__ = ["Population", "draw"]
