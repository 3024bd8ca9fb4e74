"""The watcher process: waits for the end of its input, which is the end of the starter, and stops the stack."""

import sys
from pathlib import Path

from deploy.local.stack import stop_stack

if __name__ == "__main__":
    sys.stdin.read()
    stop_stack(Path(sys.argv[1]))
