"""What a follower must not take for an answer; what it reads is proved in tests/kafka."""

from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from derivasys.services.follower import Follower

PARTITIONS = SimpleNamespace(partitions={0: None, 1: None})


class Reader:
    """A broker that does not lead partition 1 just now."""

    def list_topics(self, timeout):
        return SimpleNamespace(topics=dict.fromkeys(("surfaces", "patches", "status"), PARTITIONS))

    def offsets_for_times(self, asked, timeout):
        refused = KafkaError(KafkaError.LEADER_NOT_AVAILABLE)
        return [
            SimpleNamespace(topic=at.topic, partition=at.partition, offset=-1 if at.partition else 7,
                            error=refused if at.partition else None)
            for at in asked
        ]  # fmt: skip


def test_a_partition_whose_end_is_not_told_is_not_an_empty_one():
    clients = SimpleNamespace(topic=lambda name: name, reader=Reader)
    with pytest.raises(KafkaException, match="LEADER_NOT_AVAILABLE"):
        Follower(clients, None, int).open()
