"""The peer PySpark, local[2]: text files in, text files out, one folder for each source, which zipfile packs."""

import shutil
import zipfile
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, get_json_object

from bench.aggregator.peers.job import Job, read_job, timed


def main() -> None:
    """Select with get_json_object. The session is started before the clock."""
    job = read_job()
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", value=False)
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    with timed():
        _select(spark, job)
    spark.stop()


def _select(spark: SparkSession, job: Job) -> None:
    lines = spark.read.text(list(job.files)).select("value", col("_metadata.file_name").alias("source"))
    wanted = lines.where(get_json_object("value", "$.context.channel") == job.channel)
    folder = Path(f"{job.output}.parts")
    wanted.write.mode("overwrite").partitionBy("source").text(str(folder))
    with zipfile.ZipFile(job.output, "w", zipfile.ZIP_DEFLATED) as archive:
        for source in sorted(folder.glob("source=*")):
            name = source.name.removeprefix("source=").removesuffix(".gz")
            archive.writestr(name, b"".join(part.read_bytes() for part in sorted(source.glob("part-*"))))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
