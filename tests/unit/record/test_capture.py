from derivasys.record import capture
from derivasys.record.capture import read

CAPTURE = b"""configuration: {"trades": ["x"]}
wss://www.deribit.com/ws/api/v2 <-> 1617644856.505972
wss://www.deribit.com/ws/api/v2 <- 1617644856.8063161: {"id":0}
https://www.deribit.com/api/v2/public/get_instruments -> 1618677848.218575: {"result":[]}

1617644856.902155: {"a":1}
{"bare": true}
nonsense
12x: {"b": 2}
"""


def test_lines_are_told_apart():
    lines = list(read(CAPTURE.splitlines()))
    assert [(line.number, line.payload, line.recv_ns) for line in lines] == [
        (1, None, None),
        (2, None, None),
        (3, None, None),
        (4, b'{"result":[]}', 1618677848218575000),
        (6, b'{"a":1}', 1617644856902155000),
        (7, b'{"bare": true}', None),
        (8, b"nonsense", None),
        (9, b'12x: {"b": 2}', None),
    ]


def payloads(text):
    return [(line.number, b"".join((line.payload or b"").split())) for line in read(text.splitlines())]


def test_a_document_over_several_lines_is_a_message_or_a_list_of_them():
    assert payloads(b'{\n "a": [\n  "}"\n ]\n}\n{"b":1}') == [(1, b'{"a":["}"]}'), (6, b'{"b":1}')]
    text = b'[\n {\n  "a": "\\"{"\n },\n\n {"b": 2},\n [3]\n]\n1.5: {"c":3}'
    assert payloads(text) == [(2, b'{"a":"\\"{"}'), (6, b'{"b":2}'), (7, b"[3]"), (9, b'{"c":3}')]


def test_a_document_cut_off_is_one_message_that_is_not_json():
    assert payloads(b'[\n {\n  "a": 1,') == [(2, b'{"a":1,')]
    assert payloads(b"[\n]") == []


def test_a_message_over_several_lines_has_a_bound(monkeypatch):
    monkeypatch.setattr(capture, "MESSAGE_BYTES_MAX", 8)
    found = payloads(b'{\n"a": [\n1,\n2,\n3,\n4]\n}')
    assert found[0] == (1, b'{"a":[1,2')
    assert len(found) > 1
