#!/usr/bin/env python3
"""Makes the wire's test vectors from fixed seeds, without any code of Mimamori (docs/WIRE.md, "Test vectors").

    vectors.py            writes tests/golden/wire/v1
    vectors.py --check    makes them again and compares; exit 1 when one differs

Ed25519 and SHA-256 are deterministic: the same script always writes the same bytes.
"""
import base64
import hashlib
import hmac
import json
import pathlib
import sys
import zlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import verify
from verify import ZERO, L, accepts, frame_hash, key_id, media_type, pae

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "wire" / "v1"
START_MS = 1_777_593_600_000  # 2026-05-01T00:00:00Z
NO_LEASE = "0" * 32


def b64(data):
    return base64.b64encode(data).decode()


def b64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def fixed(name, length):
    """Bytes that look random and never change."""
    return hashlib.sha256(f"mimamori test vector: {name}".encode()).digest()[:length]


def public_of(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def key(name):
    seed = fixed(f"seed {name}", 32)
    public = public_of(seed)
    return {"name": name, "seed": seed.hex(), "public": public.hex(), "public_key": b64(public), "key_id": key_id(public),
            "fingerprint": "-".join(key_id(public)[at:at + 4] for at in range(0, 32, 4))}


KEYS = {name: key(name) for name in ["root", "collector", "agent", "agent-new", "token", "foreign"]}
COLLECTOR = fixed("collector_id", 16).hex()
AGENT = fixed("agent_id", 16).hex()
CHAINS = [fixed(f"chain_id {number}", 16).hex() for number in range(4)]
BOOT = fixed("boot_id", 16).hex()
TOKEN_ID = fixed("token_id", 8).hex()
LEASE_SECRET = fixed("lease secret", 32)

CONSENT = {"v": 1, "valid_from_ms": START_MS - 86_400_000, "valid_to_ms": START_MS + 365 * 86_400_000, "mode": "periodic", "utc_offset_s": 32_400,
           "windows": [{"days": [1, 2, 3, 4, 5], "from_min": 480, "to_min": 1440}, {"days": [6, 7], "from_min": 0, "to_min": 360}],
           "quiet": [{"days": [1, 2, 3, 4, 5], "from_min": 510, "to_min": 720}],
           "scopes": {"heartbeat": {"every_s": 60}, "performance": {"every_s": 60, "except": [2, 105]}, "hardware": {"every_s": 900},
                      "os_state": {"every_s": 60}, "network": {"every_s": 60}, "log_counts": {"every_s": 3600, "except": [1]}},
           "approval_hash": fixed("approval", 32).hex(), "example": False}
PLAN = {"v": 1, "interval_s": 60, "sections": {"filesystem": 300, "network": 120}}
CONSENT_HASH = hashlib.sha256(compact(CONSENT).encode()).hexdigest()
PLAN_HASH = hashlib.sha256(compact(PLAN).encode()).hexdigest()


def sign(signer, media, payload):
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(KEYS[signer]["seed"])).sign(pae(media, payload))


def frame(name, kind, members, signer):
    """One signed payload with all that follows from it."""
    payload = compact({"v": 1, "type": kind} | members)
    signature = sign(signer, media_type(kind), payload.encode())
    wrapper = f"{KEYS[signer]['key_id']} {b64(signature)}"
    return {"name": name, "type": kind, "signer": signer, "payload": payload, "wrapper": wrapper,
            "hash": frame_hash(kind, payload.encode()), "pae": pae(media_type(kind), payload.encode()).hex()}


def lease(chain, seq):
    """The first half of HMAC-SHA-256(secret, chain id, place as 8 bytes big-endian)."""
    return hmac.digest(LEASE_SECRET, bytes.fromhex(chain) + seq.to_bytes(8, "big"), "sha256").hex()[:32]


