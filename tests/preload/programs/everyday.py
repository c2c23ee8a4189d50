"""Threads, big containers and the C modules of Python, all in one process."""

import array
import hashlib
import json
import queue
import re
import sqlite3
import threading
import zlib


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def containers():
    words = {f"key{i}": [i] * (i % 50) for i in range(50_000)}
    print("dict", len(words), sum(map(len, words.values())))
    for i in range(0, 50_000, 2):
        del words[f"key{i}"]
    print("half", len(words), digest(json.dumps(words).encode()))
    numbers = array.array("q", range(500_000))
    numbers.extend(numbers)
    print("array", len(numbers), digest(numbers.tobytes()))
    grown = bytearray()
    for i in range(20_000):
        grown += b"%d," % i
    print("bytearray", len(grown), digest(bytes(grown)))
    print("int", digest(hex(3 ** 100_000).encode()))


def modules():
    text = " ".join(f"{i * i % 997}" for i in range(100_000))
    print("re", len(re.findall(r"(\d)\1", text)))
    packed = zlib.compress(text.encode(), 9)
    print("zlib", len(packed), zlib.decompress(packed).decode() == text)
    database = sqlite3.connect(":memory:")
    database.execute("create table t (a integer, b text)")
    database.executemany("insert into t values (?, ?)",
                         ((i % 100, str(i)) for i in range(30_000)))
    print("sqlite3", database.execute(
        "select sum(a), max(b), count(distinct a) from t").fetchone())


def threads():
    """Blocks pass from thread to thread: freed where they were not made."""
    jobs, results = queue.Queue(), queue.Queue()

    def work():
        while (data := jobs.get()) is not None:
            results.put((len(data), digest(data * 10)))

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for i in range(800):
        jobs.put(bytes([i % 256]) * (i * 17 + 1))
    for _ in workers:
        jobs.put(None)
    for worker in workers:
        worker.join()
    print("threads", digest(repr(sorted(results.queue)).encode()))


def short_threads():
    total = []
    for i in range(300):
        thread = threading.Thread(target=lambda n=i: total.append([n] * n))
        thread.start()
        thread.join()
    print("short threads", sum(map(len, total)))


if __name__ == "__main__":
    containers()
    modules()
    threads()
    short_threads()
