"""The one public door: checks keys and grants, creates requests, releases them to Kafka."""
