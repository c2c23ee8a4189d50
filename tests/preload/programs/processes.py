"""Python's ways to make processes: fork, pools, spawn, subprocess."""

import concurrent.futures
import hashlib
import multiprocessing
import os
import subprocess
import sys
import threading
import warnings

# Forking while threads run is what is to be tried here.
warnings.simplefilter("ignore", DeprecationWarning)


def square_sum(number):
    return sum(i * i for i in [number] * 1000)


def hash_block(size):
    return hashlib.md5(bytearray(size)).hexdigest()


def fork_once(number):
    """A child that allocates and answers through a pipe."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        blocks = [bytearray(1000 * (i + 1)) for i in range(200)]
        os.write(writing, b"%d" % (sum(map(len, blocks)) + number))
        os._exit(number % 7)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return answer.decode(), os.waitstatus_to_exitcode(status) \
        if hasattr(os, "waitstatus_to_exitcode") else status >> 8


def fork_beside_threads():
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            [str(i) * 50 for i in range(300)]

    threads = [threading.Thread(target=churn) for _ in range(2)]
    for thread in threads:
        thread.start()
    print("fork", [fork_once(i) for i in range(15)])
    stop.set()
    for thread in threads:
        thread.join()


def pools():
    fork = multiprocessing.get_context("fork")
    with fork.Pool(3) as pool:
        print("pool", sum(pool.map(square_sum, range(200), chunksize=7)))
        hashes = pool.map(hash_block, range(0, 900_000, 9_000))
        print("blocks", len(set(hashes)))
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=spawn) as pool:
        print("spawn", list(pool.map(square_sum, range(5))))


def queues():
    queue = multiprocessing.Queue()
    processes = [multiprocessing.Process(target=queue.put, args=([i] * 50_000,))
                 for i in range(4)]
    for process in processes:
        process.start()
    print("queue", sorted(sum(queue.get()) for _ in processes))
    for process in processes:
        process.join()
    print("codes", [process.exitcode for process in processes])


def commands():
    print("echo", subprocess.check_output(["echo", "hello"]))
    done = subprocess.run("cat | tr a-z A-Z | wc -c; exit 4", shell=True,
                          input=b"text\n" * 10_000, stdout=subprocess.PIPE,
                          check=False)
    print("shell", done.returncode, done.stdout.strip())
    script = "print(len([bytearray(1000) for _ in range(5000)]))"
    print("python", subprocess.check_output([sys.executable, "-c", script]))


if __name__ == "__main__":
    fork_beside_threads()
    pools()
    queues()
    commands()
    sys.stdout.flush()
