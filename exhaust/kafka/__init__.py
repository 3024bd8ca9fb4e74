"""Producing, consuming and creating topics: the only folder that imports Kafka's driver."""
