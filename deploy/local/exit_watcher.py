"""A watcher process that stops a stack when the process that started it ends, however it ends.

The starter alone holds the writing end of a pipe, and the watcher (stop_at_eof.py) the reading end, so that end of file
means the end of the starter.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.folder import Folder
from deploy.local.processes import Command, Processes

NAME = "exit-watcher"
_STOP_LIMIT = timedelta(seconds=2)


def check_starter(folder: Folder, processes: Processes) -> None:
    """Check that no other process's end will stop the stack.

    Raises:
        StackError: the stack is tied to another process.
    """
    watcher = processes.running(NAME)
    if watcher is None or watcher.starter == os.getpid():
        return
    if not watcher.orphaned():
        raise StackError(
            f"the stack in {folder.root} ends with process {watcher.starter}, which started it: use another folder"
        )
    processes.stop({NAME: _STOP_LIMIT})  # its starter has just ended; this process takes the stack over


async def start_watcher(folder: Folder, processes: Processes, project: Path) -> None:
    """Start the watcher that stops the stack after the end of this process, if it does not run yet."""
    if processes.running(NAME):
        return
    reading, writing = os.pipe()  # no program inherits them; the writing end stays open while this process lives
    os.register_at_fork(after_in_child=lambda: os.close(writing))
    program = (sys.executable, "-m", "deploy.local.stop_at_eof", str(folder.root))
    try:
        await processes.start(Command(NAME, program, os.environ, project), reading)
    finally:
        os.close(reading)
