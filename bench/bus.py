"""Produce → consume through a real Kafka, one node, with the clients of the services: latency by rate and kind of record."""

from __future__ import annotations

import struct
import time

import numpy as np
from confluent_kafka import OFFSET_END, TopicPartition

from _kafka import installation, kafka
from derivasys.bus import trace
from derivasys.bus.records import headers
from derivasys.bus.topics import PATCHES, QUOTES
from derivasys.services.ownership import TRANSACTION_S

SECONDS = 8.0
WARM_S = 2.0
CASES = (
    # name, topic, bytes, records a second, as calibrators write (transactions, no linger)
    ("quotes, 1,000/s", QUOTES, 220, 1_000, False),
    ("quotes, 10,000/s", QUOTES, 220, 10_000, False),
    ("quotes, 30,000/s", QUOTES, 220, 30_000, False),
    ("patches of 20 kB, 20/s, fenced", PATCHES, 20_000, 20, True),
    ("patches of 20 kB, 200/s, fenced", PATCHES, 20_000, 200, True),
)
_STAMP = struct.Struct("<q")


def measure(clients, topic, size, rate, is_fenced):
    producer = clients.fenced_producer("bench") if is_fenced else clients.producer()
    if is_fenced:
        producer.init_transactions(20)
        producer.begin_transaction()
    reader = clients.reader()
    name = clients.topic(topic)
    reader.assign([TopicPartition(name, 0, OFFSET_END)])
    body = np.random.default_rng(1).bytes(size // 2) + bytes(size - size // 2 - 8)
    sent = headers(trace.start().header())
    latencies = []
    began = time.perf_counter()
    committed, made, warm = began, 0, began + WARM_S
    cpu = time.process_time()
    while (now := time.perf_counter()) < warm + SECONDS:
        for _ in range(int((now - began) * rate) - made):
            producer.produce(name, _STAMP.pack(time.perf_counter_ns()) + body, key=b"k", partition=0, headers=sent)
            made += 1
        producer.poll(0)
        for message in reader.consume(5_000, 0):
            if message.error() is None and now > warm:
                latencies.append(time.perf_counter_ns() - _STAMP.unpack_from(message.value())[0])
        if is_fenced and now - committed > TRANSACTION_S:
            committed = now
            producer.commit_transaction(10)
            producer.begin_transaction()
        time.sleep(0.0005)
    cpu = time.process_time() - cpu
    if is_fenced:
        producer.commit_transaction(10)
    producer.flush(10)
    reader.close()
    ms = np.array(latencies) / 1e6
    return {
        "records": len(ms), "rate": round(made / (WARM_S + SECONDS)), "p50_ms": round(float(np.quantile(ms, 0.5)), 2),
        "p99_ms": round(float(np.quantile(ms, 0.99)), 2), "max_ms": round(float(ms.max()), 2), "cpu_share": round(cpu / (WARM_S + SECONDS), 3),
    }  # fmt: skip


def run():
    with kafka() as bootstrap:
        clients = installation(bootstrap, 1)
        return {"cases": {name: measure(clients, *case) for name, *case in CASES}}


def render(result):
    lines = [
        "| records | p50 ms | p99 ms | max ms | records a second | CPU of both clients |",
        "|---|---|---|---|---|---|",
    ]
    for name, at in result["cases"].items():
        lines.append(
            f"| {name} | {at['p50_ms']} | {at['p99_ms']} | {at['max_ms']} | {at['rate']} | {at['cpu_share']:.0%} |"
        )
    return "\n".join(lines)
