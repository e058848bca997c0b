"""The parts of the comparison. Each yields rows: one measurement of one peer in one round."""

import re
import signal
import subprocess
import time
from contextlib import contextmanager

from kit.peers import PEERS, Site, command_of, direct, start_otlp, start_peer, start_upstream
from kit.processes import LOAD_CPU, PROXY_CPU, bk, pids_of, start, stop, stop_all

# Of each round, in seconds.
WARM_UP, DURATION = 0.2, 0.6

# Requests a second of the open loop: far below what any peer can do on its core.
RATE = 2000


@contextmanager
def upstream_of(name, cpu_pinned=True):
    """A fake Zoho and a sink for OTLP; everything that was started ends with them."""
    options = {} if cpu_pinned else {"cpu": None}
    try:
        start_otlp(**options)
        yield start_upstream(name, **options)
    finally:
        stop_all()


def _rotated(peers, number):
    """So that no peer is always measured after the same other one."""
    at = number % len(peers)
    return peers[at:] + peers[:at]


def _interleaved(rounds, running, measure, **setting):
    for number in range(rounds):
        for peer in _rotated(running, number):
            yield {"peer": peer.name, "round": number, **setting, **measure(peer)}


def _load(peer, *options, cpu=LOAD_CPU):
    watch = ["--watch", peer.process.pid]
    return bk("load", *peer.ask, "--warmup", WARM_UP, *watch, *options, cpu=cpu)


def _closed(connections, **pinning):
    return lambda peer: _load(peer, "--conns", connections, "--duration", DURATION, **pinning)


def cpu(rounds):
    """CPU time a request, 64 connections, as fast as it goes."""
    for name in ("plain", "tls"):
        with upstream_of(name) as upstream:
            running = [start_peer(peer, upstream) for peer in PEERS]
            yield from _interleaved(rounds, running, _closed(64), upstream=name)


def latency(rounds):
    """Latency at a fixed rate, and that of the fake Zoho itself."""
    with upstream_of("plain") as upstream:
        running = [direct(upstream), *(start_peer(peer, upstream) for peer in PEERS)]
        options = ["--conns", 64, "--rate", RATE, "--duration", 1]
        yield from _interleaved(rounds, running, lambda peer: _load(peer, *options))


def cores(rounds):
    """Requests a second on two cores that proxy, load and fake Zoho share."""
    with upstream_of("plain", cpu_pinned=False) as upstream:
        running = [start_peer(peer, upstream, workers=2, cpu=None) for peer in PEERS]
        yield from _interleaved(rounds, running, _closed(64, cpu=None))


def linearity(rounds):
    """CPU time a request with few and many connections, and with a slow upstream."""
    settings = [("plain", connections) for connections in (1, 16, 64, 256, 1024)]
    settings += [(delay, 256) for delay in ("1ms", "20ms", "100ms")]
    for name, connections in settings:
        with upstream_of(name) as upstream:
            running = [start_peer(peer, upstream) for peer in ("ours", "nginx")]
            setting = {"upstream": name, "connections": connections}
            yield from _interleaved(rounds, running, _closed(connections), **setting)


def renewal(rounds):
    """Latency while tokens live 2 s, and while none is renewed."""
    with upstream_of("plain") as steady:
        renewed = start_upstream("2s-tokens")
        running = [start_peer("ours", steady), start_peer("ours", renewed)]
        for number in range(rounds):
            for peer in _rotated(running, number):
                # In 2 s there is at least one renewal.
                row = _load(peer, "--conns", 64, "--rate", RATE, "--duration", 2)
                yield {"peer": "ours", "round": number, "upstream": peer.site.upstream.name, **row}


def memory(rounds):
    """Memory at rest, and with 5,000 idle connections."""
    for number in range(_few(rounds)):
        with upstream_of("plain") as upstream:
            for name in PEERS:
                peer = start_peer(name, upstream)
                watch = ["--watch", peer.process.pid]
                time.sleep(0.5)
                idle = bk("mem", *watch)
                held = bk("hold", *peer.ask, "--conns", 5000, *watch)
                peer.stop()
                yield {
                    "peer": name,
                    "round": number,
                    "idle_kib": idle["pss_kib"],
                    "held_kib": held["memory"]["pss_kib"],
                }


def first(rounds):
    """Milliseconds from exec to the first right answer."""
    for name in ("plain", "tls"):
        with upstream_of(name) as upstream:
            for number in range(rounds):
                for peer in _rotated(list(PEERS), number):
                    yield {"peer": peer, "round": number, "upstream": name, **_first(peer, upstream)}


def _first(name, upstream):
    site = Site(name, upstream)
    command, environment, _ = command_of(site)
    options = ["--addr", site.address, "--pin", PROXY_CPU]
    return bk("first", *options, "--", *command, env=environment)


def instructions(rounds):
    """Instructions a request in user space, counted by callgrind. Envoy is too large for it."""
    with upstream_of("plain") as upstream:
        for number in range(_few(rounds)):
            for name in PEERS:
                if name != "envoy":
                    totals = [_count(name, upstream, requests) for requests in (1000, 9000)]
                    figure = (totals[1] - totals[0]) / 8000
                    yield {"peer": name, "round": number, "instructions": figure}


def _count(name, upstream, requests):
    """Instructions of a whole run with so many requests."""
    output = Site(name, upstream).dir / "callgrind.out"
    wrapper = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={output}"]
    peer = start_peer(name, upstream, alone=True, wrapper=wrapper)
    bk("load", *peer.ask, "--conns", 64, "--count", requests)
    # Callgrind writes its file when the program ends, which may drain before.
    peer.stop(patience=60)
    return int(re.search(r"^(?:totals|summary): (\d+)", output.read_text(), re.MULTILINE)[1])


def syscalls(rounds):
    """System calls a request, counted by strace."""
    with upstream_of("plain") as upstream:
        running = [start_peer(peer, upstream) for peer in PEERS]
        yield from _interleaved(_few(rounds), running, _count_syscalls)


def _count_syscalls(peer):
    requests = 10000
    output = peer.site.dir / "strace"
    attach = [word for pid in pids_of(peer.process) for word in ("-p", pid)]
    strace = start(["strace", "-c", "-f", "-q", "-o", output, *attach])
    _wait_until_traced(pids_of(peer.process))
    bk("load", *peer.ask, "--conns", 64, "--count", requests)
    stop(strace, patience=10, ask=signal.SIGINT)
    calls = int(re.search(r"^100\.00 +\S+ +\S+ +(\d+)", output.read_text(), re.MULTILINE)[1])
    return {"syscalls": calls / requests}


def _wait_until_traced(pids):
    for pid in pids:
        status = f"/proc/{pid}/status"
        while subprocess.run(["grep", "-q", "^TracerPid:\t0$", status], check=False).returncode == 0:
            time.sleep(0.05)
    # The other threads follow.
    time.sleep(0.3)


def _few(rounds):
    """For figures that hardly differ from run to run."""
    return min(rounds, 3)


PARTS = {
    "cpu": cpu,
    "latency": latency,
    "cores": cores,
    "linearity": linearity,
    "renewal": renewal,
    "memory": memory,
    "first": first,
    "instructions": instructions,
    "syscalls": syscalls,
}