def head(chain, seq, prev_hash, signer="agent", echo=NO_LEASE, consent=CONSENT_HASH, plan=PLAN_HASH, fail=None):
    minutes = CHAINS.index(chain) * 1000 + seq
    return {"collector_id": COLLECTOR, "agent_id": AGENT, "key_id": KEYS[signer]["key_id"], "chain_id": chain, "seq": seq,
            "prev_hash": prev_hash, "lease": echo, "boot_id": BOOT, "taken_at_ms": START_MS + 60_000 * minutes,
            "boottime_ms": 5_000_000 + 60_000 * minutes, "monotonic_ms": 4_000_000 + 60_000 * minutes,
            "consent_hash": consent, "plan_hash": plan, "push_fail_s": fail or {}}


def place(chain, seq, entry):
    return {"chain_id": chain, "seq": seq, "hash": entry["hash"]}


def report(chain, seq, prev, readings, kind="sample", faults=None, **more):
    body = {"class": kind, "readings": readings} | ({"faults": faults} if faults else {})
    return frame(f"report-{seq}", "report", head(chain, seq, prev["hash"], **more) | body, more.get("signer", "agent"))


def statement(name, chain, seq, prev_hash, body, **more):
    return frame(name, "statement", head(chain, seq, prev_hash, **more) | {"statement": name.split("-")[0]} | body, more.get("signer", "agent"))


FULL = {
    "cpu": {"user_ms": 1000, "system_ms": 500, "idle_ms": 90000, "logical_count": 4},
    "load": {"load1_milli": 250, "load5_milli": 300, "load15_milli": 280},
    "memory": {"total_bytes": 8_000_000_000, "available_bytes": 6_000_000_000},
    "swap": {"total_bytes": 0, "free_bytes": 0},
    "system": {"uptime_ms": 5_180_000, "boot_at_ms": START_MS - 5_000_000},
    "clock": {"synchronised": 1, "offset_us": -125, "max_error_us": 2000},
    "agent": {"version": "0.1.0", "resident_bytes": 12_000_000, "cpu_ms": 40, "outbox_entries": 3, "outbox_bytes": 65536},
    "filesystem": [{"name": "fs-00ff00ff", "kind": "ext4", "size_bytes": 100, "free_bytes": 50, "available_bytes": 45, "read_only": 0}],
    "disk": [{"name": "sda", "reads": 10, "read_bytes": 40960}, {"name": "sdb", "writes": 1}],
    "network": [{"name": "eth0", "rx_bytes": 9_007_199_254_740_993, "link_up": 1}],
}


def first_chain():
    """Open, consent, plan, three reports, a loss record over three places, a report behind it. Also what was lost."""
    chain = CHAINS[0]
    entries = [statement("open-enrolled", chain, 0, ZERO, {"reason": "enrolled", "previous": None}, consent=ZERO, plan=ZERO)]
    entries.append(statement("consent-granted", chain, 1, entries[-1]["hash"],
                             {"state": "granted", "terms_hash": CONSENT_HASH, "terms": CONSENT, "purged": {"sample": 0, "unchanged": 0, "change": 0, "statement": 0}}, echo=lease(chain, 0)))
    entries.append(statement("plan", chain, 2, entries[-1]["hash"], {"plan": PLAN}, echo=lease(chain, 1)))
    faults = [{"probe": "disk.read_ms", "code": "permission_denied", "name": "sdb"}, {"probe": "clock", "code": "timed_out"}]
    entries.append(report(chain, 3, entries[-1], FULL, "change", faults, echo=lease(chain, 2)))
    entries.append(report(chain, 4, entries[-1], {"cpu": {"user_ms": 1100}}, echo=lease(chain, 2), fail={"tcp": 31, "receipt": 2}))
    entries.append(report(chain, 5, entries[-1], {}, echo=lease(chain, 4), fail={"dns": 1, "tcp": 31, "proxy": 2, "tls": 3, "http": 4, "receipt": 5}))
    lost = []
    for seq in (6, 7, 8):
        state = {"filesystem": [{"name": "fs-00ff00ff", "read_only": 0}]} if seq == 7 else {}
        lost.append(report(chain, seq, (entries + lost)[-1], {"cpu": {"user_ms": 1200 + seq}} | state, "unchanged" if state else "sample", echo=lease(chain, 5)))
    entries.append(frame("loss-6-8", "loss", head(chain, 6, entries[-1]["hash"], echo=lease(chain, 5)) | {
        "first_seq": 6, "last_seq": 8, "last_hash": lost[-1]["hash"], "counts": {"sample": 2, "unchanged": 1, "change": 0, "statement": 0},
        "from_ms": START_MS + 360_000, "to_ms": START_MS + 480_000, "reason": "quota"}, "agent"))
    entries.append(report(chain, 9, lost[-1], {"load": {"load1_milli": 90}}, echo=lease(chain, 5)))
    return entries, lost


