#!/usr/bin/env python3
"""Makes strikes.jsonl out of birdstrikes.csv (see README.md for where that file comes from).

    python3 convert.py path/to/birdstrikes.csv > strikes.jsonl

Takes the records from 1998 on, in their order. Changes no value: columns get short names, numbers become
numbers, and an empty speed is left out. `id` is the record's number among the data rows of the whole
CSV file, counted from 1, so every line can be traced back to its source.
"""

import csv
import json
import sys

FIRST_DATE = "1998-01-01"
TEXT = {
    "date": "Flight Date",
    "airport": "Airport Name",
    "state": "Origin State",
    "operator": "Aircraft Airline Operator",
    "aircraft": "Aircraft Make Model",
    "phase": "Phase of flight",
    "time_of_day": "Time of day",
    "species": "Wildlife Species",
    "size": "Wildlife Size",
    "damage": "Effect Amount of damage",
}
NUMBERS = {
    "cost_repair": "Cost Repair",
    "cost_other": "Cost Other",
    "cost_total": "Cost Total $",
    "speed_knots": "Speed IAS in knots",
}


def main() -> None:
    with open(sys.argv[1], encoding="utf-8", newline="") as source:
        for number, row in enumerate(csv.DictReader(source), start=1):
            if row["Flight Date"] < FIRST_DATE:
                continue
            record = {"id": f"strike-{number:05}"}
            record.update({name: row[column] for name, column in TEXT.items()})
            record.update({name: int(row[column]) for name, column in NUMBERS.items() if row[column] != ""})
            sys.stdout.write(json.dumps(record, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
