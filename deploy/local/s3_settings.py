"""The settings of the S3 client for a stack's store."""

from pydantic import SecretStr

from deploy.local.addresses import S3Access
from exhaust.settings import S3RawBucketSettings


def s3_settings(access: S3Access) -> S3RawBucketSettings:
    """Return the settings for a stack's store: its address, credentials and buckets."""
    return S3RawBucketSettings(
        s3_endpoint=access.endpoint,
        s3_access_key=SecretStr(access.access_key),
        s3_secret_key=SecretStr(access.secret_key),
        s3_raw_bucket=access.raw_bucket,
        s3_exhaust_bucket=access.exhaust_bucket,
    )
