"""The one public door: checks keys and grants, files requests, releases them to Kafka."""
