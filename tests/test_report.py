"""Figures, tables and the report: what they say is what the result holds, offline, and the same every time."""

from __future__ import annotations

import dataclasses
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import locokine.outcome  # noqa: F401  tells results how outcomes are read
from fake_runs import BODY_AT, LESION_AT, course, event, healthy_run, kill, manifest, set_volume
from locokine.engine.run import ArmRun
from locokine.engine.variables import FIELD, LESION
from locokine.errors import InputError
from locokine.report import style
from locokine.report.build import RESEARCH_USE, render, write_report
from locokine.report.caveats import caveats
from locokine.report.figures import make_all, plot_fields, save_all
from locokine.report.figures_bars import CAUSES, death_shares
from locokine.report.figures_chain import CHAIN, plot_chain, relative_to, thin, treatment_window
from locokine.report.figures_fields import has_fields, representative
from locokine.report.figures_outcome import plot_spider, plot_survival, plot_waterfall
from locokine.report.support import link_of, support
from locokine.report.tables import interval, number, order_table, percent
from locokine.report.words import in_short
from locokine.results.result import Result
from locokine.scenario.experiment import Experiment
from locokine.scenario.load import load

DAYS = 60
SCENARIO = """
experiment: two arms
description: made up for a test
host: dba2_mouse
lesions:
  flank: {line: sl2, site: subcutis, cells: 1e6 cells, count: COUNT}
arms:
  untreated: []
  LOCAL:
    - aldesleukin 20000 IU intratumoural in 0.1 mL daily days 2-4
subjects: SUBJECTS
follow-up: 60 days
rechallenge: {lines: [sl2, p815], cells: 1e5 cells, observe: 60 days}
geometry: GEOMETRY
shells: 4
rim-shells: 1
seed: 7
"""
FIELDS_AT = {item.name: i for i, item in enumerate(FIELD)}


def experiment_of(subjects: int = 10, local: str = "local", lesions: int = 1, geometry: str = "shells") -> Experiment:
    """Two arms on mice with one or more lesions."""
    text = SCENARIO.replace("SUBJECTS", str(subjects)).replace("LOCAL", local).replace("COUNT", str(lesions))
    return load(text.replace("GEOMETRY", geometry))


