"""Starts and ends processes, and calls bk."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / "bin"
OUT = ROOT / "out"

# The fake Zoho and the load share one core; the proxy has the other one to itself.
LOAD_CPU, PROXY_CPU = 0, 1

_started = []


def pinned(command, cpu):
    return command if cpu is None else ["taskset", "-c", str(cpu), *command]


def start(command, env=None, cpu=None, output=None, port=None):
    """Starts a process in a group of its own, and waits until it listens on the port."""
    target = open(output, "wb") if output else subprocess.DEVNULL
    process = subprocess.Popen(
        pinned([str(word) for word in command], cpu),
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=target,
        stderr=subprocess.STDOUT if output else subprocess.DEVNULL,
        process_group=0,
    )
    _started.append(process)
    if port:
        _wait_for_port(process, port)
    return process


def _wait_for_port(process, port):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"does not listen on {port}: {process.args}")


def stop(process, patience=2, ask=signal.SIGTERM):
    """Asks the group to end, and insists after a while."""
    for number in (ask, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            continue
    process.wait()
    _started.remove(process)


def stop_all():
    for process in list(_started):
        stop(process, patience=0.5)


def pids_of(process):
    """The processes of the group."""
    found = subprocess.run(["pgrep", "-g", str(process.pid)], capture_output=True, text=True, check=True)
    return found.stdout.split()


def bk(*arguments, cpu=LOAD_CPU, env=None):
    """Calls bk and returns what it prints. A wrong answer ends the comparison."""
    command = pinned([str(BIN / "bk"), *(str(argument) for argument in arguments)], cpu)
    variables = {**os.environ, **(env or {})}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=variables)
    result = json.loads(done.stdout) if done.returncode in (0, 1) and done.stdout else None
    if done.returncode or result is None or result.get("bad", 0):
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return result
