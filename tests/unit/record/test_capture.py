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
