"""Take memory in steps of 100,000 bytes until there is no more, then say so.

    umemcg run --max 64M -- python3 hog.py        stops at the limit
    umemcg run           -- python3 hog.py 1G     stops by itself at 1 GiB

Without a limit and without a size it takes all the memory of the machine.
"""

import os
import sys

STEP = 100_000
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_size(text):
    """The number of bytes in "64M", "1G" or "5000000"."""
    unit = UNITS.get(text[-1:].upper(), 1)
    return int(text.rstrip("kKmMgG")) * unit


def take(blocks, size):
    """Appends blocks until they hold `size` bytes, or until MemoryError.

    A program under a limit is not killed: the allocation that does not fit
    fails, and the program may handle that like any other error.
    """
    got = 0
    try:
        while size is None or got < size:
            blocks.append(bytearray(STEP))
            got += STEP
    except MemoryError:
        return b"MemoryError after %d bytes\n", got
    return b"reached %d bytes\n", got


def main():
    size = parse_size(sys.argv[1]) if len(sys.argv) > 1 else None
    blocks = []
    words, got = take(blocks, size)
    # All blocks are still held. os.write needs next to no memory, where
    # print() might have to grow a buffer.
    os.write(sys.stdout.fileno(), words % got)


if __name__ == "__main__":
    main()
