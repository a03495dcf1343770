from __future__ import annotations

import pytest
from derivasys_infra.config import FOLDER, ConfigError, load, parse

DEV = (FOLDER / "dev.toml").read_text()


def test_both_environments_load():
    assert load("dev").environment == "dev"
    assert load("prod").deletion_protection


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('account = "111111111111"', 'account = "1"', "account"),
        ("retention_days = 14", "retention_days = 13", "retention_days"),
        ('"eu-west-2b"', '"us-east-1b"', "availability_zones"),
        ('"eu-west-2b"', '"eu-west-2a"', "availability_zones"),
        ("[venues]", "[venues]\nmtgox = ['BTC']", "mtgox"),
        ('venues = ["deribit"]', 'venues = ["bybit"]', "credentials.venues"),
        ('live = "live.dev.derivasys.example"', 'live = "live.elsewhere.example"', "zone"),
        ("arn:aws:acm:us-east-1", "arn:aws:acm:eu-west-2", "viewer_certificate_arn"),
        ("cpu = 1024\nmemory = 2048", "cpu = 1024\nmemory = 1024", "services.calibrator.memory"),
        ("tasks_min = 1\ntasks_max = 4", "tasks_min = 5\ntasks_max = 4", "tasks_min"),
        ("[services.connector]\ncpu = 512\nmemory = 1024\ntasks_min = 1\ntasks_max = 1",
         "[services.connector]\ncpu = 512\nmemory = 1024\ntasks_min = 1\ntasks_max = 2", "twice"),
        ("brokers = 2", "brokers = 3", "stream.brokers"),
        ('kind = "msk"', 'kind = "external"', "bootstrap_servers"),
        ("recordings_days = 90", "recordings_days = 30", "recordings_days"),
        ("recordings_cold_days = 30", "recordings_cold_days = 7", "recordings_cold_days"),
        ('environment = "dev"', 'environment = "dev"\nextra = 1', "extra"),
        ("connections_per_task = 500", "connections_per_task = 20000", "connections_per_task"),
        ("[names]", "[names", "TOML"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_named(old, new, told):
    assert old in DEV
    with pytest.raises(ConfigError, match=r"^x\.toml: .*") as error:
        parse(DEV.replace(old, new, 1), "x.toml")
    assert told in str(error.value)


def test_an_unknown_environment_names_those_there_are():
    with pytest.raises(ConfigError, match="dev, prod"):
        load("staging")
