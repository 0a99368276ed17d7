#!/usr/bin/env python3
"""An independent agent, made from docs/WIRE.md alone: enrols, reports, checks the receipts, and attacks.

    client.py --token-file F --ca CA.pem [--url URL] [--state DIR] [--attack]

Needs Python 3.11 and one Ed25519 library (`cryptography`). The CA certificate is given as a file, because Python 3.11
cannot show a TLS chain; it is trusted only when the SHA-256 of its DER is the pin in the token. `--url` replaces the
token's URL (tests behind a proxy). Prints one JSON object on standard output and progress on standard error.
Exit: 0 everything was as expected, 1 something was not, 2 usage or unreadable input.
"""
import argparse
import base64
import hashlib
import http.client
import json
import os
import pathlib
import ssl
import struct
import sys
import time
import urllib.parse
import zlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from verify import ZERO, Fault, frame_hash, key_id, media_type, need, open_frame, pae, public_key

NO_LEASE = "0" * 32
REPORTS = "application/vnd.mimamori.reports"
ENROL = "application/vnd.mimamori.enrol"
ANSWER = "application/vnd.mimamori.answer"
BLOCK = 128 * 1024


# ---- bytes -----------------------------------------------------------------------------------------------------------

def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def public_of(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def sign(seed, kind, payload):
    return Ed25519PrivateKey.from_private_bytes(seed).sign(pae(media_type(kind), payload))


def frame(seed, kind, members, signed_as=None, name=None):
    """The two lines of one payload. `signed_as` and `name` make wrong ones."""
    payload = compact({"v": 1, "type": kind} | members).encode()
    wrapper = f"{name or key_id(public_of(seed))} {base64.b64encode(sign(seed, signed_as or kind, payload)).decode()}"
    return payload + b"\n" + wrapper.encode() + b"\n"


def hash_of(lines):
    payload = lines.split(b"\n")[0]
    return frame_hash(json.loads(payload)["type"], payload)


def zstd(plain):
    """One zstd frame (RFC 8878) of raw blocks, with its content size: needs no library."""
    blocks = [plain[at:at + BLOCK] for at in range(0, len(plain), BLOCK)] or [b""]
    header = struct.pack("<IBI", 0xFD2FB528, 0xA0, len(plain))
    return header + b"".join(struct.pack("<I", len(block) << 3 | (at == len(blocks) - 1))[:3] + block for at, block in enumerate(blocks))


def zstd_bomb(count, window_log=23):
    """`count` blocks of 128 KiB of the letter `a`, four bytes each; a window of 2**window_log bytes is announced."""
    blocks = [struct.pack("<I", BLOCK << 3 | 1 << 1 | (at == count - 1))[:3] + b"a" for at in range(count)]
    return struct.pack("<IBB", 0xFD2FB528, 0x00, (window_log - 10) << 3) + b"".join(blocks)


def read_token(text):
    """`mimamori_enr1_<id>_<body>_<crc32>`"""
    checked, _, total = text.strip().rpartition("_")
    need(f"{zlib.crc32(checked.encode()):08x}" == total, "the token's check sum is wrong")
    need(checked.startswith("mimamori_enr1_"), "this is no token")
    name, _, body = checked.removeprefix("mimamori_enr1_").partition("_")
    fields = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    raw = {key: base64.urlsafe_b64decode(fields[key] + "=" * (-len(fields[key]) % 4)) for key in ("s", "r")}
    return {"id": name, "seed": raw["s"], "url": fields["u"], "collector_id": fields["c"], "root": raw["r"], "pin": fields["p"]}


# ---- HTTP ------------------------------------------------------------------------------------------------------------

class Line:
    """One keep-alive connection that is opened again when the other side has closed it."""

    def __init__(self, url, ca):
        parts = urllib.parse.urlsplit(url)
        self.host, self.port, self.ca, self.connection = parts.hostname, parts.port or 443, ca, None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def send(self, method, path, headers, body, patience):
        """`patience`: seconds to wait for an answer to the headers alone, for bodies that are refused by their size."""
        if self.connection is None:
            context = ssl.create_default_context(cadata=self.ca)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            self.connection = http.client.HTTPSConnection(self.host, self.port, timeout=30, context=context)
        self.connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            self.connection.putheader(name, value)
        self.connection.endheaders()
        answer = self.early_answer(patience) if patience else None
        if answer is None:
            self.connection.send(body)
            answer = self.connection.getresponse()
        text = answer.read()
        if patience or answer.will_close:
            self.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text

    def early_answer(self, patience):
        """An answer to the headers alone: a body that is sent although nobody reads it can cost the answer."""
        self.connection.sock.settimeout(patience)
        try:
            return self.connection.getresponse()
        except TimeoutError:
            return None
        finally:
            if self.connection.sock:
                self.connection.sock.settimeout(30)

    def request(self, method, path, headers, body=b"", patience=0):
        """One request; once more on a fresh connection when the old one was closed, and patient when told to wait."""
        broken = 0
        while True:
            try:
                status, got, text = self.send(method, path, headers, body, patience)
            except (http.client.HTTPException, ConnectionError, ssl.SSLError, TimeoutError):
                self.close()
                broken += 1
                if broken == 3:
                    raise
                continue
            if status not in (429, 503):
                return status, got, text
            broken += 1
            if broken == 30:
                return status, got, text
            time.sleep(min(float(got.get("retry-after", 1)), 5))

    def reports(self, plain, packed=None, patience=0, **headers):
        packed = zstd(plain) if packed is None else packed
        sent = {"Content-Type": REPORTS, "Content-Encoding": "zstd", "Content-Length": str(len(packed))}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", "/v1/reports", {name: value for name, value in sent.items() if value}, packed, patience)


# ---- the agent -------------------------------------------------------------------------------------------------------

def read_answer(text, token):
    """The four lines: what is said, and the certificate of the key that says it."""
    lines = text.decode().split("\n")
    need(len(lines) == 5 and lines[4] == "", "an answer has four lines")
    kind, certificate, _, _ = open_frame(lines[2:4], {key_id(token["root"]): token["root"]})
    need(kind == "certificate" and certificate["collector_id"] == token["collector_id"], "not this collector's certificate")
    public = public_key(certificate["public_key"])
    need(key_id(public) == certificate["key_id"], "the certificate names another key")
    kind, said, _, _ = open_frame(lines[0:2], {key_id(public): public})
    need(said["collector_id"] == token["collector_id"], "said by another collector")
    return kind, said


def enrol(line, token, seed, started):
    public = public_of(seed)
    members = {"collector_id": token["collector_id"], "token_id": token["id"], "key_id": key_id(public),
               "public_key": base64.b64encode(public).decode(), "boot_id": started["boot_id"], "taken_at_ms": started["wall"], "agent_version": "verify-client"}
    lines = frame(seed, "enrol", members)
    signature = sign(token["seed"], "enrol", lines.split(b"\n")[0])
    lines += f"{token['id']} {base64.b64encode(signature).decode()}\n".encode()
    status, headers, text = line.request("POST", "/v1/enrol", {"Content-Type": ENROL, "Content-Length": str(len(lines))}, lines)
    need(status == 200, f"enrolment was answered {status}: {text[:200]!r}")
    need(headers.get("content-type") == ANSWER, f"enrolment was answered as {headers.get('content-type')}")
    kind, said = read_answer(text, token)
    need(kind == "enrolled" and said["key_id"] == key_id(public) and said["token_id"] == token["id"], "enrolled for another key or token")
    return said, text


def make(agent, kind, seq, prev_hash, body, **other):
    """One payload of the agent's chain; `other` replaces members of the head or makes a wrong signature."""
    wrong = {name: other.pop(name) for name in ("seed", "signed_as", "name") if name in other}
    passed = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    head = {"collector_id": agent["collector_id"], "agent_id": agent["agent_id"], "key_id": agent["key_id"], "chain_id": agent["chain_id"],
            "seq": seq, "prev_hash": prev_hash, "lease": agent["lease"], "boot_id": agent["boot_id"], "taken_at_ms": time.time_ns() // 1_000_000,
            "boottime_ms": passed, "monotonic_ms": time.monotonic_ns() // 1_000_000, "consent_hash": ZERO, "plan_hash": ZERO, "push_fail_s": {}}
    return frame(wrong.pop("seed", agent["seed"]), kind, head | other | body, **wrong)


def report(agent, seq, prev_hash, load=100, **other):
    return make(agent, "report", seq, prev_hash, {"class": "sample", "readings": {"load": {"load1_milli": load}}}, **other)


def check_receipt(agent, token, answer, seq, head_hash, status="ok"):
    code, headers, text = answer
    need(code == 200, f"answered {code}: {text[:200]!r}")
    need(headers.get("content-type") == ANSWER, f"answered as {headers.get('content-type')}")
    kind, said = read_answer(text, token)
    need(kind == "receipt", f"a receipt was expected, not a {kind}")
    got = {name: said[name] for name in ("agent_id", "chain_id", "seq", "head_hash", "status")}
    wanted = {"agent_id": agent["agent_id"], "chain_id": agent["chain_id"], "seq": seq, "head_hash": head_hash, "status": status}
    need(got == wanted, f"the receipt says {got}, expected {wanted}")
    need(len(said["lease"]) == 32 and said["lease"] != NO_LEASE and int(said["lease"], 16), "the receipt gives no lease")
    return said


def check_refusal(agent, token, answer, lines, reason, **wanted):
    code, headers, text = answer
    need(code == 409, f"answered {code}, expected a signed refusal: {text[:200]!r}")
    need(headers.get("content-type") == ANSWER, f"answered as {headers.get('content-type')}")
    kind, said = read_answer(text, token)
    need(kind == "refusal", f"a refusal was expected, not a {kind}")
    wanted |= {"reason": reason, "agent_id": agent["agent_id"], "chain_id": agent["chain_id"], "in_reply_to": hash_of(lines)}
    got = {name: said.get(name) for name in wanted}
    need(got == wanted, f"the refusal says {got}, expected {wanted}")
    return said


def begin(line, token, agent, reason):
    """Opens a chain and reports three times; gives the tip."""
    opened = make(agent, "statement", 0, ZERO, {"statement": "open", "reason": reason, "previous": None})
    said = check_receipt(agent, token, line.reports(opened), 0, hash_of(opened))
    agent["lease"] = said["lease"]
    frames, tip = [], hash_of(opened)
    for seq in (1, 2, 3):
        frames.append(report(agent, seq, tip, 100 + seq))
        tip = hash_of(frames[-1])
    said = check_receipt(agent, token, line.reports(b"".join(frames)), 3, tip)
    need(said["lease"] != agent["lease"], "two places have the same lease")
    agent["lease"] = said["lease"]
    return 4, tip, frames


# ---- attacks ---------------------------------------------------------------------------------------------------------

def flip_all(line, plain):
    """Flips every bit of a body, one request each; nothing but 400 and 401 may answer."""
    counts, wrong = {}, []
    for bit in range(len(plain) * 8):
        bad = bytearray(plain)
        bad[bit // 8] ^= 1 << bit % 8
        status, _, _ = line.reports(bytes(bad))
        counts[str(status)] = counts.get(str(status), 0) + 1
        if status not in (400, 401):
            wrong.append({"byte": bit // 8, "bit": bit % 8, "status": status})
        if bit % 1000 == 999:
            print(f"{bit + 1} of {len(plain) * 8} bits flipped: {counts}", file=sys.stderr, flush=True)
    return {"requests": len(plain) * 8, "by_status": counts, "wrong": wrong[:20]}, not wrong


def attack(line, token, agent, seq, tip, frames, found):
    """Everything a collector must refuse. Each attack is one entry of `found`; none may move the chain."""

    def expect(name, answer, *wanted):
        status = answer[0]
        found.append({"name": name, "expected": list(wanted), "got": status, "ok": status in wanted})

    def holds(name, check):
        try:
            found.append({"name": name, "ok": True, "got": check()})
        except (Fault, KeyError, ValueError) as fault:
            found.append({"name": name, "ok": False, "got": str(fault)})

    good = report(agent, seq, tip, 200)
    flips, fine = flip_all(line, good)
    found.append({"name": "every bit flipped", "ok": fine} | flips)

    foreign = os.urandom(32)
    own_name = key_id(public_of(agent["seed"]))
    expect("foreign key under its own id", line.reports(report(agent, seq, tip, seed=foreign)), 401)
    expect("foreign key under our id", line.reports(report(agent, seq, tip, seed=foreign, name=own_name)), 401)
    expect("report signed as statement", line.reports(report(agent, seq, tip, signed_as="statement")), 401)
    statement = make(agent, "statement", seq, tip, {"statement": "purge", "purged": {"sample": 0, "unchanged": 0, "change": 0, "statement": 0}}, signed_as="report")
    expect("statement signed as report", line.reports(statement), 401)
    for kind in ("receipt", "refusal", "enrol", "enrolled", "certificate", "bundle"):
        expect(f"a {kind} by the agent's key", line.reports(make(agent, kind, seq, tip, {})), 400)
    expect("a type that does not exist", line.reports(make(agent, "repost", seq, tip, {})), 401)
    expect("another collector's id", line.reports(report(agent, seq, tip, collector_id=os.urandom(16).hex())), 421)
    expect("another agent's id", line.reports(report(agent, seq, tip, agent_id=os.urandom(16).hex())), 401)
    expect("a head that is not understood", line.reports(report(agent, seq, tip, lease="none")), 422)
    later = report(agent, seq + 1, hash_of(good), 201)
    expect("frames out of order", line.reports(later + good), 400)
    expect("two chains in one request", line.reports(good + report(agent, seq + 1, hash_of(good), chain_id=os.urandom(16).hex())), 400)
    expect("one bad signature among good ones", line.reports(good + later[:-4] + (b"A" if later[-4:-3] != b"A" else b"Q") + b"==\n"), 401)
    expect("no frame at all", line.reports(b""), 400)
    expect("body that is not compressed", line.reports(b"", good, Content_Encoding="identity"), 415)
    expect("body without Content-Encoding", line.reports(b"", good, Content_Encoding=None), 415)
    expect("body of another type", line.reports(good, Content_Type="application/json"), 415)
    expect("body that is no zstd", line.reports(b"", good), 400)
    expect("body cut off", line.reports(b"", zstd(good)[:-9]), 400)
    expect("two zstd streams", line.reports(b"", zstd(good) + zstd(later)), 400)
    expect("more than 1 MiB", line.reports(b"", zstd(os.urandom(1024 * 1024)), patience=2), 413)
    expect("zstd bomb", line.reports(b"", zstd_bomb(72)), 413)
    expect("zstd bomb below 8 MiB", line.reports(b"", zstd_bomb(40)), 413)
    expect("zstd window above 8 MiB", line.reports(b"", zstd_bomb(1, window_log=27)), 413)
    expect("a payload above 256 KiB", line.reports(make(agent, "report", seq, tip, {"class": "sample", "readings": {}, "padding": ["x" * 4000] * 80})), 413)
    expect("no such path", line.request("POST", "/v1/report", {"Content-Length": "0"}), 404)
    expect("GET of the reports", line.request("GET", "/v1/reports", {}), 405)

    gap = report(agent, seq + 5, hash_of(good), 202)
    holds("a hole is answered `behind`", lambda: check_refusal(agent, token, line.reports(gap), gap, "behind", next_seq=seq, head_hash=tip))
    expect("a preview alone", line.reports(b"\n" + gap), 204)
    holds("nothing has moved the chain", lambda: check_refusal(agent, token, line.reports(gap), gap, "behind", next_seq=seq, head_hash=tip))

    def replay():
        first = line.reports(good)
        check_receipt(agent, token, first, seq, hash_of(good))
        again = line.reports(good)
        need(again[2] == first[2], "the second answer differs from the first")
        check_receipt(agent, token, line.reports(b"".join(frames)), 3, tip)
        return "the same receipt, byte for byte"

    holds("an identical replay", replay)

    # Last: from here on the chain is forked.
    other = report(agent, seq, tip, 999)
    before = {"chain_id": agent["chain_id"], "seq": seq - 1, "hash": tip}
    holds("a replay with other content", lambda: check_refusal(
        agent, token, line.reports(other), other, "diverged", ancestor=before, branch=1, seq=seq, head_hash=hash_of(other)))
    behind = report(agent, seq + 1, hash_of(other), 998)
    holds("what follows it is kept as forked", lambda: check_receipt(agent, token, line.reports(behind), seq + 1, hash_of(behind), "forked")["branch"])
    holds("the first branch is forked too", lambda: check_receipt(agent, token, line.reports(good), seq, hash_of(good), "forked")["branch"])


# ---- the command -----------------------------------------------------------------------------------------------------

def load_state(folder, token):
    """The key and the boot, kept in DIR so that a second run is the same agent with a new chain."""
    path = pathlib.Path(folder) / "client.json" if folder else None
    if path and path.is_file():
        state = json.loads(path.read_text()) | {"again": True}
        need(state["collector_id"] == token["collector_id"], "the state belongs to another collector")
    else:
        state = {"collector_id": token["collector_id"], "seed": os.urandom(32).hex(), "boot_id": os.urandom(16).hex(), "wall": time.time_ns() // 1_000_000, "again": False}
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(json.dumps(state))
    return state


def run(options):
    token = read_token(pathlib.Path(options.token_file).read_text())
    pem = pathlib.Path(options.ca).read_text()
    pem = pem[pem.index("-----BEGIN CERTIFICATE-----"):]
    der = ssl.PEM_cert_to_DER_cert(pem[:pem.index("-----END CERTIFICATE-----") + 25])
    need(hashlib.sha256(der).hexdigest() == token["pin"], "the CA certificate is not the one that the token pins")
    state = load_state(options.state, token)
    seed, line, found = bytes.fromhex(state["seed"]), Line(options.url or token["url"], der), []
    result = {"ok": False, "checks": found, "fault": None}
    try:
        said, text = enrol(line, token, seed, state)
        need(enrol(line, token, seed, state)[1] == text, "the same enrolment was answered otherwise the second time")
        result["enrolled"] = {name: said[name] for name in ("agent_id", "facility", "machine", "state")}
        need(said["state"] == "active" or options.state, "the machine waits for approval; run again with the same --state")
        agent = {"collector_id": token["collector_id"], "agent_id": said["agent_id"], "key_id": said["key_id"], "boot_id": state["boot_id"],
                 "seed": seed, "chain_id": os.urandom(16).hex(), "lease": NO_LEASE}
        seq, tip, frames = begin(line, token, agent, "state_lost" if state["again"] else "enrolled")
        result["chain"] = {"chain_id": agent["chain_id"], "next_seq": seq, "head_hash": tip}
        if options.attack:
            attack(line, token, agent, seq, tip, frames, found)
        result["ok"] = all(entry["ok"] for entry in found)
    except (Fault, OSError, http.client.HTTPException, KeyError, ValueError) as fault:
        result["fault"] = f"{type(fault).__name__}: {fault}"
    line.close()
    return result


def main():
    parser = argparse.ArgumentParser(description="An independent agent that enrols, reports and attacks.")
    parser.add_argument("--token-file", required=True)
    parser.add_argument("--ca", required=True, help="PEM of the certificate authority that the token pins")
    parser.add_argument("--url", help="instead of the token's URL")
    parser.add_argument("--state", help="directory for the key, so that a second run is the same agent")
    parser.add_argument("--attack", action="store_true", help="also try everything that must be refused")
    try:
        result = run(parser.parse_args())
    except (OSError, ValueError, KeyError, Fault) as fault:
        print(fault, file=sys.stderr)
        return 2
    print(json.dumps(result, indent=1))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
