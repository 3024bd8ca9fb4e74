"""Temporary files go where TMPDIR says, and nowhere else."""

import tempfile
from pathlib import Path

import pytest

from services.aggregator.__main__ import use_temporary_folder


def test_temporary_files_go_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    use_temporary_folder()
    with tempfile.TemporaryFile() as file:
        assert Path(f"/proc/self/fd/{file.fileno()}").readlink().is_relative_to(tmp_path)


def test_no_other_folder_is_taken_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    use_temporary_folder()
    with pytest.raises(FileNotFoundError), tempfile.TemporaryFile():
        pass
