"""Blood's way to the core through the rim: resistances in series, in a law, over shells, and in a whole course."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locokine.engine import tissue_pass
from reference import experiment, open_run
from solutions import Shells, plain

perfusion = plain("biology.perfusion")
FLOW = st.floats(0.01, 1.5)


@given(own=FLOW, upstream=FLOW, share=st.floats(0.0, 0.99))
def test_resistances_add(own: float, upstream: float, share: float) -> None:
    """1/f = (1 - share)/own + share/upstream. 1e-6: the floor that keeps 0/0 away is 1e-9 of a resistance of at least 0.01."""
    flow = perfusion.in_series(own, upstream, share)
    assert 1.0 / flow == pytest.approx((1.0 - share) / own + share / upstream, rel=1e-6)
    assert min(own, upstream) * (1 - 1e-6) <= flow <= max(own, upstream)


def test_shells_of_the_rim_lie_in_series() -> None:
    """Every shell is told the harmonic mean of the rim's flow, by volume; the core's own flow does not count.

    1e-5: the floor that keeps 1/0 away is 1e-6 of a flow of at least 0.25.
    """
    shells = Shells(np.array([5.0, 5.0, 1.0, 2.0]), cores=2)
    for name, value in (("core", [1, 1, 0, 0]), ("volume", [5, 5, 1, 2]), ("perfusion", [0.1, 0.2, 0.25, 0.5])):
        shells[name] = np.array(value, dtype=float)
    tissue_pass.feed(shells.w, np.uint64(4))
    told = np.asarray(shells["upstream"])
    assert told == pytest.approx(np.full_like(told, 3.0 / (1.0 / 0.25 + 2.0 / 0.5)), rel=1e-5)


def test_il2_beside_a_tumour_starves_it_through_the_rim() -> None:
    """A peritumoural dose that hardly enters the core takes more of its flow with the rim in the way than without.

    Without `rim_supply` the core keeps its flow (what little IL-2 gets there and the body's answer are in both runs).
    """
    lines = ["aldesleukin 1000 IU peritumoural in 0.1 mL at 1 mm daily days 8-10"]
    flows = [
        open_run(
            experiment({"a": lines}, follow_up="11 days", switches={"rim_supply": on}), chance=False
        ).lesion("perfusion")
        for on in (True, False)
    ]
    through, direct = (flow[0].min(axis=0) for flow in flows)  # lowest of the course, per host
    assert (through < 0.8 * direct).all()
