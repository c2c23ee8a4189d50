"""What ships has no labelled points; what the tests are built on has them."""

import pathlib
import re
import sys

library, faulty, source = map(pathlib.Path, sys.argv[1:])
POINT = re.compile(r'fault_point\("([^"]*)"\)')
labels = {label for layer in ("accounting", "stock")
          for file in (source / layer).glob("*.cc")
          for label in POINT.findall(file.read_text())}
there = {label for label in labels if label.encode() in faulty.read_bytes()}
shipped = library.read_bytes()
leaked = {word for word in labels | {"g_fault_point_hook"}
          if word.encode() in shipped}
if there != labels or not labels:
    sys.exit(f"missing in {faulty}: {sorted(labels - there)}")
if leaked:
    sys.exit(f"left in {library}: {sorted(leaked)}")
print(f"{len(labels)} labels")
