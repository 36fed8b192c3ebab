#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The records of bench.sh, on stdin, as JSON: an object of lists, one for each kind of record, in which numbers are numbers."""
import json
import re
import sys

kinds = {}
for line in sys.stdin:
    kind, _, rest = line.rstrip('\n').partition(' ')
    # The text of a source has blanks, and is the last.
    pairs = re.findall(r'(?<!\S)([^\s=]+)=((?<=text=).*|\S*)', rest)
    kinds.setdefault(kind, []).append({k: int(v) if re.fullmatch(r'-?\d+', v) else v for k, v in pairs})
json.dump(kinds, sys.stdout, indent=2)
print()
