"""The stages as services with Kafka between them: connector, calibrator, gateway, recorder. See docs/services.md."""
