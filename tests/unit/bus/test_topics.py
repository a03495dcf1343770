"""The topics of an installation, as configured."""

import pytest

from derivasys.bus.settings import BusError
from derivasys.bus.topics import BY_CCY, partition_of, read_overrides, wanted


def by_name(topics):
    return {topic.name: topic for topic in topics}


def test_every_venue_has_a_raw_topic_and_currencies_equal_partitions():
    topics = by_name(wanted(("deribit", "okx"), {"by_ccy": {"partitions": 12}}, 3))
    assert set(topics) == {"raw.deribit", "raw.okx", *BY_CCY, "status", "dead-letter"}
    assert {topics[name].partitions for name in BY_CCY} == {12}
    assert {topic.replication for topic in topics.values()} == {3}
    assert "compact" in topics["surfaces"].config["cleanup.policy"]
    assert topics["patches"].config["cleanup.policy"] == "delete"


def test_configuration_is_kafkas_own(tmp_path):
    file = tmp_path / "topics.toml"
    file.write_text('[raw]\n"retention.ms" = 3600000\npartitions = 2\n[status]\nreplication = 2\n')
    topics = by_name(wanted(("okx",), read_overrides(file)))
    assert topics["raw.okx"].config["retention.ms"] == "3600000"
    assert topics["raw.okx"].partitions == 2
    assert topics["status"].replication == 2
    assert topics["quotes"].replication == 1


@pytest.mark.parametrize(("text", "told"), [
    ("[qoutes]\npartitions = 3\n", r"\[qoutes\] is none of raw, by_ccy, quotes"),
    ("[quotes]\npartitions = 3\n", r"\[quotes\] partitions: set them in \[by_ccy\]"),
    ("[by_ccy]\npartitions = 0\n", r"partitions = 0 is no number from 1 to 10000"),
    ("[raw]\npartitions = 'many'\n", r"partitions = 'many' is no number"),
    ("partitions = 3\n", "partitions stands outside the table of a topic"),
    ("[raw\n", "topics.toml: "),
])  # fmt: skip
def test_what_cannot_be_names_the_place(tmp_path, text, told):
    file = tmp_path / "topics.toml"
    file.write_text(text)
    with pytest.raises(BusError, match=told):
        wanted(("okx",), read_overrides(file))
    with pytest.raises(BusError, match="No such file"):
        read_overrides(tmp_path / "nowhere.toml")


def test_a_currency_has_the_same_partition_everywhere_and_always():
    assert [partition_of(ccy, 8) for ccy in ("BTC", "ETH", "SOL", "XRP")] == [6, 3, 2, 0]
