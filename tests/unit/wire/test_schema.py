from derivasys.wire import schema


def test_the_schema_file_is_up_to_date():
    assert schema.PATH.read_text(encoding="utf-8") == schema.rendered(), "run `make types`"
