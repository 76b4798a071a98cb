"""Published models of interleukin-2 and a tumour, to compare with: equations, values, what is known of their behaviour."""

from locokine.baselines.models import BASELINES, Baseline, Quantity, baseline
from locokine.baselines.solve import Course, Equilibrium, equilibria, integrate, thresholds

__all__ = [
    "BASELINES", "Baseline", "Course", "Equilibrium", "Quantity", "baseline", "equilibria", "integrate", "thresholds",
]
