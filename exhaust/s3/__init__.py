"""The S3 store: the only folder that imports the S3 driver."""
