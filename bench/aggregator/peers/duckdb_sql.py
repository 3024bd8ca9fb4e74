"""The peer DuckDB: one query over the files of the day, whose rows zipfile packs."""

import zipfile
from itertools import groupby
from pathlib import Path

import duckdb

from bench.aggregator.peers.job import read_job, timed

_QUERY = (
    "SELECT filename, json::VARCHAR FROM read_ndjson_objects(?, filename = true) WHERE json->>'$.context.channel' = ?"
)


def main() -> None:
    """Select by SQL. Rows come in the order of the files and of their lines, which DuckDB keeps unless told not to."""
    job = read_job()
    with timed():
        rows = duckdb.execute(_QUERY, [list(job.files), job.channel]).fetchall()
        with zipfile.ZipFile(job.output, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, found in groupby(rows, key=lambda row: row[0]):
                archive.writestr(Path(path).name.removesuffix(".gz"), "".join(f"{line}\n" for _, line in found))


if __name__ == "__main__":
    main()
