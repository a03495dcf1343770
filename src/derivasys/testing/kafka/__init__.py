"""A real Apache Kafka on this machine, for tests, benchmarks and `make cluster`."""

from derivasys.testing.kafka.broker import Cluster, KafkaUnavailable, jars

__all__ = ["Cluster", "KafkaUnavailable", "jars"]