def second_chain(before):
    """After a restore; its last entry rotates the key."""
    chain = CHAINS[1]
    entries = [statement("open-restored", chain, 0, ZERO, {"reason": "restored", "previous": place(CHAINS[0], 9, before)})]
    proof = compact({"agent_id": AGENT, "old_key_id": KEYS["agent"]["key_id"], "new_key_id": KEYS["agent-new"]["key_id"], "chain_id": chain, "seq": 1})
    signature = sign("agent-new", media_type("key-proof"), proof.encode())
    entries.append(statement("key", chain, 1, entries[-1]["hash"], {"public_key": KEYS["agent-new"]["public_key"], "proof": b64(signature)}))
    return entries, {"media_type": media_type("key-proof"), "message": proof, "proof": b64(signature)}


def third_chain(before):
    """Opened by the new key; ends with a withdrawal."""
    chain, signer = CHAINS[2], "agent-new"
    entries = [statement("open-rotated", chain, 0, ZERO, {"reason": "rotated", "previous": place(CHAINS[1], 1, before)}, signer=signer)]
    entries.append(statement("consent-withdrawn", chain, 1, entries[-1]["hash"],
                             {"state": "withdrawn", "terms_hash": CONSENT_HASH, "terms": None, "purged": {"sample": 12, "unchanged": 5, "change": 1, "statement": 0}}, signer=signer, consent=ZERO))
    return entries


def fourth_chain():
    """State lost, the place before unknown; the consent has run out; the agent is removed."""
    chain, signer = CHAINS[3], "agent-new"
    entries = [statement("open-state-lost", chain, 0, ZERO, {"reason": "state_lost", "previous": None}, signer=signer, consent=ZERO)]
    entries.append(statement("consent-expired", chain, 1, entries[-1]["hash"],
                             {"state": "expired", "terms_hash": CONSENT_HASH, "terms": None, "purged": {"sample": 0, "unchanged": 0, "change": 0, "statement": 0}}, signer=signer, consent=ZERO))
    entries.append(statement("purge", chain, 2, entries[-1]["hash"], {"purged": {"sample": 4, "unchanged": 0, "change": 2, "statement": 1}}, signer=signer, consent=ZERO))
    return entries


def receipt(name, chain, seq, head_hash, branch=0, status="ok"):
    return frame(name, "receipt", {"collector_id": COLLECTOR, "agent_id": AGENT, "chain_id": chain, "branch": branch, "seq": seq, "head_hash": head_hash,
                                   "received_at_ms": START_MS + 60_000 * seq + 250, "lease": lease(chain, seq), "status": status}, "collector")


def refusal(name, in_reply_to, reason):
    return frame(name, "refusal", {"collector_id": COLLECTOR, "agent_id": AGENT, "chain_id": CHAINS[0], "in_reply_to": in_reply_to} | reason, "collector")


def lines(entry):
    return f"{entry['payload']}\n{entry['wrapper']}\n"


