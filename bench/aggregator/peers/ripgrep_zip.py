"""The peer `rg -z … | zip`: a search for text, not for a channel, on all cores, into one member."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

from bench.aggregator.peers.job import Job, read_job, timed
from bench.errors import BenchError


def main() -> None:
    """Select the lines that hold the channel as compact JSON writes it, wherever it stands."""
    job = read_job()
    with timed():
        _select(job)


def tools() -> tuple[str, str]:
    """Return the paths of rg and zip.

    Raises:
        BenchError: one is not installed.
    """
    own = Path(sysconfig.get_path("scripts")) / "rg"
    found = {"rg": str(own) if own.exists() else shutil.which("rg"), "zip": shutil.which("zip")}
    for name, package in (("rg", "ripgrep"), ("zip", "zip")):
        if found[name] is None:
            raise BenchError(f"{name} is not installed: apt-get install -y {package}")
    return str(found["rg"]), str(found["zip"])


def _select(job: Job) -> None:
    rg, zip_ = tools()
    search = [rg, "--no-config", "-z", "-N", "-I", "-F", f'"channel":"{job.channel}"', *job.files]
    Path(job.output).unlink(missing_ok=True)  # zip would add to it
    with subprocess.Popen(search, stdout=subprocess.PIPE) as found:
        subprocess.run([zip_, "-q", job.output, "-"], stdin=found.stdout, check=True)
    if found.returncode:
        raise BenchError(f"rg ended with {found.returncode}")


if __name__ == "__main__":
    main()
