"""Every metric that the catalogue says a service emits, with its dimensions, from real processes (docs/operations.md)."""

from derivasys.telemetry.catalogue import VALUES
from derivasys.testing.fleet import until
from tests.emf import emitted, expected, told

EMF = {"DERIVASYS_METRICS": "emf", "DERIVASYS_ENVIRONMENT": "dev"}


def test_services_emit_what_the_catalogue_says(fleet, tmp_path):
    venues = fleet.venues("--venue", "deribit", "--ccy", "BTC")
    processes = {
        "connector": fleet.connector(venues, "deribit", env=EMF),
        "calibrator": fleet.start("calibrator", env=EMF),
        "gateway": fleet.start("gateway", env=EMF),
        "recorder": fleet.recorder(tmp_path / "recording", env=EMF),
    }
    for process in processes.values():
        process.await_start()
    for service, process in processes.items():
        until(
            lambda service=service, process=process: expected(service) <= emitted(process.output, service),
            told=lambda service=service, process=process: (
                f"{service}: {expected(service) - emitted(process.output, service)}"
            ),
        )
        assert emitted(process.output, service) == expected(service)
        for dimension, by_service in VALUES.items():
            if service in by_service:
                until(lambda: told(process.output, dimension) == set(by_service[service]), 30)  # noqa: B023 - called here
    assert "raw.deribit" in told(processes["recorder"].output, "Topic")
