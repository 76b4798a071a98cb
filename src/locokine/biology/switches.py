"""Mechanisms that can be switched off: each sets one law to its neutral value and touches nothing else."""

from __future__ import annotations

SWITCHES: dict[str, str] = {
    "leak_direct": "direct arm of the endothelial leak",
    "leak_thrombotic": "thrombotic arm (adhesion, plugging)",
    "leak_lymphocyte": "lymphocyte arm of the endothelial leak",
    "rim_supply": "resistance of the rim on the way of blood to a tumour's core",
    "starvation": "death from lack of oxygen and glucose",
    "t_killing": "killing by specific T cells",
    "lak_killing": "killing by NK and LAK cells",
    "macrophages": "killing by macrophages",
    "t_help": "help of T cells to the lymphocyte arm of systemic leak",
    "licensing": "maturation of dendritic cells, and help to what they prime, by armed T cells and LAK cells",
    "bystander": "killing of antigen-loss cells by macrophages that T cells activate",
    "exhaustion": "loss of arms of T cells that stay on their antigen",
    "niche": "slow division of T cells in a tumour without IL-2",
    "regulatory": "suppression by regulatory T cells",
    "priming": "priming of specific T cells in the node",
    "memory": "formation of memory",
    "interferon": "interferon gamma of T cells: rest of tumour cells, loss of vessels, activation of macrophages and of the wall",
    "bleeding": "erythrocytes leaving the vessels",
    "endogenous": "IL-2 made by the host's own T cells",
    "systemic_leak": "leak of the systemic microvasculature",
    "vasodilation": "fall of the systemic vascular resistance",
    "radiation": "killing by irradiation",
    "cytotoxic": "killing by cytotoxic drugs",
    "seeding": "cells that travel from a lesion to the draining node",
    "support": "fluids and pressors given for toxicity",
}
"""Name → what it is. A parameter `switch_NAME` is 1 (on) or 0 (off) for every subject."""

GROUPS: dict[str, tuple[str, ...]] = {
    "leak": ("leak_direct", "leak_thrombotic", "leak_lymphocyte"),
    "t_cells": ("t_killing", "interferon"),
    "immunity": ("t_killing", "interferon", "lak_killing", "macrophages"),
}
"""Names that stand for several switches."""
