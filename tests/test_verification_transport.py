"""Fluid, solutes and protein between shells against closed forms, with the observed order of convergence."""

from __future__ import annotations

import numpy as np
import pytest

from locokine.tissue import layout
from locokine.tissue import shells as operators
from reference import WIDTH
from solutions import Shells, baxter_jain, decaying_mode, orders, plain, sphere, volume_error

ZERO = np.uint64(0)
fluid = plain("biology.fluid")


@pytest.mark.parametrize("alpha", [1.0, 5.0, 15.0])
def test_pressure_profile_of_baxter_and_jain(alpha: float) -> None:
    """Steady pressure of a uniformly filtering sphere: p/p_e = 1 - (R/r) sinh(αr/R)/sinh α.

    Equal thickness: second order (1.9 allows for the smallest shells resolving the boundary layer R/α only at the
    finest meshes). Equal volumes, the shells of the engine: the innermost shell is r ~ n^(-1/3) wide, so a smooth
    profile converges in the mean square like r² n^(-1/2) = n^(-7/6) (1.1 leaves room for the higher terms); a boundary
    layer, which is what tumours have, still like n^(-2). Sixteen shells are within 0.5 % (measured 0.05 to 0.4 %).
    """
    meshes = (16, 32, 64, 128)
    thick = [
        volume_error(p, exact, made["volume"])
        for made, p, exact in (baxter_jain(n, alpha, equal="thickness") for n in meshes)
    ]
    equal = [volume_error(p, exact, made["volume"]) for made, p, exact in (baxter_jain(n, alpha) for n in meshes)]
    assert orders(thick)[-1] > 1.9
    assert orders(equal)[-1] > 1.1
    assert equal[0] < 5e-3


def test_fluid_filtered_by_the_whole_sphere() -> None:
    """What crosses the border is 4πRKp_e(α coth α - 1); the flux converges like the profile, 0.2 % at 64 shells."""
    alpha, radius = 8.0, 5.0
    made, pressure, _ = baxter_jain(64, alpha, radius)
    found = np.sum(made["filtration"] * (1.0 - pressure))
    exact = 4.0 * np.pi * radius * 0.0149 * (alpha / np.tanh(alpha) - 1.0)
    assert found == pytest.approx(exact, rel=2e-3)
    # what is filtered leaves: the steady state of one step of 1e12 h closes the balance to its rounding
    assert made["face_flow"][-1] == pytest.approx(found, rel=1e-9)


def test_one_shell_drains_as_its_analytic_mean() -> None:
    """A single shell under slow filtration exchanges 15 K/R² per volume, the exact value of the parabolic profile."""
    conductivity, radius = 0.02, 3.0
    made = Shells(sphere(radius, 1))
    operators.face_conductance(
        made.w, made.n, made.cores, np.full(WIDTH, conductivity), np.full(WIDTH, 1e30), layout.T.face_hydraulic, 1.0
    )
    # 1e-5: the cube root is the engine's own, and its constant 0.62035... has 13 digits; radii enter to the third power
    assert made["face_hydraulic"][0] / made["volume"][0] == pytest.approx(15.0 * conductivity / radius**2, rel=1e-5)


def test_diffusion_and_decay_in_a_sphere() -> None:
    """The slowest mode sin(πr/R)/r with decay: order 2 in space on shells of equal thickness.

    Steps are refined with the square of the mesh, so that their error falls faster than that of the mesh. Shells of equal
    volume show n^(-7/6), as for the pressure (see above).
    """
    meshes = (8, 16, 32, 64)
    thick = [volume_error(*decaying_mode(n, 4 * n * n, equal="thickness"), sphere(2.0, n, "thickness")) for n in meshes]
    equal = [volume_error(*decaying_mode(n, 4 * n * n), sphere(2.0, n)) for n in meshes]
    assert orders(thick) == pytest.approx(2.0, abs=0.05)
    assert orders(equal)[-1] > 1.1


def test_steps_are_second_order_in_time() -> None:
    """Halving the step quarters the error (order 2; 0.2 for the third-order rest at steps of a tenth of the time)."""
    fine, _ = decaying_mode(32, 20000)
    errors = [np.abs(decaying_mode(32, steps)[0] - fine).max() for steps in (10, 20, 40, 80)]
    assert orders(errors) == pytest.approx(2.0, abs=0.2)


