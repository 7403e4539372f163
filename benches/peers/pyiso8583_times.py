"""Times pyiso8583 on the benchmark messages: one line for each message and operation.

    python3 pyiso8583_times.py FOLDER_OF_REFERENCE_MESSAGES

Reading decodes every field into a dictionary of texts, so that reading and reading every field
are the same work. It checks lengths and encodings but no character classes.
"""

import json
import pathlib
import sys
import timeit

import iso8583
from iso8583.specs import default_ascii

folder = pathlib.Path(sys.argv[1])
ROUNDS, TURN = 20, 500

for name, fields in json.loads((folder / "fields.json").read_text()).items():
    wire = (folder / f"{name}.ascii_hexbm.bin").read_bytes()
    values = {number: value for number, value in fields.items() if number != "0"}

    def parse():
        return iso8583.decode(wire, default_ascii)[0]

    def read():
        return [(number, value) for number, value in iso8583.decode(wire, default_ascii)[0].items()]

    def build():
        message = {"t": fields["0"]}
        message.update(values)
        return iso8583.encode(message, default_ascii)[0]

    found = parse()
    assert all(found[number] == value for number, value in values.items()), name
    assert bytes(build()) == wire, name
    for operation, work in (("parse", parse), ("parse + read all", read), ("build", build)):
        least = min(timeit.repeat(work, number=TURN, repeat=ROUNDS)) / TURN
        print(f"{name}\t{operation}\t{least * 1e9:.0f}")