def answers(entries):
    """All that a collector says."""
    certificate = frame("certificate", "certificate", {
        "collector_id": COLLECTOR, "key_id": KEYS["collector"]["key_id"], "public_key": KEYS["collector"]["public_key"], "issued_at_ms": START_MS - 3_600_000}, "root")
    enrolled = [frame(f"enrolled-{state}", "enrolled", {
        "collector_id": COLLECTOR, "agent_id": AGENT, "key_id": KEYS["agent"]["key_id"], "token_id": TOKEN_ID, "facility": "clinic-a", "machine": "pacs-1",
        "state": state, "enrolled_at_ms": START_MS - 120_000}, "collector") for state in ("active", "pending")]
    chain, asked, other = CHAINS[0], entries[4]["hash"], fixed("other tip", 32).hex()
    receipts = [receipt("receipt-0", chain, 0, entries[0]["hash"]), receipt("receipt-5", chain, 5, entries[5]["hash"]),
                receipt("receipt-loss-8", chain, 8, json.loads(entries[6]["payload"])["last_hash"]),
                receipt("receipt-forked", chain, 4, other, 1, "forked")]
    refusals = [
        refusal("refusal-behind", asked, {"reason": "behind", "next_seq": 3, "head_hash": entries[2]["hash"]}),
        refusal("refusal-behind-empty", asked, {"reason": "behind", "next_seq": 0, "head_hash": ZERO}),
        refusal("refusal-diverged", asked, {"reason": "diverged", "ancestor": place(chain, 3, entries[3]), "branch": 1, "seq": 4, "head_hash": other}),
        refusal("refusal-diverged-at-0", asked, {"reason": "diverged", "ancestor": None, "branch": 1, "seq": 0, "head_hash": other}),
        refusal("refusal-revoked", asked, {"reason": "revoked"}),
        refusal("refusal-too-many-branches", asked, {"reason": "too_many_branches"}),
        refusal("refusal-too-many-chains", asked, {"reason": "too_many_chains"})]
    return {"certificate": certificate, "frames": enrolled + receipts + refusals,
            "bodies": [{"name": entry["name"], "body": lines(entry) + lines(certificate)} for entry in enrolled + receipts + refusals]}


def enrolment():
    request = frame("enrol", "enrol", {"collector_id": COLLECTOR, "token_id": TOKEN_ID, "key_id": KEYS["agent"]["key_id"], "public_key": KEYS["agent"]["public_key"],
                                       "boot_id": BOOT, "taken_at_ms": START_MS - 121_000, "agent_version": "0.1.0"}, "agent")
    signature = b64(sign("token", media_type("enrol"), request["payload"].encode()))
    return {"frame": request, "token_line": f"{TOKEN_ID} {signature}", "body": lines(request) + f"{TOKEN_ID} {signature}\n"}


def token():
    fields = {"id": TOKEN_ID, "seed": KEYS["token"]["seed"], "url": "https://collector.example:8443", "collector_id": COLLECTOR,
              "root_key": KEYS["root"]["public"], "ca_pin": fixed("ca", 32).hex(), "recipient": "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"}
    body = compact({"s": b64url(bytes.fromhex(fields["seed"])), "u": fields["url"], "c": COLLECTOR,
                    "r": b64url(bytes.fromhex(fields["root_key"])), "p": fields["ca_pin"], "a": fields["recipient"]})
    text = f"mimamori_enr1_{TOKEN_ID}_{b64url(body.encode())}"
    text += f"_{zlib.crc32(text.encode()):08x}"
    wrong = text[:30] + ("A" if text[30] != "A" else "B") + text[31:]
    return {"fields": fields, "json": body, "text": text,
            "refused": [{"text": wrong, "why": "check sum"}, {"text": text[:-1], "why": "cut"}, {"text": text.replace("enr1", "enr2"), "why": "version"}]}


def batches(entries):
    newest = entries[7]
    plain = "".join(lines(entry) for entry in entries[3:6])
    one, wrapper = lines(entries[4]), entries[4]["wrapper"]
    spare = wrapper[:-3] + chr(ord(wrapper[-3]) + 1) + "=="  # bits of the last digit that decode to nothing
    refused = {
        "no newline at the end": one[:-1], "carriage returns": one.replace("\n", "\r\n"), "two blanks": one.replace(wrapper, wrapper.replace(" ", "  ")),
        "base64 without padding": one.replace("==\n", "\n"), "unused base64 bits set": one.replace(wrapper, spare),
        "upper-case key id": one.replace(wrapper, wrapper[:32].upper() + wrapper[32:]), "an empty line and nothing behind it": one + "\n",
        "two previews": plain + "\n" + one + one, "an empty payload": one.replace(entries[4]["payload"], ""), "payload alone": entries[4]["payload"] + "\n"}
    return {"accepted": [{"name": "one frame", "frames": ["report-4"], "preview": None, "body": one},
                         {"name": "three frames", "frames": ["report-3", "report-4", "report-5"], "preview": None, "body": plain},
                         {"name": "frames and preview", "frames": ["report-4"], "preview": "report-9", "body": one + "\n" + lines(newest)},
                         {"name": "preview alone", "frames": [], "preview": "report-9", "body": "\n" + lines(newest)}],
            "refused": [{"name": name, "body": body} for name, body in refused.items()]}