def test_solute_stays_positive_and_balanced_at_any_step() -> None:
    """An upwind implicit step is an M-matrix: nothing negative, and what left is what is missing, to rounding.

    16 shells, drift inward and outward, exchange, lymph and loss, steps from 1e-4 to 1e4 h; 1e-12 is a few thousand
    roundings of the amounts involved.
    """
    random = np.random.default_rng(3)
    for dt in (1e-4, 1e-2, 1.0, 1e2, 1e4):
        made = Shells(sphere(4.0, 16), cores=12)
        made["fluid"] = made["volume"] * random.uniform(0.1, 0.6, 16)
        made["face_flow"] = random.normal(0.0, 50.0, 16)
        made["face_flow"] = np.where(np.arange(16) == 15, 20.0, made["face_flow"])  # outward at the border
        for name, size in (("face", 30.0), ("blood", 5.0), ("drain", 3.0), ("sink", 4.0), ("source", 0.0)):
            made.sol(name)[:] = size * random.random((16, 1))
        start = random.random((16, 1)) * np.ones(WIDTH) * 100.0
        start[5] = 0.0
        made.sol("amount")[:] = start
        plasma, sums = np.full(WIDTH, 0.7), np.zeros((4, WIDTH))
        # fluid itself is divergence free only in the engine; here the concentration equation alone is tested
        operators.step_solute(made.w, made.solute, ZERO, made.n, plasma, ZERO, *sums, dt)
        amount = made.sol("amount")
        assert (amount >= 0.0).all()
        gone = sums.sum(axis=0)
        np.testing.assert_allclose(amount.sum(axis=0) + gone, start.sum(axis=0), rtol=1e-12 * max(1.0, dt))


def test_a_dry_shell_is_not_drained_below_nothing() -> None:
    """Flows are limited where a shell would run dry; elsewhere the limiter changes no bit."""
    made = Shells(sphere(3.0, 8))
    made["fluid"] = made["volume"] * np.array([0.3] * 7 + [1e-6])
    made["stiffness"] = 1e3
    made["pressure"] = np.array([5.0] * 7 + [40.0])
    made["lymph"], made["lymph_pressure"] = 100.0, -5.0
    operators.face_conductance(
        made.w, made.n, made.cores, np.full(WIDTH, 0.05), np.full(WIDTH, 0.05), layout.T.face_hydraulic, 1.0
    )
    before = made["fluid"]
    operators.step_fluid(made.w, made.lesion, made.n, np.zeros(WIDTH), np.zeros(WIDTH), 0.0, 5.0)
    assert (made["fluid"] > 0.0).all()
    lesion = made.lesion.reshape(-1, WIDTH)
    at = layout.LESION_FIELDS.index
    left = lesion[at("fluid_left"), 0] + lesion[at("fluid_drained"), 0] - lesion[at("fluid_filtered"), 0]
    assert made["fluid"].sum() == pytest.approx(before.sum() - left, rel=1e-12)  # rounding


def test_drying_tissue_holds_its_last_fluid() -> None:
    """Nothing above the normal volume; below it pressure falls ever faster, without bound; the tangent is the slope of it."""
    modulus, cap = 30.0, 0.3
    assert fluid.drying_pressure(modulus, cap, 1.5) < 1e-4 * modulus  # the smooth edge is 0.01 wide
    filled = np.linspace(0.02, 0.9, 45)
    pull = np.array([fluid.drying_pressure(modulus, cap, f) for f in filled])
    assert (np.diff(pull) < 0.0).all()
    assert (np.diff(pull, 2) > 0.0).all()
    assert fluid.drying_pressure(modulus, cap, 1e-4) > 1e4
    step = 1e-6
    for f in filled:  # 3e-3: the tangent leaves out the slope of the smooth edge, at most a quarter of (0.01/0.1)² here
        slope = (fluid.drying_pressure(modulus, cap, f - step) - fluid.drying_pressure(modulus, cap, f + step)) / (2.0 * step)
        assert fluid.drying_stiffness(modulus, cap, f) == pytest.approx(slope, rel=3e-3)
