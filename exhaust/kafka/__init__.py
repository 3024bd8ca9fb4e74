"""Producing to topics, consuming them and creating them: the only folder that imports the Kafka driver."""
