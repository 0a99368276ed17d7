"""What the measurements of the agent share: a collector on loopback, agents beside it, and the kernel's figures."""

import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

CONSENT = """version = 1
example = true
approver = "Example approver"
reason = "Benchmark"
valid_from = "2020-01-01T00:00:00Z"
valid_to = "2099-01-01T00:00:00Z"
[scopes]
"""
NOBODY = 65534


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
    """Processor time of all threads, also of those that ended: schedstat forgets these, and stat counts in 10 ms."""
    clock = ctypes.c_int()
    fault = ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock))
    if fault:
        raise OSError(fault, f"process {pid}: {os.strerror(fault)}")
    return time.clock_gettime(clock.value)


def field(path, name):
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise KeyError(name)


def memory(pid):
    """Resident and proportional, in MiB."""
    return tuple(field(f"/proc/{pid}/smaps_rollup", name) / 1024 for name in ("Rss", "Pss"))


class Rig:
    """A collector with its facility, and agents that report to it; `with` ends and removes everything."""

    def __init__(self, agent, collector):
        self.agent, self.processes = os.path.abspath(agent), []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mimamori-bench-"))
        self.folder.chmod(0o755)
        ports = [free_port() for _ in range(3)]
        self.ingest = ports[0]
        self.call = [os.path.abspath(collector), "--set", f"state_dir={self.folder}/collector"]
        for name, port in zip(("ingest", "pages", "metrics"), ports):
            self.call += ["--set", f"{name}.listen=127.0.0.1:{port}"]

    def __enter__(self):
        try:
            self.ask("init", "--host", "127.0.0.1")
            self.ask("facility", "add", "example", "--name", "Example", "--example")
            self.start(self.call + ["serve"])
            time.sleep(1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(timeout=15)
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, *args):
        return subprocess.run(self.call + list(args), check=True, capture_output=True, text=True).stdout

    def start(self, command):
        self.processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return self.processes[-1].pid

    def own_copy(self, binary, name):
        """Two processes of one file share its pages, and each would count half of them."""
        return shutil.copy(binary, self.folder / f"{os.path.basename(binary)}-{name}")

    def start_agent(self, name, scopes, settings, config="", before=()):
        """Enrols and starts one agent: its process, and the relay that counts its bytes. `before` starts the command."""
        # The agent refuses root, and its account need not be able to reach this checkout.
        root = os.geteuid() == 0
        as_user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if root else []
        state, token, relay = self.folder / f"agent-{name}", self.folder / f"token-{name}", Relay(self.ingest)
        state.mkdir(mode=0o700)
        consent, file = self.folder / f"consent-{name}.toml", self.folder / f"agent-{name}.toml"
        consent.write_text(CONSENT + "".join(f'{scope} = {{ every = "{every}" }}\n' for scope, every in scopes.items()))
        file.write_text(config)
        self.ask("token", "create", "--facility", "example", "--machine", name, "--output", str(token))
        if root:
            for path in (state, token):
                os.chown(path, NOBODY, NOBODY)
        own = [self.own_copy(self.agent, name), "--config", str(file)]
        for pair in (f"state_dir={state}", f"consent_file={consent}", f"collector.url=https://127.0.0.1:{relay.port}", *settings):
            own += ["--set", pair]
        subprocess.run(as_user + own + ["enroll", "--token-file", str(token)], check=True, capture_output=True)
        return self.start([*before, *as_user, *own, "run"]), relay

    def reports(self):
        """How many reports the collector holds, by machine."""
        return {row["machine"]: row["reports"] for row in json.loads(self.ask("machine", "list", "--json"))["machines"]}
