#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# report.py [-o DIR] base.records ours.records: one report, report.html and report.json, of what measure.sh left on each kernel.
import html
import json
import os
import statistics
import sys

STAGES = ["boot", "fresh", "churned", "healed"]
WORDS = ["kernel", "model", "midr", "cpus", "memory", "words", "cmdline"]
# Each of them has a row, measured or refused.
ROWS = ["available", "page_tables", "leaves", "in_pieces", "fio", "memcached", "hackbench", "stress-ng", "read", "modules", "bpf"]


def die(why):
    sys.exit(f"report: {why}")


def read(name):
    try:
        with open(name, encoding="utf-8", errors="replace") as f:
            lines = [line.rstrip("\n").split("\t") for line in f]
    except OSError as e:
        die(f"{name}: {e.strerror}; run measure.sh first")
    if not lines or any(len(line) != 5 for line in lines):
        die(f"{name}: these are no records of measure.sh")
    kernel = {"facts": {}, "refused": {}, "values": {}}
    for _, stage, what, unit, value in lines:
        if what.startswith("refused "):
            kernel["refused"].setdefault(what[8:], value)
        elif what in WORDS or what == "selftest":
            kernel["facts"][what] = value
        else:
            try:
                kernel["values"].setdefault((what, unit), {}).setdefault(stage, []).append(float(value))
            except ValueError:
                die(f"{name}: {what}: {value} is no number")
    return lines[0][0], kernel


def figure(values):
    text = f"{statistics.median(values):.10g}"
    if len(values) > 1:
        text += f" ({min(values):.10g} to {max(values):.10g})"
    return text


def table(rows):
    out = []
    for n, row in enumerate(rows):
        tag = "td" if n else "th"
        out.append("<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in row) + "</tr>")
    return "<table>" + "\n".join(out) + "</table>"


def main():
    args = sys.argv[1:]
    out = "."
    if args[:1] == ["-o"] and len(args) > 1:
        out, args = args[1], args[2:]
    if not args or args[0].startswith("-"):
        die("usage: report.py [-o DIR] base.records ours.records")
    kernels = {}
    for name in args:
        label, kernel = read(name)
        if label in kernels:
            die(f"{name}: the label {label} is there twice; measure again under another")
        kernels[label] = kernel

    facts = [[""] + list(kernels)]
    for what in WORDS + ["selftest"]:
        facts.append([what] + [k["facts"].get(what, "") or "not said" for k in kernels.values()])
    keys = {key for k in kernels.values() for key in k["values"]}
    keys |= {(row, "") for row in ROWS if not any(row == what for what, _ in keys)}
    order = {row: n for n, row in enumerate(ROWS)}
    figures = [["what", "unit"] + [f"{label}, {stage}" for label in kernels for stage in STAGES]]
    for what, unit in sorted(keys, key=lambda k: (order.get(k[0].split()[0], 99), k)):
        row = [what, unit]
        for kernel in kernels.values():
            values = kernel["values"].get((what, unit), {})
            row += [figure(values[s]) if s in values else "refused" if what in kernel["refused"] else "-" for s in STAGES]
        figures.append(row)
    refused = [["kernel", "what", "why"]]
    refused += [[label, what, why] for label, k in kernels.items() for what, why in k["refused"].items()]

    page = ('<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>A linear map that heals: on hardware</title>'
            "<style>body{font-family:sans-serif;margin:2em}td,th{padding:.2em .6em;text-align:left;border-bottom:1px solid #ccc}</style></head><body>"
            f"<h1>{html.escape(', '.join(kernels))}</h1>{table(facts)}"
            f"<h2>Figures</h2><p>Medians, and in brackets the least and the most.</p>{table(figures)}"
            f"<h2>Refused</h2>{table(refused)}</body></html>\n")
    data = {label: {"facts": k["facts"], "refused": k["refused"],
                    "values": [{"what": w, "unit": u, "stage": s, "median": statistics.median(v), "runs": v}
                               for (w, u), stages in k["values"].items() for s, v in stages.items()]}
            for label, k in kernels.items()}
    try:
        os.makedirs(out, exist_ok=True)
        for name, text in (("report.html", page), ("report.json", json.dumps(data, indent=1) + "\n")):
            with open(os.path.join(out, "." + name), "w", encoding="utf-8") as f:
                f.write(text)
            os.replace(os.path.join(out, "." + name), os.path.join(out, name))
    except OSError as e:
        die(f"{out}: {e.strerror}; name another folder with -o")
    print(f"# {os.path.join(out, 'report.html')} and report.json have {len(figures) - 1} rows of {len(kernels)} kernels")


main()
