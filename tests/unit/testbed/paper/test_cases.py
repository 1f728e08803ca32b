"""Cases of the paper's study: which there are, how they differ, and what is shared."""

from collections import Counter

import msgspec
import pytest

from testbed.paper.cases import COLUMNS, NEW, PARTS, paper_cases, worth_schemes
from testbed.paper.published import TABLE1_M
from testbed.runs.paper_literal import is_paper_literal

CASES = paper_cases(PARTS)


def of(part, **wanted):
    return [
        case for case in CASES
        if case.part == part and all(getattr(case, name) == v for name, v in wanted.items())
    ]  # fmt: skip


def size(case):
    return case.num_elements, case.num_receivers


def test_every_case_has_a_name_of_its_own():
    assert len({case.name for case in CASES}) == len(CASES) == 90 + 12 + 10
    assert {case.part for case in CASES} == {"fig2", "table1", "worth"}


def test_a_name_says_what_is_run():
    case = next(case for case in CASES if case.name == "fig2-fis-literal-M32-N1-J7")
    assert case.case.policy == "fis"
    assert case.case.site.sensing.max_sensings == case.budget == 7
    assert size(case) == (32, 1)


def test_table_1_is_all_its_cells_in_both_columns():
    found = [(case.column, *size(case)) for case in of("table1")]
    assert sorted(found) == sorted((column, *cell) for column in COLUMNS for cell in TABLE1_M)
    assert {(case.case.policy, case.budget) for case in of("table1")} == {("proposed", 10)}


def test_columns_differ_in_the_loop_alone():
    for case in CASES:
        assert is_paper_literal(case.case.site) == (case.column == "literal")
    for part in ("fig2", "table1"):
        literal, ours = (of(part, column=column) for column in COLUMNS)
        for one, other in zip(literal, ours, strict=True):
            assert (one.scheme, size(one), one.budget) == (other.scheme, size(other), other.budget)
            own = msgspec.structs.replace(one.case.site, sensing=other.case.site.sensing)
            assert own == other.case.site


@pytest.mark.parametrize("column", COLUMNS)
def test_single_shots_have_a_case_a_budget_and_others_one_curve(column):
    cases = of("fig2", column=column)
    assert Counter(case.scheme for case in cases) == {
        "proposed": 1, "no_suppression": 1, "clutter_free": 1, "without_sfi": 1, "rsa": 1,
        "fis": 10, "obs": 10, "obs_peb": 10, "sfi_peb": 10,
    }  # fmt: skip
    for scheme in ("fis", "obs", "obs_peb", "sfi_peb"):
        budgets = [case.budget for case in cases if case.scheme == scheme]
        assert budgets == list(range(1, 11))
    assert {case.budget for case in cases if case.scheme == "rsa"} == {10}


def test_variants_of_the_proposed_scheme_differ_in_what_is_subtracted():
    found = {
        case.scheme: case.case.background
        for case in of("fig2", column="ours")
        if case.case.policy == "proposed"
    }
    assert found == {"proposed": "learned", "no_suppression": "none", "clutter_free": "perfect"}
    assert {c.case.background for c in CASES if c.scheme not in found} == {"learned"}


@pytest.mark.parametrize("parts", [["fig3"], ["throughput"], ["fig3", "table1", "throughput"]])
def test_parts_share_trials(parts):
    assert [c.name for c in paper_cases(parts)] == [c.name for c in of("table1")]


@pytest.mark.parametrize("part", ["fig2", "table1", "worth"])
def test_a_part_alone_is_that_part_of_all(part):
    found = paper_cases([part])
    assert [(c.name, c.case) for c in found] == [(c.name, c.case) for c in of(part)]


def test_schemes_differ_from_all_in_what_they_do_without():
    schemes = worth_schemes()
    sites = {case.scheme: case.case.site for case in of("worth")}
    assert list(sites) == list(schemes)
    whole = sites["all"]
    for scheme, missing in schemes.items():
        changes = {NEW[name][0]: NEW[name][1] for name in missing}
        differs = {
            name for name in whole.sensing.__struct_fields__
            if getattr(sites[scheme].sensing, name) != getattr(whole.sensing, name)
        }  # fmt: skip
        assert differs == changes.keys()
        assert all(getattr(sites[scheme].sensing, name) == v for name, v in changes.items())
    assert schemes["none"] == NEW.keys()
    assert [len(missing) for missing in schemes.values()] == [4, 3, 3, 3, 3, 1, 1, 1, 1, 0]
    assert len(set(schemes.values())) == len(schemes)
    assert {size(case) for case in of("worth")} == {(4, 1)}


def test_a_policy_of_another_package_is_a_curve_in_both_columns():
    found = paper_cases(["fig2"], ["round_robin", "round_robin"])
    new = [case for case in found if case.name not in {own.name for own in CASES}]
    assert [(case.scheme, case.column, case.budget) for case in new] == [
        ("round_robin", "literal", 10), ("round_robin", "ours", 10)
    ]  # fmt: skip
    assert {case.case.policy for case in new} == {"round_robin"}
    assert len(found) == len(of("fig2")) + 2


def test_policies_that_are_shown_anyway_change_nothing():
    found = paper_cases(["fig2"], ["proposed", "rsa", "fis"])
    assert [case.name for case in found] == [case.name for case in of("fig2")]
