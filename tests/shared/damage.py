"""Damage to a domain's file while it is in use."""

import mmap
import struct

# SegmentHeader (accounting/layout.h): magic, version, reserved, total_bytes,
# four counts of rows, five offsets of tables.
HEADER = struct.Struct("<QIIQ4I5Q")


class DomainFile:
    """A domain's file, mapped as the processes of the domain have it."""

    def __init__(self, path):
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        fields = HEADER.unpack_from(self.map)
        groups, processes, ledgers, lines, buckets = fields[8:]
        # Mostly where rows are in use: the first of each table.
        self.places = [(0, 1024), (groups, 24 * 2048), (processes, 16 * 128),
                       (ledgers, 128 * 192), (lines, 32 * 256),
                       (buckets, 16 * 1024), (0, len(self.map))]

    def close(self):
        self.map.close()

    def damage(self, random):
        """A few bytes, bits or words become something else."""
        for _ in range(random.choice((1, 1, 1, 2, 8, 64))):
            start, size = random.choice(self.places)
            at = start + random.randrange(size) & ~7
            at = min(at, len(self.map) - 8)
            word = int.from_bytes(self.map[at:at + 8], "little")
            word = random.choice((self.flip, self.byte, self.any, self.edge))(
                random, word)
            self.map[at:at + 8] = word.to_bytes(8, "little")

    @staticmethod
    def flip(random, word):
        return word ^ 1 << random.randrange(64)

    @staticmethod
    def byte(random, word):
        shift = 8 * random.randrange(8)
        return word & ~(0xff << shift) | random.randrange(256) << shift

    @staticmethod
    def any(random, _):
        return random.getrandbits(64)

    @staticmethod
    def edge(random, word):
        """Numbers that somebody compares with, beside them, or negative."""
        small = random.choice((0, 1, 2, 0xffffffff, 0x7fffffff, 0x80000000,
                               (word + 1) & 0xffffffff))
        if random.random() < 0.5:
            return word & ~0xffffffff | small
        return random.choice((0, 1 << 63, (1 << 63) - 1, (1 << 64) - 1,
                              (1 << 64) - word if word else 1,
                              word << 32 & (1 << 64) - 1 | word >> 32))
