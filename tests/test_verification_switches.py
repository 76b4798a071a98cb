"""Each switch sets its law to its neutral value, and given the same state changes no other law."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from locokine.biology.switches import SWITCHES
from locokine.engine import body_pass, tissue_pass
from locokine.tissue import layout
from reference import COURSE, WIDTH, Opened, experiment, open_run, state
from solutions import plain

couple = plain("engine.couple")
FLOW = {"perfusion", "vessels", "vessels_lost"}
"""States that follow an arm of the leak, or the way through the rim, within a step (flow, then loss of shut vessels)."""
TISSUE_OF = {
    "leak_direct": {"e_direct"},
    "leak_thrombotic": {"e_thrombotic"},
    "leak_lymphocyte": {"e_lymphocyte"},
    "bleeding": {"erythrocytes"},
    "rim_supply": FLOW,
}
"""Switch → states of the tissue that its law drives."""
RATES = ("starved", "t", "lak", "macrophage", "spontaneous")
RATES_OF = {
    "starvation": {"starved"},
    "t_killing": {"t"},
    "lak_killing": {"lak"},
    "macrophages": {"macrophage"},
    "regulatory": {"t"},
}
"""Switch → death rates that its law makes."""
BODY_OF = {
    "leak_direct": {"e_direct"},
    "leak_lymphocyte": {"e_lymphocyte"},
    "t_help": {"e_lymphocyte"},
    "systemic_leak": {"e_direct", "e_lymphocyte"},
    "vasodilation": {"resistance_drop"},
    "support": {"pressor", "fluids_given", "plasma_volume", "interstitial_volume"},
}
PARTNERS = {"radiation", "cytotoxic", "seeding"}
"""Switches of partners of IL-2, at rest here: `test_partners` puts them to work."""
NODE_OF = {"priming": {"dividing", "naive"}, "memory": {"memory"}}
IMMUNE_OF = {"exhaustion": {"armed"}}
IMMUNE = ("nk", "lak_level", "armed", "treg", "macrophages", "nk_in", "homing")
"""Switch → what its law makes of the immune cells of a shell, and what `advance_immune` returns."""


@pytest.fixture(scope="module")
def opened() -> Opened:
    """Hosts in the middle of a course, in whom every law is at work."""
    return open_run(
        experiment({"a": [COURSE.format(route="intratumoural")]}, follow_up="15 days", subjects=16), chance=False
    )


def off(p: Any, switch: str) -> Any:
    """Parameters with one mechanism switched off."""
    return p._replace(**{f"switch_{switch}": 0.0})


def changed(one: Any, other: Any) -> set[str]:
    """Fields in which two named tuples differ by a bit."""
    return {name for name in one._fields if getattr(one, name) != getattr(other, name)}


def test_every_switch_has_its_test() -> None:
    """A new switch must say here which law it acts on."""
    others = {"endogenous", "interferon", "licensing", "bystander", "niche", *PARTNERS}
    assert set(SWITCHES) == {*TISSUE_OF, *RATES_OF, *BODY_OF, *NODE_OF, *IMMUNE_OF, *others}


@pytest.mark.parametrize("switch", list(SWITCHES))
def test_one_step_of_tissue(opened: Opened, switch: str) -> None:
    """Vessels and immune cells of one step: only the states of the switched law differ (bits)."""
    for s in (0, 5, 9):
        v = state(opened, s)
        drive = v["a"].t_all * v["x"].armed / v["e"].volume
        above = v["e"].pressure - v["x"].pressure_ref
        names = ("e_direct", "e_thrombotic", "e_lymphocyte", "perfusion", "vessels", "vessels_lost")
        on = couple.advance_vessels(v["x"], v["a"], v["e"], v["b"], v["p"], drive, v["e"].volume, above, 0.5)
        without = couple.advance_vessels(v["x"], v["a"], v["e"], v["b"], off(v["p"], switch), drive, v["e"].volume, above, 0.5)
        different = {name for name, a, b in zip(names, on, without, strict=True) if a != b}
        wanted = TISSUE_OF.get(switch, set()) & set(names)
        assert wanted <= different
        assert different <= wanted | (FLOW if switch.startswith("leak_") else set())
        u = layout.Blood(v["told"].il2_plasma, 100.0)
        here = couple.advance_immune(v["x"], v["a"], v["e"], v["b"], v["p"], u, 0.5)
        there = couple.advance_immune(v["x"], v["a"], v["e"], v["b"], off(v["p"], switch), u, 0.5)
        different = {name for name, a, b in zip(IMMUNE, here, there, strict=True) if a != b}
        assert different == IMMUNE_OF.get(switch, set())


@pytest.mark.parametrize("switch", list(SWITCHES))
def test_death_rates(opened: Opened, switch: str) -> None:
    """Only the rates of the switched law differ; a killer switched off kills nobody; suppression off raises killing."""
    v = state(opened, 3)

    def rates(p: Any) -> dict[str, float]:
        return dict(zip(RATES, couple.death_rates(v["x"], v["a"], v["e"], p, v["l"], 0.4, 2.0), strict=True))

    on, without = rates(v["p"]), rates(off(v["p"], switch))
    assert {name for name in RATES if on[name] != without[name]} == RATES_OF.get(switch, set())
    for name in RATES_OF.get(switch, set()):
        assert without[name] == 0.0 if switch != "regulatory" else without[name] > on[name]


@pytest.mark.parametrize("switch", list(SWITCHES))
def test_one_step_of_the_body(opened: Opened, switch: str) -> None:
    """Circulation, fever and blood: only the states of the switched law differ (bits)."""
    v = state(opened, 2)
    p = v["p"]._replace(supportive_care=1.0, fluids_most=100.0)
    o = couple.read_body(v["body"], p)._replace(pressure=60.0)
    on = couple.advance_body(v["body"], v["told"], o, p, 0.5)[0]
    without = couple.advance_body(v["body"], v["told"], o, off(p, switch), 0.5)[0]
    assert changed(on, without) == BODY_OF.get(switch, set())


def test_interferon_alone(opened: Opened) -> None:
    """Interferon off: no answer anywhere; on, one in all shells of the tumour and none around it. Nothing else moves (bits)."""
    plan = opened.setting.plan
    at = layout.TISSUE_FIELDS.index("interferon")

    def answer(b: Any) -> np.ndarray:
        view = b.tissue[0].reshape(-1, len(layout.TISSUE_FIELDS), WIDTH)
        view[:, layout.TISSUE_FIELDS.index("t_specific")] = 1e5
        view[:, layout.TISSUE_FIELDS.index("armed")] = 0.5
        made, volume = np.zeros(WIDTH), np.zeros(WIDTH)
        tissue_pass.interferon_pass(b.tissue[0], plan.shells, plan.cores, made, volume, b.host)
        return view.copy()

    on, without = _stepped(opened, None, answer), _stepped(opened, "interferon", answer)
    cores = int(plan.cores)
    assert (on[:cores, at] > 0.0).all()
    assert (on[:cores, at] == on[0, at]).all()
    assert (on[cores:, at] == 0.0).all()
    assert (without[:, at] == 0.0).all()
    np.testing.assert_array_equal(np.delete(on, at, axis=1), np.delete(without, at, axis=1))


def test_bleeding_alone(opened: Opened) -> None:
    """Bleeding off: no erythrocyte leaves, and nothing else of the shell changes by a bit."""
    v = state(opened, 4)
    u = layout.Blood(v["told"].il2_plasma, 100.0)
    arguments = (v["x"]._replace(erythrocytes=0.0), v["a"], v["e"]._replace(leak=0.5), v["b"])
    on, _, _ = couple.advance_tissue(*arguments, v["p"], v["l"], u, 0.5)
    without, _, _ = couple.advance_tissue(*arguments, off(v["p"], "bleeding"), v["l"], u, 0.5)
    assert changed(on, without) == {"erythrocytes"}
    assert without.erythrocytes == 0.0


def test_bystanders_alone(opened: Opened) -> None:
    """Bystander killing off: antigen-loss cells, and only what follows from their number, differ; more of them survive."""
    v = state(opened, 4)
    u = layout.Blood(v["told"].il2_plasma, 100.0)
    arguments = (v["x"]._replace(loss=1e5), v["a"], v["e"], v["b"])
    on, _, _ = couple.advance_tissue(*arguments, v["p"], v["l"], u, 0.5)
    without, _, _ = couple.advance_tissue(*arguments, off(v["p"], "bystander"), v["l"], u, 0.5)
    assert changed(on, without) == {"loss", "dead", "fluid", "host"}
    assert without.loss > on.loss


def test_licensing_alone(opened: Opened) -> None:
    """Licensing off: a smaller share of dendritic cells leaves a lesion with armed T cells; antigen and danger stay (bits)."""
    plan = opened.setting.plan

    def leave(b: Any) -> np.ndarray:
        view = b.tissue[0].reshape(-1, len(layout.TISSUE_FIELDS), WIDTH)
        view[:, layout.TISSUE_FIELDS.index("t_specific")] = 1e6
        view[:, layout.TISSUE_FIELDS.index("armed")] = 0.5
        lesion = b.lesion[0].reshape(-1, WIDTH)
        lesion[layout.LESION_FIELDS.index("danger")] = 1.0
        tissue_pass.antigen_pass(b.tissue[0], b.lesion[0], b.carriers[0], b.node, b.body, b.host, b.line[0], plan.antigens,
                                 b.weights[0], plan.shells, 0.5)
        at = [layout.LESION_FIELDS.index(name) for name in ("antigen", "danger", "danger_share", "alarm", "licensed")]
        return lesion[at].copy()

    on, without = _stepped(opened, None, leave), _stepped(opened, "licensing", leave)
    np.testing.assert_array_equal(on[:3], without[:3])
    assert (on[3] > without[3]).all()
    assert ((on[4] > 0.0) & (on[4] < 1.0)).all()
    assert (without[4] == 0.0).all()  # nothing that leaves has been licensed, so nothing it primes is helped


def test_niche_alone(opened: Opened) -> None:
    """Niche off: fewer T cells where tumour cells are, as many elsewhere, and what leaves them stays (bits).

    IL-2 is taken away: beside a faster division under IL-2 the slow one without it does not count.
    """
    plan = opened.setting.plan

    def divide(b: Any) -> np.ndarray:
        view = b.tissue[0].reshape(-1, len(layout.TISSUE_FIELDS), WIDTH)
        view[:, layout.TISSUE_FIELDS.index("g_t")] = 0.0
        b.tcells[0][:] = 1000.0
        none, gone = np.zeros(int(plan.antigens) * WIDTH), np.zeros(int(plan.antigens) * WIDTH)
        tissue_pass.t_cell_pass(b.tissue[0], b.tcells[0], b.node, b.body, b.host, b.line[0], plan.antigens, b.weights[0],
                                plan.shells, np.zeros(WIDTH), none, gone, 0.5)
        cells = b.tcells[0].reshape(-1, int(plan.antigens), WIDTH)
        back = np.broadcast_to(none.reshape(1, -1, WIDTH), cells.shape)
        return np.stack([cells, back, np.broadcast_to(gone.reshape(1, -1, WIDTH), cells.shape)])

    on, without = _stepped(opened, None, divide), _stepped(opened, "niche", divide)
    core = opened.tissue("core")[0] > 0.5
    assert (on[0] >= without[0]).all()
    assert (on[0].max(axis=1)[core] > without[0].max(axis=1)[core]).all()
    np.testing.assert_array_equal(on[0][~core.any(axis=1)], without[0][~core.any(axis=1)])
    np.testing.assert_array_equal(on[1:], without[1:])


def _stepped(opened: Opened, switch: str | None, act: Callable[..., np.ndarray]) -> np.ndarray:
    """What `act` makes of copies of the block's arrays, with a switch off."""
    copy = type(opened.block)(*(array.copy() for array in opened.block))
    if switch:
        copy.host.reshape(-1, WIDTH)[layout.Host._fields.index(f"switch_{switch}")] = 0.0
    return act(copy)