def run_of(experiment: Experiment, arm: str, treated: bool) -> ArmRun:
    """Untreated: growth until the humane endpoint. Treated: every second host loses its tumour, the others do not."""
    names = [plan.name for plan in experiment.protocol.lesions]
    run = healthy_run(arm, experiment.subjects, DAYS, names, seed=3)
    run.agents = ("endogenous", *experiment.protocol.agents)
    for s in range(experiment.subjects):
        cured = treated and s % 2 == 0
        volume = course(DAYS, (0, 100 + s), (20, 10.0 * s), (40, 0), (60, 0)) if cured else course(
            DAYS, (0, 100 + s), (30, 900), (60, 3000))
        for lesion in range(len(names)):
            set_volume(run, volume, s, lesion)
        if cured:
            event(run, "cured", 41.0, s)
        else:
            kill(run, 30.0 + s, "humane_endpoint", s)
        for day in (2, 3, 4) if treated else ():
            event(run, "dose", float(day), s)
    for cause in CAUSES:
        run.daily_lesion[LESION_AT[cause]] = np.linspace(0.0, 1e6, DAYS + 1)[:, None]
    at = np.minimum(run.series_time // 24, DAYS).astype(int)
    run.series_lesion = run.daily_lesion[:, :, at, : run.detailed]
    run.series_body = run.daily_body[:, at, : run.detailed]
    run.fields[FIELDS_AT["radius"]] = np.arange(1.0, 5.0)[:, None]
    run.exposure = np.full((4, len(run.agents) + 1, 2, experiment.subjects), 12.0 if treated else 1e-3)
    run.dosed = np.full((len(run.agents), experiment.subjects), 80.0 if treated else 0.0)
    run.reached_plasma = 0.25 * run.dosed
    return run


def result_of(experiment: Experiment, **changes: Any) -> Result:
    """Result of both arms, with challenges in which cured hosts reject sl2 and nobody rejects p815."""
    names = [arm.name for arm in experiment.protocol.arms]
    runs = {name: run_of(experiment, name, i == 1) for i, name in enumerate(names)}
    challenges = {}
    for line in ("sl2", "p815"):
        for who, count in ((names[1], (experiment.subjects + 1) // 2), ("naive", experiment.subjects)):
            again = healthy_run(who, count, DAYS + 2, ("challenge",))
            for s in range(count):
                rejects = line == "sl2" and who != "naive"
                set_volume(again, np.full(DAYS + 3, 0.0 if rejects else 500.0), s)
            challenges[who, line] = again
    facts = manifest(experiment.subjects, **{"experiment": experiment.name} | changes)
    return Result(facts, experiment.protocol, runs, challenges)


@pytest.fixture(scope="module")
def asked() -> Experiment:
    return experiment_of()


@pytest.fixture(scope="module")
def happened(asked: Experiment) -> Result:
    return result_of(asked)


@pytest.fixture(scope="module")
def page(happened: Result, asked: Experiment) -> str:
    return render(happened, asked)


class Page(HTMLParser):
    """Text, ids, and everything that a browser would fetch."""

    FETCHED = ("src", "srcset", "data", "poster", "background", "action")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.stack: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.stack.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in self.FETCHED or (name in ("href", "xlink:href") and tag != "a"):
                self.fetched.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        while self.stack and self.stack.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.stack[-1:]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def plain(text: str) -> str:
    return " ".join(text.split())


# ---------------------------------------------------------------------- the page
def test_the_page_holds_the_numbers_of_the_summary(page: str, happened: Result) -> None:
    text = Page(page).text
    assert RESEARCH_USE in text
    for name, arm in happened.summary()["arms"].items():
        assert name in text
        assert plain(interval(arm["objective_response_rate"])) in text
        days = arm["median_survival_days"]
        assert ("not reached" if days is None else f"{number(days)} d") in text
        for place in ("tumour", "node", "plasma"):
            assert number(arm["il2"][place]["peak_nM"]) in text
            assert number(arm["il2"][place]["auc_nM_h"]) in text
    assert "5 of 5 100 % (48–100 %) 0 of 10 yes" in text  # sl2 rejected by all five cured hosts, by no naive one
    assert "0 of 5 0 % (0–52 %) 0 of 10 yes" in text  # p815 by none; exact limits of 0 and 5 of 5


def test_the_page_says_what_was_asked(page: str, asked: Experiment) -> None:
    text = Page(page).text
    for arm in asked.protocol.arms:
        for line in arm.text:
            assert plain(line) in text
    for expected in ("two arms", "made up for a test", "DBA/2 mouse", "SL2 lymphoma", "20 000 1.22 0.08 1 × 10⁶"):
        assert plain(expected) in text.replace("\u202f", " ")


def test_the_page_lists_every_parameter_and_source(page: str, asked: Experiment) -> None:
    text = Page(page).text
    for record in asked.used_records():
        assert record.name in text
        assert plain(record.text()) in text
    for line in asked.bibliography():
        assert plain(line) in text


def test_the_page_opens_offline(page: str) -> None:
    found = Page(page)
    assert [address for address in found.fetched if not address.startswith(("#", "data:"))] == []
    assert "@import" not in page
    assert re.findall(r"url\((?![\"']?[#d])[^)]*\)", page) == []
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|importScripts)\b", page)


def test_ids_are_unique_and_references_have_a_target(page: str) -> None:
    found = Page(page)
    assert len(found.ids) == len(set(found.ids))
    assert {address[1:] for address in found.fetched if address.startswith("#")} <= set(found.ids)


def test_warnings_of_the_run_are_shown(asked: Experiment) -> None:
    """Few hosts and responses without treatment are said at the head; a large run in which all is well says nothing."""
    text = Page(render(result_of(asked), asked)).text
    assert f"{asked.subjects} hosts an arm: a share of 0 may be anything up to" in text
    many = experiment_of(subjects=40)
    assert not [line for line in caveats(result_of(many), many) if "hosts an arm" in line]


def test_every_caveat_has_its_cause(asked: Experiment) -> None:
    """Switches off, response without treatment, death before the first visit, a challenge that naive hosts reject."""
    made = result_of(experiment_of(subjects=40))
    off = dataclasses.replace(asked, protocol=dataclasses.replace(asked.protocol, switches={"t_killing": False}))
    assert "Switched off in all arms: t killing." in caveats(made, off)
    table = made.subjects
    bare = [arm.name for arm in asked.protocol.arms if not arm.times]
    for name in bare:
        table.loc[table["arm"] == name, "best_response"] = "PR"
    assert sum("without any treatment" in line for line in caveats(made, asked)) == len(bare)
    table["best_response"] = "NE"
    assert sum("died before the first visit" in line for line in caveats(made, asked)) == len(made.runs)
    made.outcome.challenges["rejected"] = True
    assert sum("of naive hosts only" in line for line in caveats(made, asked)) == 2


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a & b", "costs $5 or $6", "x" * 190])
def test_names_are_shown_as_written(name: str) -> None:
    asked = experiment_of(subjects=2, local=f'"{name}"')
    html = render(result_of(asked), asked)
    assert "<script>alert" not in html
    assert name in Page(html).text


def test_the_file_is_written_whole_and_small(tmp_path: Path) -> None:
    asked = experiment_of(subjects=100)
    path = write_report(result_of(asked), asked, tmp_path / "deep" / "report.html")
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert path.stat().st_size < 5e6  # the promise: small enough to send by mail
    assert [item.name for item in path.parent.iterdir()] == ["report.html"]


def test_a_place_that_cannot_be_written_is_one_message(tmp_path: Path, happened: Result, asked: Experiment) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="file"):
        write_report(happened, asked, tmp_path / "file" / "report.html")
    with pytest.raises(InputError, match="file"):
        save_all(happened, tmp_path / "file" / "figures")


def test_same_result_same_bytes(tmp_path: Path, asked: Experiment) -> None:
    pages, files = [], []
    for name in ("one", "two"):  # two results made apart, so that nothing is remembered
        result = result_of(asked)
        pages.append(write_report(result, asked, tmp_path / name / "report.html").read_bytes())
        files.append({path.name: path.read_bytes() for path in save_all(result, tmp_path / name)})
    assert pages[0] == pages[1]
    assert files[0] == files[1]
    assert {name.split(".")[-1] for name in files[0]} == {"png", "svg"}
    assert {name.split(".")[0] for name in files[0]} == {
        "survival", "waterfall", "spider", "chain", "chain_treatment", "deaths", "exposure", "toxicity", "fields",
    }  # fmt: skip


def test_a_result_from_disk_gives_the_same_page(tmp_path: Path, page: str, happened: Result, asked: Experiment) -> None:
    happened.save(tmp_path / "run")
    assert render(Result.open(tmp_path / "run"), asked) == page


# ---------------------------------------------------------------------- in short
def numbers_of(text: str) -> set[str]:
    return set(re.findall(r"\d[\d.\u202f]*(?: × 10[⁻⁰-⁹¹²³]+)?", re.sub(r"‘[^’]*’", "", text)))


def test_in_short_says_only_what_the_summary_says(happened: Result) -> None:
    allowed = {"95", "3", "2", "90"}  # 95 % interval, grade 3, IL-2, takes of a valid challenge
    for arm in happened.summary()["arms"].values():
        rate, best = arm["objective_response_rate"], arm["best_response"]
        allowed |= {str(arm["subjects"]), str(arm["cured"]), str(best["CR"] + best["PR"]), str(best["NE"])}
        shares = [*rate.values(), arm["bioavailability"], arm["hypoxic_fraction_peak"], arm["necrotic_fraction_peak"]]
        allowed |= {percent(share, False) for share in shares}
        for key in ("systemic_toxicity_grade", "injection_site_grade"):
            allowed.add(str(sum(count for grade, count in arm[key].items() if int(grade) >= 3)))
        allowed |= {number(place["peak_nM"]) for place in arm["il2"].values()}
        if arm["median_survival_days"] is not None:
            allowed.add(number(arm["median_survival_days"]))
        for counts in arm["rechallenge"].values():
            allowed |= {str(count) for count in counts.values()}
    text = " ".join(in_short(happened)).replace("sl2", "").replace("p815", "")
    assert {found.rstrip(".") for found in numbers_of(text)} <= allowed
    assert "‘local’ 5 of 10" in text  # the cured


# ---------------------------------------------------------------------- edge cases
def dead_at_once(experiment: Experiment) -> Result:
    result = result_of(experiment)
    for run in result.runs.values():
        run.events = {name: [] for name in run.events}
        for s in range(run.subjects):
            kill(run, 1.0, "toxic_death", s)
        run.series_lesion[:, :, 4:] = np.nan
        run.series_body[:, 4:] = np.nan
        run.fields[:, :, 1:] = np.nan
    return result


def no_lesion_left(experiment: Experiment) -> Result:
    result = result_of(experiment)
    keep = LESION_AT["viable_cells"]
    for run in result.runs.values():
        for array in (run.daily_lesion, run.series_lesion, run.fields):
            array[...] = np.nan
        run.daily_lesion[keep] = run.series_lesion[keep] = 0.0
    return result


def without_fields(result: Result) -> Result:
    for run in result.runs.values():
        run.fields = run.fields[:, :, :, :1]
    return result


CASES = {
    "one subject": ({"subjects": 1}, result_of),
    "all dead": ({}, dead_at_once),
    "no lesion left": ({}, no_lesion_left),
    "ten lesions": ({"lesions": 10}, result_of),
    "well mixed": ({"geometry": "well-mixed"}, lambda asked: without_fields(result_of(asked))),
    "patients": ({}, lambda asked: result_of(asked, criteria="recist")),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.filterwarnings("error::UserWarning")
def test_every_figure_is_drawn_and_the_page_says_no_nan(case: str) -> None:
    options, make = CASES[case]
    experiment = experiment_of(**{"subjects": 4} | options)
    result = make(experiment)
    for figure in make_all(result).values():
        assert len(style.png_bytes(figure, dpi=40)) > 1000
    assert ("fields" in make_all(result)) == (case != "well mixed")
    words = Page(render(result, experiment)).text
    assert re.search(r"\b(nan|None|inf)\b", words) is None


def test_without_fields_the_figure_says_so() -> None:
    result = without_fields(result_of(experiment_of(2, geometry="well-mixed")))
    assert not has_fields(result)
    assert "well mixed" in plot_fields(result).texts[0].get_text()


# ---------------------------------------------------------------------- figures show the data
def test_survival_shows_the_numbers_at_risk(happened: Result) -> None:
    figure = plot_survival(happened)
    axes = figure.axes[0]
    last = axes.get_lines()[0].get_ydata()[-1]
    assert last == 0.0  # every untreated host reached the endpoint
    shown = [text.get_text() for text in figure.texts]
    for arm in ("untreated", "local"):
        row = shown.index(arm)
        rows = happened.subjects[happened.subjects["arm"] == arm]
        ticks = [tick for tick in axes.get_xticks() if 0 <= tick <= DAYS]
        expected = [str(int((rows["survival"] >= tick).sum())) for tick in ticks]
        assert shown[row + 1 : row + 1 + len(ticks)] == expected


def test_waterfall_bars_are_the_best_changes(happened: Result) -> None:
    for axes, arm in zip(plot_waterfall(happened).axes, ("untreated", "local"), strict=True):
        rows = happened.subjects[happened.subjects["arm"] == arm]
        heights = [bar.get_height() for bar in axes.patches]
        assert heights == sorted(heights, reverse=True)
        expected = np.sort(np.minimum(rows["best_change"].dropna(), 100.0))[::-1]
        # a bar below 1 % is drawn as 1 %, so that it can be seen
        assert np.allclose(heights, expected, atol=1.0)
        colours = [style.RESPONSE_COLOURS[word] for word in rows["best_response"]]
        from matplotlib.colors import to_hex

        assert sorted(to_hex(bar.get_facecolor()).upper() for bar in axes.patches) == sorted(colours)


def test_spider_lines_end_with_a_dot_at_death(happened: Result) -> None:
    for axes, arm in zip(plot_spider(happened).axes, ("untreated", "local"), strict=True):
        rows = happened.subjects[happened.subjects["arm"] == arm]
        dots = [line for line in axes.get_lines() if line.get_marker() == "o"]
        assert len(dots) == int(rows["died"].sum())


def test_death_shares_add_up(happened: Result) -> None:
    shares, numbers = death_shares(happened)
    assert np.allclose(shares.sum(axis=1), 1.0, rtol=1e-12)  # sums of a handful of shares: rounding only
    assert np.allclose(shares, 1.0 / len(CAUSES), rtol=1e-12)  # all causes were made alike
    assert (numbers > 0).all()


def test_chain_has_a_panel_per_link_and_arm_on_shared_scales(happened: Result) -> None:
    figure = plot_chain(happened)
    assert len(figure.axes) == len(CHAIN) * 2
    for left, right in zip(figure.axes[::2], figure.axes[1::2], strict=True):
        assert left.get_xlim() == right.get_xlim()
        assert left.get_ylim() == right.get_ylim()


def test_chain_reads_variables_that_exist() -> None:
    for row in CHAIN:
        for curve in row.curves:
            names = BODY_AT if curve.over_lesions == "body" else {item.name for item in LESION}
            assert curve.variable in names


def test_treatment_window_surrounds_the_doses(happened: Result) -> None:
    assert treatment_window(happened) == (0.0, 14.0)  # doses on days 2 to 4: two days before, ten after


def test_baseline_is_the_value_before_the_dose() -> None:
    time = np.array([0.0, 1.0, 2.0, 3.0])
    values = np.array([[1.0, 0.0], [2.0, 0.0], [8.0, 1.0], [16.0, 1.0]])
    relative = relative_to(values, time, 2.0)
    assert relative[:, 0].tolist() == [0.5, 1.0, 4.0, 8.0]
    assert np.isnan(relative[:, 1]).all()


def test_thinned_curves_keep_their_shape() -> None:
    time = np.linspace(0.0, 60.0, 2000)
    curves = np.stack([np.sin(time), np.exp(-((time - 20.0) ** 2) / 0.01), np.where(time > 30.0, np.nan, time)])
    keep = thin(time, curves, tolerance=0.01)
    assert len(keep) < 600
    for curve in curves[:2]:
        drawn = np.interp(time, time[keep], curve[keep])
        assert np.abs(drawn - curve).max() <= 0.01 * np.ptp(curves[np.isfinite(curves)])
    assert np.isfinite(curves[2][keep]).sum() >= 2
    edge = int(np.flatnonzero(np.isnan(curves[2]))[0])
    assert {edge - 1, edge} <= set(keep.tolist())  # the gap begins where it begins


def test_labels_are_spread_within_their_bounds() -> None:
    placed = style.spread([0.0, 0.0, 0.0, 50.0, 100.0, 100.0], 5.0, 0.0, 100.0)
    assert (np.diff(placed) >= 5.0 - 1e-9).all()  # the gap, less rounding
    assert min(placed) >= 0.0
    assert max(placed) <= 100.0


def test_the_host_pictured_is_the_median_one(asked: Experiment) -> None:
    result = result_of(asked)
    for run in result.runs.values():  # host 1 like everybody else, host 0 far away
        set_volume(run, np.full(DAYS + 1, 1e5), 0)
        for s in range(1, run.subjects):
            set_volume(run, np.full(DAYS + 1, 100.0), s)
    assert representative(result, "flank") == 1


def test_order_of_events_dates_the_extremes(asked: Experiment) -> None:
    result = result_of(asked)
    run = result.runs["local"]
    run.series_time = np.arange(run.series_time.size) * 24.0
    result.runs["untreated"].series_time = run.series_time
    leak = np.zeros(run.series_time.size)
    leak[5] = 0.8  # three days after the first dose, which is on day 2
    run.series_lesion[LESION_AT["leak"]] = leak[:, None]
    run.series_lesion[LESION_AT["hypoxic_fraction"]] = 0.3  # never changes
    table = order_table(result)
    rows = {row[0]: row[1] for row in table.rows}
    assert table.columns == ("", "local")
    assert rows["leakiest vessels"] == "day 3.0 · 0.8"
    assert rows["most hypoxia"] == "–"


# ---------------------------------------------------------------------- style and words
def test_drawing_leaves_matplotlib_as_it_was(happened: Result) -> None:
    import matplotlib

    names = [name for name in matplotlib.rcParams if name != "backend"]  # reading the backend would choose one
    before = {name: matplotlib.rcParams[name] for name in names}
    plot_survival(happened)
    assert {name: matplotlib.rcParams[name] for name in names} == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_arms_have_colours_by_order_alone() -> None:
    names = [f"arm {i}" for i in range(10)]
    styles = style.arm_styles(names)
    assert len(set(styles.values())) == len(names)
    assert list(style.arm_styles(names[::-1]).values()) == list(styles.values())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (1.0, "1"), (12.345, "12.3"), (20000.0, "20\u202f000"), (1e6, "1 × 10⁶"), (0.00045, "4.5 × 10⁻⁴"),
        (-3.25, "−3.25"), (float("nan"), "–"), (None, "–"), (18000000.0, "1.8 × 10⁷"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_people(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("share", "text"), [(0.0, "0\u00a0%"), (0.036, "3.6\u00a0%"), (0.5, "50\u00a0%"), (None, "–")])
def test_shares_are_written_as_percent(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_every_parameter_belongs_to_a_link_of_the_chain(asked: Experiment) -> None:
    assert sorted({record.name for record in asked.library.records() if link_of(record.name) == "other"}) == []


def test_support_counts_every_status(asked: Experiment) -> None:
    for row in support(asked.used_records()):
        assert row.number > 0
        assert sum(row.shares) == pytest.approx(1.0, rel=1e-12)  # rounding of four shares
