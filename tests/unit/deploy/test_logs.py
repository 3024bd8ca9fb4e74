"""`make logs`, and whoever reads it."""

import subprocess
import sys
from pathlib import Path

from deploy.local.addresses import S3Access, Stack, save_stack
from deploy.local.folder import Folder

NO_STACK = Stack("", "", "", "", "", "", "", S3Access("", "", "", "", ""), "", {}, "")


def test_a_reader_of_the_logs_may_stop_reading(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.create()
    save_stack(folder, NO_STACK)
    folder.log("gateway").write_text("first\n")
    command = [sys.executable, "-m", "deploy.local", "logs", "--folder", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as logs:
        assert logs.stdout is not None
        assert logs.stderr is not None
        assert logs.stdout.readline() == "gateway      | first\n"
        logs.stdout.close()
        folder.log("status").write_text("second\n")
        assert logs.stderr.read() == ""
        assert logs.wait(30) == 0
