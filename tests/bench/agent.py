#!/usr/bin/env python3
"""Measures the release agent beside a real collector on loopback, and collectd in the same run where it is installed.

usage: agent.py AGENT COLLECTOR [--minutes N]

Two agents run at the same time, at 60 s and at 15 s, each of a binary of its own. CPU time is the kernel's (in
nanoseconds, threads that ended included), memory that of smaps_rollup at the end, bytes on the wire are counted by a
relay between agent and collector (TLS and HTTP included, both directions), bytes written are the kernel's
(write_bytes). The first minute is not counted: it holds enrolment's aftermath, the TLS handshake and the first
statements. Nothing but loopback is used.
"""

import argparse
import os
import shutil
import sys
import time

from rig import Rig, cpu_s, field, free_port, memory

SETTLE_S = 60
SCOPES = ("heartbeat", "performance", "os_state", "network")


def collectd(folder, interval):
    """The peer: ten read plugins, sending to a UDP port that nobody reads."""
    binary = shutil.which("collectd", path="/usr/sbin:/usr/bin")
    if not binary:
        return None
    folder.mkdir()
    plugins = "cpu load memory swap df disk interface uptime processes entropy".split()
    config = folder / "collectd.conf"
    config.write_text(
        f'BaseDir "{folder}"\nPIDFile "{folder}/collectd.pid"\nInterval {interval}\nHostname "example"\nFQDNLookup false\n'
        + "".join(f"LoadPlugin {name}\n" for name in plugins)
        + f'LoadPlugin network\n<Plugin network>\n  Server "127.0.0.1" "{free_port()}"\n</Plugin>\n'
    )
    return [binary, "-f", "-C", str(config)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agent")
    parser.add_argument("collector")
    parser.add_argument("--minutes", type=float, default=5)
    options = parser.parse_args()
    with Rig(options.agent, options.collector) as rig:
        agents, peers = {}, {}
        for interval in (60, 15):
            agents[interval] = rig.start_agent(f"m{interval}", dict.fromkeys(SCOPES, f"{interval}s"), [f"interval={interval}s"])
        for interval in (60, 15):
            if command := collectd(rig.folder / f"collectd-{interval}", interval):
                peers[interval] = rig.start(command)
        time.sleep(SETTLE_S)
        listed = rig.reports()
        before = {i: (cpu_s(pid), (relay.sent, relay.back), field(f"/proc/{pid}/io", "write_bytes"), listed[f"m{i}"]) for i, (pid, relay) in agents.items()}
        peer_before = {i: cpu_s(pid) for i, pid in peers.items()}
        begun = time.monotonic()
        time.sleep(max(options.minutes * 60 - SETTLE_S, 120))
        took = time.monotonic() - begun
        hour = 3600 / took
        print(f"binary: {os.path.getsize(options.agent) / 2**20:.2f} MiB (aim <= 6)")
        listed = rig.reports()
        for i, (pid, relay) in agents.items():
            cpu, wire, written, reports = before[i]
            cpu = (cpu_s(pid) - cpu) * hour
            reports = listed[f"m{i}"] - reports
            rss, pss = memory(pid)
            threads = field(f"/proc/{pid}/status", "Threads")
            aim = {60: 0.5, 15: 1.4}[i]
            peer = ""
            if i in peers:
                other = (cpu_s(peers[i]) - peer_before[i]) * hour
                _, other_pss = memory(peers[i])
                peer = f"; collectd in the same run: {other:.2f} CPU-s/h, {other_pss:.2f} MiB PSS (ratios {cpu / other:.2f}, {pss / other_pss:.2f})" if other else ""
            print(f"at {i} s, {reports} reports in {took:.0f} s:")
            print(f"  resident {rss:.2f} MiB, proportional {pss:.2f} MiB (aim <= 7.5), {threads} threads")
            print(f"  CPU {cpu:.3f} s per hour (aim <= {aim}){peer}")
            sent, back = ((now - then) / max(reports, 1) for now, then in zip((relay.sent, relay.back), wire))
            print(f"  on the wire {sent:.0f} bytes per report (aim <= 1500) and {back:.0f} back with the receipt, TLS and HTTP included")
            print(f"  written to disk {(field(f'/proc/{pid}/io', 'write_bytes') - written) * hour / 1e6:.2f} MB per hour" + (" (aim <= 3)" if i == 60 else ""))


if __name__ == "__main__":
    sys.exit(main())
