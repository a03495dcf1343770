from __future__ import annotations

import subprocess
import sys
import threading

from derivasys.telemetry.watchdog import EXIT_STALLED, Watchdog

STALLS = """
import asyncio, time
from derivasys.telemetry.watchdog import Watchdog

async def main():
    dog = Watchdog(0.3)
    dog.start()
    for _ in range(5):
        dog.beat()
        await asyncio.sleep(0.05)
    print("stalls now", flush=True)
    time.sleep(60)

asyncio.run(main())
"""


def test_a_process_whose_loop_stands_still_ends_and_says_where():
    done = subprocess.run([sys.executable, "-c", STALLS], capture_output=True, check=False, text=True, timeout=30)
    assert done.returncode == EXIT_STALLED
    assert "stalls now" in done.stdout
    assert "has not turned" in done.stderr
    assert 'File "<string>"' in done.stderr


def test_a_beating_loop_goes_on_and_stopping_is_no_stall():
    ended = threading.Event()
    dog = Watchdog(30.0, lambda code: ended.set())
    dog.start()
    dog.beat()
    dog.stop()
    assert not ended.is_set()
