"""Policies by name: the project's own, those of other packages, and what is wrong with some."""

import pytest

from fusion.baselines import FixedSubset, Proposed
from testbed.errors import UsageError
from testbed.runs.policies import BUILT_IN, described_policies, new_policy


@pytest.fixture
def packages(tmp_path, monkeypatch):
    info = tmp_path / "some_policies-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-policies\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[isac_testbed.policies]\n"
        "patient = some_policies:Patient\n"
        "broken = some_broken_policy:Broken\n"
        "fis = some_policies:Patient\n"
    )
    (tmp_path / "some_policies.py").write_text(
        'class Patient:\n    """Waits and sees.\n\n    For long.\n    """\n'
    )
    (tmp_path / "some_broken_policy.py").write_text("import a_library_that_is_missing\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_the_papers_schemes_are_built_in():
    assert list(BUILT_IN) == [
        "proposed", "without_sfi", "rsa", "fis", "obs", "obs_peb", "sfi_peb"
    ]  # fmt: skip
    assert isinstance(new_policy("proposed"), Proposed)
    for described in described_policies():
        if described.package is None:
            assert described.summary.endswith(".")


def test_each_trial_has_a_new_one(packages):
    first, second = new_policy("patient"), new_policy("patient")
    assert type(first) is type(second)
    assert first is not second


def test_one_line_of_each(packages):
    found = {policy.name: policy for policy in described_policies()}
    assert found["patient"].summary == "Waits and sees."
    assert found["patient"].package == "some-policies"
    assert "a_library_that_is_missing" in found["broken"].summary


def test_no_package_takes_a_built_in_name(packages):
    assert isinstance(new_policy("fis"), FixedSubset)
    assert [policy.package for policy in described_policies() if policy.name == "fis"] == [None]


def test_what_is_not_there_or_broken_is_said_with_the_remedy(packages):
    with pytest.raises(UsageError, match=r"policy 'patiant'.*rsa.*did you mean 'patient'"):
        new_policy("patiant")
    with pytest.raises(UsageError, match=r"'broken' of some-policies.*a_library_that_is_missing"):
        new_policy("broken")
