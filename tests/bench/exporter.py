#!/usr/bin/env python3
"""Measures the agent with every probe that applies here, beside Prometheus' node-exporter in its default set.

usage: exporter.py AGENT HELPER COLLECTOR [--minutes N]

Two pairs run at the same time: the agent by its default plan (a report every 60 s) beside an exporter scraped every
60 s, and the agent with every scope at 15 s beside one scraped every 15 s. All scopes are consented to, and one check of
an application is on. As root, the hardware helper runs once; its processor time and that of its tools is added as often
as a timer starts it, and the agents find what it left in a /run of their own, where nothing else is changed. The
exporter is scraped as Prometheus does it: over loopback, on one connection that is kept, with gzip.

Each process has a binary of its own, so that none counts only half of its pages. CPU time is the kernel's (in
nanoseconds, threads that ended included), memory that of smaps_rollup at the end. The first two minutes are not counted.
"""

import argparse
import http.client
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time

from rig import CONSENT, NOBODY, Rig, cpu_s, field, free_port, memory

SETTLE_S = 120
SCOPES = ("heartbeat", "performance", "hardware", "os_state", "network", "application_probe", "log_counts")
INTERVALS_S = (60, 15)
HELPER_RUNS_PER_HOUR = 4


class Exporter:
    """One node-exporter as packaged, and a thread that scrapes it."""

    def __init__(self, rig, binary, interval):
        as_user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        port, self.scrapes, self.bytes, self.fault = free_port(), 0, 0, None
        self.pid = rig.start(as_user + [rig.own_copy(binary, str(interval)), f"--web.listen-address=127.0.0.1:{port}"])
        time.sleep(1)
        threading.Thread(target=self.scrape, args=(port, interval), daemon=True).start()

    def scrape(self, port, interval):
        try:
            connection, due = http.client.HTTPConnection("127.0.0.1", port, timeout=10), time.monotonic()
            while True:
                connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    raise OSError(f"status {answer.status}")
                self.scrapes, self.bytes = self.scrapes + 1, self.bytes + len(body)
                due += interval
                time.sleep(max(due - time.monotonic(), 0))
        except (OSError, http.client.HTTPException) as fault:
            self.fault = fault


def helper_once(helper, folder):
    """Runs the helper where that is allowed: its processor time, tools included, and what starts an agent that finds what it said."""
    if os.geteuid() != 0:
        return 0.0, []
    # It believes no consent but the one in /etc: it gets an /etc of its own.
    consent = folder / "etc" / "mimamori" / "consent.toml"
    consent.parent.mkdir(parents=True, mode=0o755)
    consent.write_text(CONSENT + "".join(f"{scope} = {{ }}\n" for scope in SCOPES))
    for path, mode in ((consent.parent.parent, 0o755), (consent.parent, 0o755), (consent, 0o644)):
        path.chmod(mode)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run([*laid_over(consent.parent.parent, "/etc"), os.path.abspath(helper), "--print"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = sorted({run["tool"] for run in json.loads(ran.stdout or "{\"runs\": []}")["runs"] if run["outcome"] == "done"})
    if not done:
        raise RuntimeError(f"the hardware helper ran no tool: {ran.stderr.decode(errors='replace')}")
    print(f"hardware helper: ran {', '.join(done)}")
    place = folder / "run" / "mimamori-agent-hardware"
    place.mkdir(parents=True)
    (place / "report.json").write_bytes(ran.stdout)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, laid_over(place.parent, "/run")


def laid_over(folder, place):
    """What starts a command that finds this folder's files in that place, where nothing else is changed."""
    return ["unshare", "--mount", "sh", "-c", f'mount -t overlay overlay -o "lowerdir={folder}:{place}" {place} && exec "$@"', "sh"]


def start_agents(rig, before):
    """The agents by interval in seconds: at 60 s as nobody configured it, at 15 s every scope."""
    check = f'[application.collector]\nkind = "tcp"\ntarget = "127.0.0.1:{rig.ingest}"\n'
    plans = {60: [], 15: ["interval=15s"] + [f"intervals.{scope}=15s" for scope in SCOPES]}
    return {every: rig.start_agent(f"m{every}", dict.fromkeys(SCOPES, "5s"), plans[every], check, before) for every in INTERVALS_S}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("agent", "helper", "collector"):
        parser.add_argument(name)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    binary = shutil.which("prometheus-node-exporter")
    if not binary:
        print("prometheus-node-exporter is not installed: packaging/setup/install.sh bench")
        return 1
    with Rig(options.agent, options.collector) as rig:
        helper_cpu, before = helper_once(options.helper, rig.folder)
        agents = start_agents(rig, before)
        exporters = {every: Exporter(rig, binary, every) for every in INTERVALS_S}
        time.sleep(SETTLE_S)
        pids = {every: (agents[every][0], exporters[every].pid) for every in INTERVALS_S}
        cpu_before = {pid: cpu_s(pid) for pair in pids.values() for pid in pair}
        counts, scrapes = rig.reports(), {every: (one.scrapes, one.bytes) for every, one in exporters.items()}
        begun = time.monotonic()
        time.sleep(max(options.minutes * 60 - SETTLE_S, 120))
        hour = 3600 / (time.monotonic() - begun)
        cpu = {pid: (cpu_s(pid) - then) * hour for pid, then in cpu_before.items()}
        reports = rig.reports()
        for every, (own, other) in pids.items():
            if exporters[every].fault:
                raise exporters[every].fault
            (rss, pss), (other_rss, other_pss) = memory(own), memory(other)
            made, scraped = reports[f"m{every}"] - counts[f"m{every}"], exporters[every].scrapes - scrapes[every][0]
            size = (exporters[every].bytes - scrapes[every][1]) / max(scraped, 1)
            print(f"every {every} s, {3600 / hour:.0f} s long: {made} reports, {scraped} scrapes of {size:.0f} bytes (gzip)")
            whole = cpu[own] + helper_cpu * HELPER_RUNS_PER_HOUR
            print(f"  CPU {cpu[own]:.3f} s per hour, {whole:.3f} with the helper; node-exporter {cpu[other]:.3f}: ratio {whole / cpu[other]:.2f} (aim < 1)")
            print(f"  proportional {pss:.2f} MiB, node-exporter {other_pss:.2f}: ratio {pss / other_pss:.2f} (aim < 1)")
            print(f"  resident {rss:.2f} MiB, node-exporter {other_rss:.2f}; threads {field(f'/proc/{own}/status', 'Threads')}, {field(f'/proc/{other}/status', 'Threads')}")
        said = f"{helper_cpu:.3f} s CPU for one run with its tools, and no memory between runs" if before else "left out, it needs root"
        print(f"hardware helper: {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
