"""Blocks of subjects: allocated, and filled with their parameters and with hosts at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from locokine.body import grades
from locokine.engine import extrapolate
from locokine.engine.block import LEDGER, Block
from locokine.engine.variables import BODY, LESION, PLACES
from locokine.tissue import layout

if TYPE_CHECKING:
    from locokine.engine.batch import Setting

Array = NDArray[np.float64]
LOG = 96
"""Events that a subject may have, besides one for each dose and act."""


def make_block(setting: Setting, inputs: dict[str, Array], draws: dict[str, Array], columns: NDArray[np.int64],
               state: dict[str, Array] | None) -> Block:
    """Allocate and fill a block: hosts at rest, nothing implanted, or hosts in the given state."""
    plan, width = setting.plan, layout.WIDTH
    lesions, n, agents = len(setting.lesions), int(plan.shells), int(plan.agents)
    antigens = int(plan.antigens)
    tissue = len(layout.TISSUE_FIELDS)

    def zeros(*shape: int) -> Array:
        return np.zeros(shape)

    shapes = {
        "tissue": (lesions, n * tissue * width), "tcells": (lesions, n * antigens * width),
        "carriers": (lesions, antigens * len(layout.CARRIER_POOLS) * width),
        "lesion": (lesions, len(layout.LESION_FIELDS) * width), "body": (len(layout.BODY_FIELDS) * width,),
        "node": (antigens * len(layout.NODE_POOLS) * width,),
    }
    flat, views, parts = one_array(shapes)
    rows = np.array(list(extrapolate.state_rows(parts)), dtype=np.int64)
    drives = np.array(list(extrapolate.drive_rows(parts)), dtype=np.int64)
    host = np.ascontiguousarray(inputs["host"][:, columns])
    block = Block(
        **views, state=flat, rows=rows[:, 0].copy(), kinds=rows[:, 1].copy(), drive_rows=drives,
        before=zeros(len(rows) * width), halves=zeros(len(rows) * width), drives=zeros(len(drives) * width),
        solute=zeros(lesions, agents * n * len(layout.SOLUTE) * width),
        pools=zeros(agents * len(layout.AGENT_POOLS) * width),
        naive=zeros(antigens * width), host=host.ravel(),
        line=np.array([inputs[f"line{i}"][:, columns].ravel() for i in range(lesions)]).reshape(lesions, -1),
        agent=np.array([inputs[f"agent{i}"][:, columns].ravel() for i in range(agents)]), weights=setting.weights,
        plasma=zeros(agents * width), mean_plasma=zeros(agents * width), mean_node=zeros(agents * width),
        rate=zeros(agents, width), running=zeros(len(plan.dose_time), width),
        peak=zeros(len(PLACES), agents + 1, width), auc=zeros(len(PLACES), agents + 1, width),
        entered=zeros(agents, width), dosed=zeros(agents, width), ledger=zeros(agents, len(LEDGER), width),
        cure_draw=np.ascontiguousarray(draws["cure"][:, columns]), death_draw=draws["death"][columns],
        hot=zeros(width), ischaemic=zeros(lesions, width), injected=zeros(lesions, width), treated=zeros(width),
        rim_before=zeros(lesions, width), swollen=zeros(lesions, 2, width),
        grade=zeros(len(grades.TERMS), width), worst=zeros(len(grades.TERMS), width),
        end_time=np.full(width, np.inf),
        course_over=zeros(1 + max((d.course for d in setting.arm.doses), default=0), width),
        course_share=np.ones((1 + max((d.course for d in setting.arm.doses), default=0), width)),
        log=zeros(LOG + len(plan.dose_time) + plan.act_lesion.size, 4, width), logged=zeros(width),
        agent_arrays=zeros(agents, 5, width),
        potency=zeros(agents, width), antigen_total=zeros(antigens * width), returned=zeros(antigens * width),
        contracted=zeros(antigens * width),
        present=np.zeros(agents, dtype=np.int64), share=zeros(n),
        tried_tissue=zeros(n * tissue * width), tried_lesion=zeros(len(layout.LESION_FIELDS) * width), flux=zeros(7, width),
        scratch=zeros(16, width), report_lesion=zeros(len(LESION), width), report_body=zeros(len(BODY), width),
    )
    fill_agents(setting, block, inputs, columns)
    if state is None:
        rest(block, inputs, columns)
    else:
        block.body[:] = state["body"].ravel()
        block.node[:] = state["node"].ravel()
        block.pools[:] = state["pools"].ravel()
    block.naive[:] = inputs["naive"][:, columns].ravel()
    return block


def one_array(shapes: dict[str, tuple[int, ...]]) -> tuple[Array, dict[str, Array], dict[str, tuple[int, int]]]:
    """One flat array, views of it in the given shapes, and where they lie in it (first row, rows of `WIDTH`)."""
    sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    flat, views, parts, at = np.zeros(sum(sizes.values())), {}, {}, 0
    for name, size in sizes.items():
        views[name] = flat[at:at + size].reshape(shapes[name])
        parts[name] = (at // layout.WIDTH, size // layout.WIDTH)
        at += size
    return flat, views, parts


def fill_agents(setting: Setting, block: Block, inputs: dict[str, Array], columns: NDArray[np.int64]) -> None:
    """Coefficients of every agent that the shell operators take as arrays."""
    names = (*layout.parameter_names("agent"), *layout.DERIVED_AGENT)
    degradation = inputs["host"][layout.Host._fields.index("tissue_degradation"), columns]
    for i in range(len(block.agent)):
        value = dict(zip(names, inputs[f"agent{i}"][:, columns], strict=True))
        for j, key in enumerate(("diffusion", "diffusion_normal", "permeability", "permeability_normal")):
            block.agent_arrays[i, j] = value[key]
        block.agent_arrays[i, 4] = degradation * value["degradation_factor"]
        block.potency[i] = value["potency_effector"]


def rest(block: Block, inputs: dict[str, Array], columns: NDArray[np.int64]) -> None:
    """Hosts at rest: normal volumes, protein, lymphocytes, naive cells."""
    width = layout.WIDTH
    value = dict(zip(layout.Host._fields, inputs["host"][:, columns], strict=True))
    body = block.body.reshape(-1, width)
    at = {name: i for i, name in enumerate(layout.BODY_FIELDS)}
    body[at["plasma_volume"]] = value["plasma_volume"]
    body[at["interstitial_volume"]] = value["interstitial_volume"]
    body[at["protein_plasma"]] = value["plasma_protein"] * value["plasma_volume"]
    body[at["protein_interstitial"]] = inputs["resting_protein"][columns] * value["interstitial_volume"]
    body[at["nk"]] = value["nk_blood"] * value["blood_volume"]
    body[at["lymphocytes"]] = 1.0
    body[at["treg"]] = 1.0
    body[at["organ_water"]] = 1.0
    node = block.node.reshape(-1, len(layout.NODE_POOLS), width)
    node[:, layout.NODE_POOLS.index("naive")] = inputs["naive"][:, columns]