def dsse(entry):
    signer, signature = entry["wrapper"].split(" ")
    return compact({"payload": b64(entry["payload"].encode()), "payloadType": media_type(entry["type"]), "signatures": [{"keyid": signer, "sig": signature}]})


def bundle(entries):
    carried = "".join(lines(entry) for entry in entries[3:7])
    top = frame("bundle", "bundle", {"collector_id": COLLECTOR, "agent_id": AGENT, "key_id": KEYS["agent"]["key_id"], "chain_id": CHAINS[0], "first_seq": 3,
                                     "last_seq": 8, "frames": 4, "sha256": hashlib.sha256(carried.encode()).hexdigest(), "made_at_ms": START_MS + 600_000}, "agent")
    return {"frame": top, "plain": lines(top) + carried}


def signatures():
    """What strict verification says of keys and signatures; every verdict is checked against `verify.accepts`."""
    message, good = b"mimamori", Ed25519PrivateKey.from_private_bytes(bytes.fromhex(KEYS["agent"]["seed"])).sign(b"mimamori")
    public = KEYS["agent"]["public"]
    high_s = (int.from_bytes(good[32:], "little") + L).to_bytes(32, "little")
    cases = [("good", public, good, True), ("S + L", public, good[:32] + high_s, False), ("S of another", public, good[:32] + bytes([good[32] ^ 1]) + good[33:], False),
             ("R of small order", public, bytes([1] + [0] * 31) + good[32:], False), ("all zero", public, bytes(64), False),
             ("key of another", KEYS["foreign"]["public"], good, False)]
    small = ["0100000000000000000000000000000000000000000000000000000000000000", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
             "0000000000000000000000000000000000000000000000000000000000000080", "0000000000000000000000000000000000000000000000000000000000000000",
             "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
             "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
             "0100000000000000000000000000000000000000000000000000000000000080", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
             "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
             "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
             "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"]
    # The identity as key and as R, S = 0: plain verification takes it for every message.
    cases += [(f"refused key {number}", text, bytes([1] + [0] * 63), False) for number, text in enumerate(small)]
    for name, text, signature, verdict in cases:
        if accepts(bytes.fromhex(text), message, signature) != verdict:
            raise SystemExit(f"verify.accepts disagrees on {name}")
    return {"message": message.hex(), "cases": [{"name": name, "public": text, "signature": signature.hex(), "accepted": verdict}
                                                for name, text, signature, verdict in cases], "refused_keys": small}


def bounds():
    """JSON within and outside the bounds of a body."""
    good = ['{"a":[1,-2,0.5,"x",null,true],"b":{"c.d_1":{}}}', "[" * 16 + "]" * 16, '"' + "x" * 4096 + '"', "[" + "1," * 4095 + "1]", '{"' + "k" * 64 + '":1}']
    bad = ['{"a":1,"a":2}', '{"A":1}', '{"a b":1}', "[" * 17 + "]" * 17, '"' + "x" * 4097 + '"', "[" + "1," * 4096 + "1]", '{"' + "k" * 65 + '":1}', "1e999", "{} {}", ""]
    return {"within": good, "outside": bad}


