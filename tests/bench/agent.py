#!/usr/bin/env python3
"""Measures the release agent beside a real collector on loopback, and collectd in the same run where it is installed.

usage: agent.py AGENT COLLECTOR [--minutes N]

Two agents run at the same time, at 60 s and at 15 s. CPU time is the kernel's (schedstat, nanoseconds), memory that of
smaps_rollup at the end, bytes on the wire are counted by a relay between agent and collector (TLS and HTTP included,
both directions), bytes written are the kernel's (write_bytes). The first minute is not counted: it holds enrolment's
aftermath, the TLS handshake and the first statements. Nothing but loopback is used.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

SETTLE_S = 60
CONSENT = """version = 1
example = true
approver = "Example approver"
reason = "Benchmark"
valid_from = "2020-01-01T00:00:00Z"
valid_to = "2099-01-01T00:00:00Z"
[scopes]
heartbeat = {{ every = "{every}" }}
performance = {{ every = "{every}" }}
os_state = {{ every = "{every}" }}
network = {{ every = "{every}" }}
"""


class Relay:
    """Forwards TCP and counts the bytes of both directions."""

    def __init__(self, port):
        self.target, self.sent, self.back = port, 0, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            here, _ = self.socket.accept()
            there = socket.create_connection(("127.0.0.1", self.target))
            for a, b, up in ((here, there, True), (there, here, False)):
                threading.Thread(target=self.pump, args=(a, b, up), daemon=True).start()

    def pump(self, a, b, up):
        try:
            while data := a.recv(65536):
                self.sent, self.back = self.sent + len(data) * up, self.back + len(data) * (not up)
                b.sendall(data)
        except OSError:
            pass
        for end in (a, b):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def cpu_s(pid):
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def field(path, name):
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise KeyError(name)


def collectd(folder, interval):
    """The peer: ten read plugins, sending to a UDP port that nobody reads."""
    binary = shutil.which("collectd", path="/usr/sbin:/usr/bin")
    if not binary:
        return None
    plugins = "cpu load memory swap df disk interface uptime processes entropy".split()
    config = folder / "collectd.conf"
    config.write_text(
        f'BaseDir "{folder}"\nPIDFile "{folder}/collectd.pid"\nInterval {interval}\nHostname "example"\nFQDNLookup false\n'
        + "".join(f"LoadPlugin {name}\n" for name in plugins)
        + f'LoadPlugin network\n<Plugin network>\n  Server "127.0.0.1" "{free_port()}"\n</Plugin>\n'
    )
    return subprocess.Popen([binary, "-f", "-C", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agent")
    parser.add_argument("collector")
    parser.add_argument("--minutes", type=float, default=5)
    options = parser.parse_args()
    agent, collector = os.path.abspath(options.agent), os.path.abspath(options.collector)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mimamori-bench-"))
    folder.chmod(0o755)
    # The agent refuses root, and its account need not be able to reach this checkout.
    shutil.copy(agent, folder / "mimamori-agent")
    as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    ports = [free_port() for _ in range(3)]
    sets = [f"state_dir={folder}/collector", f"ingest.listen=127.0.0.1:{ports[0]}", f"pages.listen=127.0.0.1:{ports[1]}", f"metrics.listen=127.0.0.1:{ports[2]}"]
    call = [collector] + [part for pair in sets for part in ("--set", pair)]
    run = lambda *args: subprocess.run(call + list(args), check=True, capture_output=True, text=True).stdout
    run("init", "--host", "127.0.0.1")
    run("facility", "add", "example", "--name", "Example", "--example")
    processes = []
    try:
        processes.append(subprocess.Popen(call + ["serve"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        time.sleep(1)
        agents = {}
        for interval in (60, 15):
            state = folder / f"agent-{interval}"
            state.mkdir(mode=0o700)
            (folder / f"consent-{interval}.toml").write_text(CONSENT.format(every=f"{interval}s"))
            token = folder / f"token-{interval}"
            run("token", "create", "--facility", "example", "--machine", f"m{interval}", "--output", str(token))
            if as_user:
                for path in (state, token):
                    os.chown(path, 65534, 65534)
            relay = Relay(ports[0])
            own = [str(folder / "mimamori-agent"), "--config", str(folder / "none.toml")]
            for pair in (f"state_dir={state}", f"consent_file={folder}/consent-{interval}.toml", f"interval={interval}s", f"collector.url=https://127.0.0.1:{relay.port}"):
                own += ["--set", pair]
            subprocess.run(as_user + own + ["enroll", "--token-file", str(token)], check=True, capture_output=True)
            process = subprocess.Popen(as_user + own + ["run"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            processes.append(process)
            agents[interval] = (process.pid, relay)
        peers = {}
        for interval in (60, 15):
            home = folder / f"collectd-{interval}"
            home.mkdir()
            if peer := collectd(home, interval):
                processes.append(peer)
                peers[interval] = peer.pid
        listed = lambda: {row["machine"]: row["reports"] for row in json.loads(run("machine", "list", "--json"))["machines"]}
        time.sleep(SETTLE_S)
        before = {i: (cpu_s(pid), (relay.sent, relay.back), field(f"/proc/{pid}/io", "write_bytes"), listed()[f"m{i}"]) for i, (pid, relay) in agents.items()}
        peer_before = {i: cpu_s(pid) for i, pid in peers.items()}
        begun = time.monotonic()
        time.sleep(max(options.minutes * 60 - SETTLE_S, 120))
        took = time.monotonic() - begun
        hour = 3600 / took
        print(f"binary: {os.path.getsize(agent) / 2**20:.2f} MiB (aim <= 6)")
        for i, (pid, relay) in agents.items():
            cpu, wire, written, reports = before[i]
            cpu = (cpu_s(pid) - cpu) * hour
            reports = listed()[f"m{i}"] - reports
            rollup = f"/proc/{pid}/smaps_rollup"
            rss, pss = field(rollup, "Rss") / 1024, field(rollup, "Pss") / 1024
            threads = field(f"/proc/{pid}/status", "Threads")
            aim = {60: 0.5, 15: 1.4}[i]
            peer = ""
            if i in peers:
                other = (cpu_s(peers[i]) - peer_before[i]) * hour
                other_pss = field(f"/proc/{peers[i]}/smaps_rollup", "Pss") / 1024
                peer = f"; collectd in the same run: {other:.2f} CPU-s/h, {other_pss:.2f} MiB PSS (ratios {cpu / other:.2f}, {pss / other_pss:.2f})" if other else ""
            print(f"at {i} s, {reports} reports in {took:.0f} s:")
            print(f"  resident {rss:.2f} MiB, proportional {pss:.2f} MiB (aim <= 7.5), {threads} threads")
            print(f"  CPU {cpu:.3f} s per hour (aim <= {aim}){peer}")
            sent, back = ((now - then) / max(reports, 1) for now, then in zip((relay.sent, relay.back), wire))
            print(f"  on the wire {sent:.0f} bytes per report (aim <= 1500) and {back:.0f} back with the receipt, TLS and HTTP included")
            print(f"  written to disk {(field(f'/proc/{pid}/io', 'write_bytes') - written) * hour / 1e6:.2f} MB per hour" + (" (aim <= 3)" if i == 60 else ""))
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(timeout=15)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
