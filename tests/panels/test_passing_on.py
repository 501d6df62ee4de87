"""The panel that writes an anonymous copy of the case's log."""

import starface_nb as sf
from starface_nb import samples
from starface_nb.panels import AnonymousCopy


def button(panel):
    return panel.widget.children[1].children[0]


def test_a_click_writes_the_log_without_anybody_and_with_the_same_verdict(tmp_path):
    case = sf.diagnose(sf.read_log(samples.recorded("clean"), progress=False))
    panel = AnonymousCopy(case, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    button(panel).click()
    copy = sf.diagnose(sf.read_log(tmp_path / "out/anonymous.zip", progress=False))
    columns = ["verdict", "low_s", "high_s"]
    assert copy.sites.select(columns).rows() == case.sites.select(columns).rows()
    assert not set(copy.phones["peer"]) & set(case.phones["peer"])
    assert "anonymous.zip" in panel._said.value


def test_what_goes_wrong_is_said(tmp_path):
    case = sf.diagnose(sf.read_log(samples.recorded("clean"), progress=False))
    (tmp_path / "file").write_text("")
    panel = AnonymousCopy(case, tmp_path / "file")
    button(panel).click()
    assert panel.written is None
    assert "sfnb-bad" in panel._said.value
