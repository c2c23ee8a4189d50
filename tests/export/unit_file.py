"""The units of examples/systemd, read as systemd reads them."""

import os
import shlex

# What a command's first word may begin with.
PREFIXES = "-@:+!"


class Unit:
    def __init__(self, source_dir, name):
        self.name = name
        path = os.path.join(source_dir, "examples/systemd", name)
        with open(path, encoding="utf-8") as file:
            self.text = file.read()
        self.lines = []  # (section, key, value)
        section = None
        for line in self.text.splitlines():
            line = line.strip()
            if not line or line[0] in "#;":
                continue
            if line[0] == "[":
                section = line.strip("[]")
                continue
            key, value = line.split("=", 1)
            self.lines.append((section, key, value))

    def values(self, key):
        """All of them, in the order in which they stand."""
        return [value for section, name, value in self.lines
                if section == "Service" and name == key]

    def value(self, key):
        found = self.values(key)
        return found[-1] if found else ""

    def commands(self, key, replaced):
        """Words of each command; `replaced` says which stand for others."""
        return [[replaced.get(word, word) for word in
                 shlex.split(value.lstrip(PREFIXES))]
                for value in self.values(key)]

    def environment(self):
        return dict(assignment.split("=", 1)
                    for value in self.values("Environment")
                    for assignment in shlex.split(value))
