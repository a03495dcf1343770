"""A recorder whose disk dies with it: segments go to S3 (a moto server), and offsets follow them."""

import asyncio
import time
from pathlib import Path

import boto3
import pytest
from confluent_kafka import TopicPartition

from derivasys.bus import records
from derivasys.bus.records import About
from derivasys.bus.topics import RAW, RECORDER, SESSION_MS
from derivasys.record.segments import Kind, read
from derivasys.services.recorder import RecorderService
from tests.aws import made, served
from tests.kafka.services import running, until


@pytest.fixture(scope="module")
def s3():
    with served():
        yield boto3.client("s3")


def committed(clients):
    """Return how many records of the topic no recorder would read again."""
    member = clients.member(RECORDER, SESSION_MS)
    (at,) = member.committed([TopicPartition(clients.topic(RAW) + "deribit", 0)], timeout=10)
    member.close()
    return max(0, at.offset)


def log(clients, *payloads):
    producer = clients.producer()
    for payload in payloads:
        about = About(recv_ns=time.time_ns(), opened_ns=1, lost=0, kind=int(Kind.RECEIVED))
        named = records.headers(b"", (records.ABOUT_HEADER, about.pack()))
        producer.produce(clients.topic(RAW) + "deribit", payload, b"test", headers=named)
    assert producer.flush(10) == 0
    return list(payloads)


def there(s3, bucket, folder: Path):
    """Return the payloads of frames in the bucket, as a recording that was fetched from there holds them."""
    folder.mkdir()
    for each in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        path = folder / each["Key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, each["Key"], str(path))
    return [one.payload for run in sorted(folder.glob("raw/*")) for one in read(run) if one.kind == Kind.RECEIVED]


async def test_what_is_not_in_s3_is_not_committed_and_goes_there_later(clients, s3, tmp_path):
    wanted = log(clients, b"one", b"two", b"three")
    recorder = RecorderService(clients, tmp_path / "data", "s3://recorder-later/raw", segment_s=0.0)
    async with running(recorder):
        await until(lambda: recorder.unsaved_s(time.monotonic()) > 2.5)
        assert recorder.not_ready() == []  # it records on
        assert committed(clients) == 0
        made(s3, "recorder-later")
        await until(lambda: recorder.unsaved_s(time.monotonic()) == 0)
        wanted += log(clients, b"four")
        await until(lambda: recorder.unsaved_s(time.monotonic()) > 0)
        wanted += log(clients, b"five")
        await until(lambda: recorder._recorder.records == 1 + len(wanted))  # and the connection
    assert there(s3, "recorder-later", tmp_path / "back") == wanted
    assert committed(clients) == len(wanted)
    assert list((tmp_path / "data").glob("*/*")) == []


async def test_a_disk_that_dies_with_its_recorder_loses_nothing(clients, s3, tmp_path):
    made(s3, "recorder-died")
    wanted = log(clients, b"one", b"two")
    first = RecorderService(clients, tmp_path / "first", "s3://recorder-died/raw", segment_s=3600.0)
    task = asyncio.create_task(first.run())
    await until(lambda: first._recorder.records == 1 + len(wanted))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    first._sending.cancel()
    first._consumer.close()
    second = RecorderService(clients, tmp_path / "second", "s3://recorder-died/raw", segment_s=3600.0)
    async with running(second):
        wanted += log(clients, b"three")
        await until(lambda: second._recorder.records == 1 + len(wanted))
    assert there(s3, "recorder-died", tmp_path / "back") == wanted
