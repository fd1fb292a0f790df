"""What the system refuses is one sentence too."""

from __future__ import annotations

from fink_broker.cli import main


def test_a_folder_that_cannot_be_made_is_told(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FINK__STORAGE__STATE", str(tmp_path / "file" / "state"))
    monkeypatch.setenv("FINK_HOME", str(tmp_path))
    code = main(["start", "kafka"])
    captured = capsys.readouterr()
    assert code != 0
    assert captured.err.count("\n") <= 2
    assert str(tmp_path / "file") in captured.err
    assert "Traceback" not in captured.err