@pytest.mark.parametrize("switch", list(SWITCHES))
def test_node_and_secretion(opened: Opened, switch: str) -> None:
    """Node and secretion, by the compiled passes: only the pools of the switched law differ (bits)."""
    plan = opened.setting.plan

    def node(b: Any) -> np.ndarray:
        view = b.node.reshape(-1, len(layout.NODE_POOLS), WIDTH)
        view[:, 0] += 100.0
        view[:, 4] += 50.0  # memory, so that recall has something to do
        view[:, 3] += 500.0
        b.antigen_total[:] = 10.0
        body_pass.node_pass(
            b.node,
            b.naive,
            b.antigen_total,
            b.body,
            b.host,
            plan.antigens,
            np.zeros(WIDTH),
            np.zeros(int(plan.antigens) * WIDTH),
            np.zeros(int(plan.antigens) * WIDTH),
            0.5,
        )
        return view.copy()

    on, without = _stepped(opened, None, node), _stepped(opened, switch, node)
    differ = {name for i, name in enumerate(layout.NODE_POOLS) if (on[:, i] != without[:, i]).any()}
    assert differ == NODE_OF.get(switch, set())

    def made(b: Any) -> np.ndarray:
        out = np.zeros(WIDTH)
        b.node.reshape(-1, len(layout.NODE_POOLS), WIDTH)[:, 2] = 1e4
        body_pass.node_cells(b.node, b.body, b.host, plan.antigens, np.zeros(WIDTH), out, 0.0)
        view = b.tissue[0].reshape(-1, len(layout.TISSUE_FIELDS), WIDTH)
        view[:, layout.TISSUE_FIELDS.index("t_specific")] = 1e5
        view[:, 0] = 1e6
        solute = b.solute[0].reshape(-1, len(layout.SOLUTE), WIDTH)
        solute[:, layout.SOLUTE.index("source")] = 0.0
        tissue_pass.secretion_pass(b.tissue[0], b.solute[0], plan.shells, b.host, 0.5)
        tissue_pass.uptake_pass(b.tissue[0], b.solute[0], np.uint64(0), plan.shells, b.agent[0], b.host)
        return np.concatenate(
            [out, solute[:, layout.SOLUTE.index("source")].ravel(), solute[:, layout.SOLUTE.index("uptake")].ravel()]
        )

    on, without = _stepped(opened, None, made), _stepped(opened, switch, made)
    sources = WIDTH + int(plan.shells) * int(plan.agents) * WIDTH
    if switch == "endogenous":
        assert (on[:WIDTH] > 0.0).all()
        assert (without[:sources] == 0.0).all()
        np.testing.assert_array_equal(on[sources:], without[sources:])
    else:
        np.testing.assert_array_equal(on, without)


