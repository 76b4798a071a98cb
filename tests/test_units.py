"""Units: text becomes internal numbers, strictly."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locokine.errors import InputError
from locokine.scenario.amounts import AgentUnits, parse_amount
from locokine.units import DIMENSIONS, SUPPLIERS, dimension_of, format_quantity, parse_quantity, unit_factor
from small_library import attempt


@pytest.mark.parametrize(
    ("text", "dimension", "internal"),
    [
        ("0.1 mL", "volume", 100.0),
        ("100 µL", "volume", 100.0),
        ("15 nM", "concentration", 15.0),
        ("15 nmol/L", "concentration", 15.0),
        ("500 pM", "concentration", 0.5),
        ("60 days", "time", 1440.0),
        ("2 weeks", "time", 336.0),
        ("15min", "time", 0.25),
        ("9 mm", "length", 9.0),
        ("2.2 um", "length", 0.0022),
        ("1e6 cells", "cells", 1e6),
        ("0.5 1/day", "rate", 0.5 / 24),
        ("0.5 /d", "rate", 0.5 / 24),
        ("20 g", "body mass", 0.02),
        ("70 kg", "body mass", 70.0),
        ("3.6 g/dL", "mg/mL", 36.0),  # µg/mm³
        ("2 mmHg", "pressure", 2.0),
        ("37 degC", "temperature", 37.0),
        ("30 %", "dimensionless", 0.3),
        ("0.3", "1", 0.3),
        (0.3, "1", 0.3),
        ("1.8e-6 cm/s", "mm/h", 1.8e-6 * 10 * 3600),
        ("4.13e-8 cm2/mmHg/s", "mm2/mmHg/h", 4.13e-8 * 100 * 3600),
        ("4.13e-8 cm²/mmHg/s", "mm^2/mmHg/h", 4.13e-8 * 100 * 3600),
        ("138 mL/h", "mm3/h", 138000.0),
        ("12 mL/min/kg", "mL/h/kg", 12 * 1000 * 60),
        ("60 1/mm2", "1/mm2", 60.0),
        ("6 U[Cetus]", "activity", 36.0),
        ("2 MU[Cetus]", "activity", 12e6),
    ],
)
def test_text_becomes_internal_numbers(text: object, dimension: str, internal: float) -> None:
    # 1e-14: two or three roundings of a product of conversion factors
    assert parse_quantity(text, dimension) == pytest.approx(internal, rel=1e-14, abs=0)


def test_one_molecule_a_cell_a_second_in_mol() -> None:
    # Avogadro's number is exact by definition; fmol per molecule and hour
    value = parse_quantity("1 molecule/cell/s", "molecule/cell/s")
    assert value == pytest.approx(3600 / 6.02214076e8, rel=1e-12)


def test_kilopascal_and_dalton() -> None:
    # one conventional mmHg: 13.5951 g/cm3 of mercury at 9.80665 m/s2
    assert parse_quantity("1 kPa", "pressure") == pytest.approx(1000 / (13.5951 * 9.80665), rel=1e-12)
    assert parse_quantity("1 kDa", "kDa") == pytest.approx(1e-6, rel=1e-14)  # µg per fmol


def test_internal_units_have_factor_one() -> None:
    for unit, example in DIMENSIONS.values():
        assert unit_factor(unit) == 1.0
        assert parse_quantity(example, unit) > 0


@pytest.mark.parametrize(
    ("text", "dimension", "words"),
    [
        ("5", "volume", ["'5' has no unit", "0.1 mL"]),
        (5, "time", ["has no unit", "5 days"]),
        ("9 mm", "volume", ["'9 mm' is not a volume", "0.1 mL"]),
        ("5 mL", "nM", ["not a quantity in nM"]),
        ("-1 mm", "length", ["must not be negative"]),
        ("nan mm", "length", ["not a finite number"]),
        ("inf nM", "nM", ["not a finite number"]),
        (float("nan"), "1", ["not a finite number"]),
        ("1e999 mm", "length", ["not a finite number"]),
        ("1e308 L", "volume", ["not a finite number"]),
        ("mm", "length", ["not a number with a unit"]),
        ("", "length", ["not a number with a unit"]),
        (None, "length", ["an empty value is not a quantity"]),
        (True, "length", ["not a quantity"]),
        ([1], "length", ["not a quantity"]),
        ("20,000 IU", "activity", ["thousands separator", "20000"]),
        ("5 mLL", "volume", ["unknown unit 'mLL'", "mL"]),
        ("5 U", "activity", ["a bare 'U'", "U[Cetus]", "U[Roche]"]),
        ("5 kU", "activity", ["a bare 'kU'"]),
        ("5 U[Acme]", "activity", ["unknown supplier 'Acme'", "U[Biogen]"]),
        ("5 mm/", "length", ["is not a unit"]),
        ("5 m^99", "length", ["not a length"]),
        ("5 " + "m" * 200, "length", ["too long"]),
    ],
)
def test_bad_quantities_are_explained(text: object, dimension: str, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse_quantity(text, dimension, "somewhere")
    message = str(caught.value)
    assert message.startswith("somewhere: ")
    for word in words:
        assert word in message
    assert caught.value.remedy


def test_zero_is_refused_only_where_asked() -> None:
    assert parse_quantity("0 mL", "volume") == 0.0
    with pytest.raises(InputError, match="must be above zero"):
        parse_quantity("0 mL", "volume", positive=True)
    assert parse_quantity("-2 mmHg", "pressure", minimum=None) == -2.0


def test_activity_mass_and_substance_are_different_dimensions() -> None:
    dimensions = {dimension_of(unit) for unit in ("IU", "ug", "fmol", "kg")}
    assert len(dimensions) == 4


@given(
    st.floats(min_value=1e-30, max_value=1e30),
    st.sampled_from(["nM", "pM", "mL", "1/day", "kg", "cm2/mmHg/s", "1", "kDa"]),
)
def test_formatting_is_exact(value: float, unit: str) -> None:
    text = format_quantity(value, unit)
    assert parse_quantity(text, unit) == value


@given(st.text(max_size=30))
def test_random_text_gives_a_number_or_an_input_error(text: str) -> None:
    for dimension in ("volume", "nM", "1"):
        value = attempt(parse_quantity, text, dimension)
        assert isinstance(value, InputError) or (math.isfinite(value) and value >= 0)


@given(st.from_regex(r"[0-9]{1,3} ?[a-zA-Z0-9/^*\[\]%µ ]{0,12}", fullmatch=True))
def test_random_units_give_a_number_or_an_input_error(text: str) -> None:
    value = attempt(parse_quantity, text, "mL")
    assert isinstance(value, InputError) or math.isfinite(value)


# --- amounts of doses ---

KINE = AgentUnits(molar_mass=15.3, fmol_per_iu=4.0)


def test_iu_mass_and_moles_of_one_dose_agree() -> None:
    texts = [
        "20000 IU",
        "20 kIU",
        "0.02 MIU",
        "1.224 ug",
        "0.001224 mg",
        "80 pmol",
        "0.08 nmol",
        f"{20000 / 6!r} U[Cetus]",
    ]
    # 1e-12: a few roundings each
    for text in texts:
        assert KINE.to_fmol(parse_amount(text), "kine", "here") == pytest.approx(80000.0, rel=1e-12, abs=0)
        assert not parse_amount(text).per_kg


@pytest.mark.parametrize("text", ["600000 IU/kg", "36.72 ug/kg", "2.4 nmol/kg", "100000 U[Cetus]/kg"])
def test_doses_per_kilogram(text: str) -> None:
    amount = parse_amount(text)
    assert amount.per_kg
    assert KINE.to_fmol(amount, "kine", "here") == pytest.approx(2.4e6, rel=1e-12)


def test_there_and_back() -> None:
    fmol = 80000.0
    assert KINE.iu(fmol) == 20000.0
    assert KINE.micrograms(fmol) == pytest.approx(1.224, rel=1e-12)
    assert AgentUnits(None, None).iu(fmol) is None
    assert AgentUnits(None, None).micrograms(fmol) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("20000", "has no unit"),
        ("20000 U", "suppliers"),
        ("5 mm", "is not a dose: mm"),
        ("5 mL", "is not a dose"),
        ("-5 IU", "must not be negative"),
        ("nan IU", "not a finite number"),
        ("inf IU", "not a finite number"),
        ("1e308 MIU", "not a finite number"),
    ],
)
def test_bad_doses_are_explained(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_amount(text)


def test_an_agent_refuses_units_that_it_does_not_have() -> None:
    with pytest.raises(InputError, match="no units of activity"):
        AgentUnits(15.3, None).to_fmol(parse_amount("5 IU"), "ballast", "here")
    with pytest.raises(InputError, match="carries no substance"):
        AgentUnits(None, None).to_fmol(parse_amount("5 IU"), "brine", "here")
    assert AgentUnits(None, None).to_fmol(parse_amount("0 IU"), "brine", "here") == 0.0


def test_every_supplier_has_a_range_around_its_factor() -> None:
    for supplier in SUPPLIERS.values():
        assert supplier.low <= supplier.iu <= supplier.high
        assert supplier.note
        assert parse_quantity(f"1 U[{supplier.name}]", "activity") == supplier.iu
