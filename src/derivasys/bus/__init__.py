"""Kafka between services: settings, clients, topics, and the records that travel."""
