#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""demo.py DIR MIB picture|table|readme|compare: what the consoles of demo.sh say of the linear map.

picture  the map before and after, as far as there is a console of it
table    all figures, by leaf size
readme   the rows of README.md's first table
compare  these with a README.md on stdin: says which differ by more than one run from the next
"""
import re
import sys

SIZES = {'4K': 4, '64K': 64, '2M': 2048, '32M': 32768, '1G': 1048576}
MARKS = {'1G': '#', '32M': '#', '2M': '=', '64K': '-', '4K': '.'}
WORK = {'secretmem': '16 memfd_secret files of 32 MiB, every 7th page touched, then closed; twice',
        'mixed': 'secretmem, eBPF, modules, kprobes and ftrace on all CPUs while the page tables are read'}
PHASES = {'boot': 'after boot', 'open': 'files open', 'closed': 'files closed', 'secretmem-later': 'a while later',
          'churn': 'at work', 'mixed-closed': 'all ended'}
README = [('secretmem', ('boot', 0), 'after boot'),
          ('secretmem', ('open', 2), '16 `memfd_secret` files of 32 MiB open, every 7th page touched, second round'),
          ('secretmem', ('secretmem-later', 0), 'all of them closed, a while later'),
          ('mixed', ('churn', 0), 'secretmem, eBPF, modules, kprobes, ftrace and kexec_load on all CPUs at once'),
          ('mixed', ('mixed-later', 0), 'all of that ended, a while later')]


def read(folder, who, work):
    """The last figures of each phase, and the line that says how it healed; None without a console."""
    phases, heal = {}, {}
    try:
        with open(f'{folder}/{who}-{work}/lines', errors='replace') as f:
            for line in f:
                if line.startswith('# lab: phase='):
                    v = dict(re.findall(r'(\S+)=(\S+)', line))
                    phases[v['phase'], int(v['round'])] = v
                elif line.startswith('# lab: heal='):
                    heal = dict(re.findall(r'(\S+)=(\S+)', line))
    except OSError:
        return None
    return phases, heal


def title(phase):
    name = PHASES.get(phase[0], 'later')
    return f'round {phase[1]}: {name}' if phase[0] in ('open', 'closed') else name


def bar(v, most, width=40):
    """The leaves, a cell for each 1/width of the most that there are, by size; a # where all are too few for one."""
    cells = ''.join(MARKS[s] * round(int(v.get(s, 0)) * width / most) for s in SIZES)
    return (cells or '#')[:width].ljust(width)


def picture(folder, mib):
    size = f'{mib // 1024} GiB' if mib % 1024 == 0 else f'{mib} MiB'
    sides = [(name, read(folder, who, 'secretmem')) for who, name in (('base', 'unmodified'), ('ours', 'with the series'))]
    sides = [(name, got[0]) for name, got in sides if got]
    shown = [(phase, title) for phase, title in (
        (('boot', 0), 'after boot'), (('open', 2), '16 secret files open'), (('secretmem-later', 0), 'all closed, later'))]
    most = max([int(got[phase]['leaves']) for _, got in sides for phase, _ in shown if phase in got], default=1)
    print(f'\nLeaves that map {size} in the linear map, a cell for {-(-most // 40)}:  . of 4K  - of 64K  = of 2M  # larger, or few')
    for name, got in sides:
        print(name)
        for phase, what in shown:
            if phase in got:
                v = got[phase]
                print(f'  {what:20} |{bar(v, most)}| {int(v["leaves"]):6} leaves, {v["kernel_pt"]} tables')
    print()


def table(folder):
    columns = list(SIZES) + ['leaves', 'kernel_pt']
    width = [6, 5, 4, 4, 3, 7, 7]
    head = ''.join(f' {("tables" if c == "kernel_pt" else c):>{w}}' for c, w in zip(columns, width))
    for work, what in WORK.items():
        base, ours = read(folder, 'base', work), read(folder, 'ours', work)
        if not base or not ours:
            continue
        print(f'\n{what}\n{"":23} {"unmodified":42}   with the series\n{"leaves of the map":22} {head}  |{head}')
        for phase in list(base[0]) + [p for p in ours[0] if p not in base[0]]:
            cells = [''.join(f' {side[0].get(phase, {}).get(c, "-"):>{w}}' for c, w in zip(columns, width)) for side in (base, ours)]
            print(f'{title(phase):22} {cells[0]}  |{cells[1]}')
        healed = f'healed: unmodified {base[1].get("heal", "-")}; with the series {ours[1].get("heal", "-")}'
        if ours[1].get('heal') == 'yes':
            healed += f', seen {ours[1]["ms"]} ms after the last close (at most {ours[1]["limit"]} leaves allowed)'
        print(healed)


def readme_rows(folder):
    for work, phase, what in README:
        sides = [read(folder, who, work) for who in ('base', 'ours')]
        if all(s and phase in s[0] for s in sides):
            base, ours = (f'{s[0][phase]["leaves"]} ({s[0][phase]["kernel_pt"]})' for s in sides)
            yield work, f'| {what} | {base} | {ours} |'


def readme(folder):
    for _, row in readme_rows(folder):
        print(row)


def compare(folder):
    """Of what all CPUs do at once a snapshot is what it is: half or twice as much. The rest is the same each time, but for a few."""
    text = sys.stdin.read().splitlines()
    rows = list(readme_rows(folder))
    if len(rows) < len(README):
        print(f'{folder} has {len(rows)} of {len(README)} rows: make was stopped; run it again')
    for work, row in rows:
        what = row.split(' | ')[0] + ' |'
        found = [line for line in text if line.startswith(what)]
        if not found:
            print(f'README.md has no row "{what}"')
            continue
        there, here = ([int(n) for n in re.findall(r'\d+', line[len(what):])] for line in (found[0], row))
        slack = 2 if work == 'mixed' else 1.05
        if len(there) != len(here) or any(max(a, b) > min(a, b) * slack + 4 for a, b in zip(there, here)):
            print(f'README.md says "{found[0]}", make says "{row}"')


if __name__ == '__main__':
    if len(sys.argv) != 4 or sys.argv[3] not in ('picture', 'table', 'readme', 'compare'):
        sys.exit(__doc__)
    if sys.argv[3] == 'picture':
        picture(sys.argv[1], int(sys.argv[2]))
    else:
        {'table': table, 'readme': readme, 'compare': compare}[sys.argv[3]](sys.argv[1])