SILENT: dict[str, Callable[[Opened], np.ndarray]] = {
    "leak_direct": lambda o: o.lesion("leak_direct"),
    "leak_thrombotic": lambda o: o.lesion("leak_thrombotic"),
    "leak_lymphocyte": lambda o: o.lesion("leak_lymphocyte"),
    "starvation": lambda o: o.lesion("deaths_starved"),
    "t_killing": lambda o: o.lesion("deaths_t"),
    "lak_killing": lambda o: o.lesion("deaths_lak"),
    "macrophages": lambda o: o.lesion("deaths_macrophage"),
    "bleeding": lambda o: o.lesion("erythrocytes_outside"),
    "interferon": lambda o: o.lesion("interferon"),
    "endogenous": lambda o: o.lesion("il2_endogenous"),
    "priming": lambda o: o.body("node_proliferating"),
    "memory": lambda o: o.body("memory"),
    "systemic_leak": lambda o: o.body("systemic_leak"),
    "support": lambda o: o.body("fluids_given"),
}


@pytest.mark.parametrize("switch", list(SILENT))
def test_a_whole_run_without_it(switch: str) -> None:
    """Switched off in the scenario, the mechanism leaves no trace in a whole course: exactly nothing."""
    made = experiment({"a": [COURSE.format(route="intratumoural")]}, follow_up="16 days", switches={switch: False})
    value = SILENT[switch](open_run(made, chance=False))
    assert np.nanmax(np.abs(value)) == 0.0
    if switch != "support":  # mice are given none anyway
        made = experiment({"a": [COURSE.format(route="intratumoural")]}, follow_up="16 days")
        assert np.nanmax(np.abs(SILENT[switch](open_run(made, chance=False)))) > 0.0
