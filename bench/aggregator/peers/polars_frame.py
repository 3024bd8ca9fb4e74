"""The peer polars: a lazy frame over the lines of the day's files; zipfile packs what it gives."""

import zipfile
from pathlib import Path

import polars as pl

from bench.aggregator.peers.job import read_job, timed


def main() -> None:
    """Select by JSON path, over lines that stay text so that they can leave as they came."""
    job = read_job()
    with timed():
        lines = pl.scan_lines(list(job.files), include_file_paths="path")
        wanted = pl.col("line").str.json_path_match("$.context.channel") == job.channel
        found = lines.filter(wanted).collect(engine="streaming")
        with zipfile.ZipFile(job.output, "w", zipfile.ZIP_DEFLATED) as archive:
            for (path,), part in found.group_by("path", maintain_order=True):
                name = Path(str(path)).name.removesuffix(".gz")
                archive.writestr(name, "".join(f"{line}\n" for line in part["line"]))


if __name__ == "__main__":
    main()
