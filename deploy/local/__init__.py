"""The whole system on one Linux machine with the real Apache Kafka, PostgreSQL and SeaweedFS, without containers."""