def ledger(chains, said):
    """An export: the first two places are kept as heads only; two receipts; the keys of both times."""
    export = [{"schema": "mimamori.ledger/1", "collector_id": COLLECTOR, "agent_id": AGENT, "root_key": KEYS["root"]["public_key"], "root_fingerprint": KEYS["root"]["fingerprint"],
               "keys": [{"key_id": KEYS[name]["key_id"], "public_key": KEYS[name]["public_key"]} for name in ("agent", "agent-new")], "exported_at_ms": START_MS + 9_000_000_000}]
    for number, chain in enumerate(chains):
        for seq, entry in enumerate(chain):
            if number == 0 and seq in (1, 2):
                export.append({"head": {"chain_id": CHAINS[0], "seq": seq, "last_seq": seq, "prev_hash": chain[seq - 1]["hash"], "tip_hash": entry["hash"], "key_id": KEYS["agent"]["key_id"]}})
            else:
                export.append({"frame": [entry["payload"], entry["wrapper"]], "hash": entry["hash"]})
        if number == 0:
            certificate = said["certificate"]
            for held in said["frames"]:
                if held["name"] in ("receipt-0", "receipt-5", "receipt-loss-8"):
                    export.append({"receipt": [held["payload"], held["wrapper"]], "certificate": [certificate["payload"], certificate["wrapper"]]})
    return "".join(compact(line) + "\n" for line in export)


def make():
    """File name to text."""
    one, lost = first_chain()
    two, proof = second_chain(one[-1])
    chains = [one, two, third_chain(two[-1]), fourth_chain()]
    said = answers(one)
    example = {"media_type": "http://example.com/HelloWorld", "payload": "hello world", "pae": b"DSSEv1 29 http://example.com/HelloWorld 11 hello world".hex()}
    leases = [{"chain_id": chain, "seq": seq, "lease": lease(chain, seq)} for chain in CHAINS[:2] for seq in (0, 1, 5, 2**32, 2**64 - 1)]
    exported = [chain[0] for chain in chains] + one[3:4] + one[6:7] + said["frames"][2:3] + [said["certificate"]]
    files = {
        "keys": {"collector_id": COLLECTOR, "agent_id": AGENT, "keys": list(KEYS.values())},
        "pae": {"examples": [example], "media_types": {kind: media_type(kind) for kind in verify.TYPES}, "prefixes": {kind: '{"v":1,"type":"%s",' % kind for kind in verify.TYPES}},
        "chain": {"consent": {"json": compact(CONSENT), "hash": CONSENT_HASH}, "plan": {"json": compact(PLAN), "hash": PLAN_HASH}, "key_proof": proof,
                  "chains": [{"chain_id": name, "entries": chain} for name, chain in zip(CHAINS, chains)], "lost": lost},
        "answers": said, "leases": {"secret": LEASE_SECRET.hex(), "leases": leases}, "enrol": enrolment(), "token": token(), "batch": batches(one),
        "dsse": {"exports": [{"name": entry["name"], "payload": entry["payload"], "dsse": dsse(entry)} for entry in exported]},
        "bundle": bundle(one), "signatures": signatures(), "bounds": bounds()}
    texts = {f"{name}.json": json.dumps(content, indent=1, ensure_ascii=False) + "\n" for name, content in files.items()}
    texts["ledger.jsonl"] = ledger(chains, said)
    texts["trust.toml"] = f'collector_root = "{KEYS["root"]["fingerprint"]}"\nagents = ["{KEYS["agent"]["fingerprint"]}"]\n'
    return texts


def main(arguments):
    if arguments not in ([], ["--check"]):
        print("usage: vectors.py [--check]", file=sys.stderr)
        return 2
    wrong, texts = [], make()
    if arguments:
        wrong = [name for name, text in texts.items() if not (GOLDEN / name).is_file() or (GOLDEN / name).read_text(encoding="utf-8") != text]
        wrong += [path.name for path in GOLDEN.glob("*") if path.name not in texts]
    else:
        GOLDEN.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (GOLDEN / name).write_text(text, encoding="utf-8")
    for name in wrong:
        print(f"{GOLDEN / name} is not what this script makes", file=sys.stderr)
    print(json.dumps({"ok": not wrong, "files": len(texts)}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
