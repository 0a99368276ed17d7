#!/usr/bin/env python3
"""Verifies a `ledger export` offline, without any code of Mimamori (docs/WIRE.md, "Ledger export").

    verify.py FILE|- [--trust TRUST.toml]

Needs Python 3.11 and one Ed25519 library (`cryptography`). Exit: 0 holds, 1 verified and false, 2 usage or unreadable.
TRUST.toml holds what the facility wrote down itself: collector_root = "FINGERPRINT", agents = ["FINGERPRINT"].
"""
import base64
import hashlib
import json
import re
import sys
import tomllib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TYPES = ["report", "statement", "loss", "receipt", "refusal", "enrol", "enrolled", "certificate", "bundle"]
ZERO = "0" * 64
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
Y8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
SMALL_ORDER = {0, 1, P - 1, Y8, P - Y8}
NOTE = "no --trust given: the keys come from the file itself and prove nothing on their own"


class Fault(Exception):
    """The file says something that does not hold."""


def need(holds, what):
    if not holds:
        raise Fault(what)


def media_type(kind):
    return f"application/vnd.mimamori.{kind}.v1+json"


def pae(media, payload):
    return b"DSSEv1 %d %s %d %s" % (len(media), media.encode(), len(payload), payload)


def frame_hash(kind, payload):
    return hashlib.sha256(pae(media_type(kind), payload)).hexdigest()


def key_id(public):
    return hashlib.sha256(public).hexdigest()[:32]


def fit_point(point):
    """Whether 32 bytes can be a canonical point that is not of small order."""
    y = int.from_bytes(point, "little") & (2**255 - 1)
    return len(point) == 32 and y < P and y not in SMALL_ORDER


def accepts(public, message, signature):
    """Strict Ed25519: canonical A, R and S, no small order, no cofactor."""
    if len(signature) != 64 or not fit_point(public) or not fit_point(signature[:32]):
        return False
    if int.from_bytes(signature[32:], "little") >= L:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def no_twice(pairs):
    need(len({key for key, _ in pairs}) == len(pairs), "a key stands twice")
    return dict(pairs)


def read_json(text):
    try:
        return json.loads(text, object_pairs_hook=no_twice)
    except (ValueError, RecursionError) as fault:
        raise Fault(f"not JSON: {fault}") from None


def kind_of(payload):
    for kind in TYPES:
        if payload.startswith(b'{"v":1,"type":"%s",' % kind.encode()):
            return kind
    raise Fault("the payload begins like no known type")


def open_frame(frame, keys):
    """Checks wrapper, key and signature of [payload, wrapper]; gives type, content, hash and key id."""
    payload, wrapper = frame[0].encode(), frame[1]
    found = re.fullmatch(r"([0-9a-f]{32}) ([A-Za-z0-9+/]{86}==)", wrapper)
    need(found and b"\n" not in payload, "the wrapper line has not its one form")
    signature = base64.b64decode(found[2])
    need(base64.b64encode(signature).decode() == found[2], "the signature has not its one form")
    need(found[1] in keys, f"signed by key {found[1]}, which is not among the trusted ones")
    kind = kind_of(payload)
    need(accepts(keys[found[1]], pae(media_type(kind), payload), signature), "the signature does not hold")
    return kind, read_json(payload), frame_hash(kind, payload), found[1]


def public_key(text):
    public = base64.b64decode(text, validate=True)
    need(base64.b64encode(public).decode() == text and fit_point(public), "a key that strict verification refuses")
    return public


def read_head(line, trust):
    """Line 1: the names, and the keys that may be used at all."""
    need(line.get("schema") == "mimamori.ledger/1", "line 1 is not of schema mimamori.ledger/1")
    root = public_key(line["root_key"])
    plain = {name.replace("-", "") for name in [line["root_fingerprint"]]}
    need(plain == {key_id(root)}, "root_fingerprint is not that of root_key")
    offered = {entry["key_id"]: public_key(entry["public_key"]) for entry in line["keys"]}
    need(all(key_id(public) == name for name, public in offered.items()), "a key_id is not that of its key")
    if trust is None:
        return root, offered, dict(offered)
    need(key_id(root) == trust["collector_root"].replace("-", ""), "the root key is not the trusted one")
    agents = {name.replace("-", "") for name in trust["agents"]}
    trusted = {name: public for name, public in offered.items() if name in agents}
    need(trusted, "no key of the file is among the trusted ones")
    return root, offered, trusted


def add_key(body, head, keys):
    """A `key` statement makes its new key trusted, because a trusted one signed it and the new one proves itself."""
    public = public_key(body["public_key"])
    names = {"agent_id": head["agent_id"], "old_key_id": head["key_id"], "new_key_id": key_id(public),
             "chain_id": head["chain_id"], "seq": head["seq"]}
    proof = json.dumps(names, separators=(",", ":")).encode()
    message = pae(media_type("key-proof"), proof)
    need(accepts(public, message, base64.b64decode(body["proof"], validate=True)), "the new key's proof does not hold")
    keys[key_id(public)] = public


def step(chains, place, seq, last, prev, tip):
    """The chain's rule: the next place, after the hash that stands before it."""
    chain = chains.setdefault(place, {"next": 0, "head": ZERO, "first_seq": seq, "losses": 0, "heads": 0, "tips": {}, "spans": []})
    need(isinstance(seq, int) and isinstance(last, int) and seq <= last, "seq and last_seq are not places in order")
    need(seq == chain["next"], f"place {chain['next']} is missing or stands twice: found {seq}")
    need(prev == chain["head"], f"place {seq} does not follow the hash before it")
    chain.update(next=last + 1, head=tip)
    chain["tips"][last] = tip
    return chain


def read_entry(line, who, keys, chains):
    kind, content, own_hash, signer = open_frame(line["frame"], keys)
    need(kind in ("report", "statement", "loss"), f"a {kind} has no place in a chain")
    need(line["hash"] == own_hash, "the hash given is not that of the payload")
    need(content["collector_id"] == who[0] and content["agent_id"] == who[1], "it belongs to another collector or agent")
    need(content["key_id"] == signer, "key_id is not the key that signed")
    seq, opens = content["seq"], content.get("statement") == "open"
    need(kind == "loss" or (seq == 0) == (kind == "statement" and opens), "a chain is opened at place 0 and nowhere else")
    last, tip = (content["last_seq"], content["last_hash"]) if kind == "loss" else (seq, own_hash)
    chain = step(chains, content["chain_id"], seq, last, content["prev_hash"], tip)
    if kind == "loss":
        need(content["first_seq"] == seq, "a loss record stands at its first place")
        need(sum(content["counts"].values()) == last - seq + 1, "a loss record counts something else than it bridges")
        chain["losses"] += 1
        chain["spans"].append((seq, last))
    elif opens and content["previous"] and content["previous"]["chain_id"] in chains:
        before = content["previous"]
        tips = chains[before["chain_id"]]["tips"]
        need(tips.get(before["seq"], before["hash"]) == before["hash"], "previous names a hash that does not stand there")
    elif content.get("statement") == "key" and kind == "statement":
        add_key(content, content, keys)
    return kind


def read_receipt(line, who, root, chains):
    kind, certificate, _, _ = open_frame(line["certificate"], {key_id(root): root})
    need(kind == "certificate" and certificate["collector_id"] == who[0], "not a certificate of this collector")
    public = public_key(certificate["public_key"])
    need(key_id(public) == certificate["key_id"], "the certificate's key_id is not that of its key")
    kind, receipt, _, _ = open_frame(line["receipt"], {key_id(public): public})
    need(kind == "receipt", f"a {kind} is no receipt")
    need((receipt["collector_id"], receipt["agent_id"]) == who, "a receipt of another collector or for another agent")
    chain = chains.get(receipt["chain_id"])
    need(chain, "a receipt for a chain that does not stand before it")
    seq = receipt["seq"]
    if seq not in chain["tips"]:  # places inside a later loss record have no hash any more
        need(any(first <= seq < last for first, last in chain["spans"]), f"a receipt for place {seq}, which is not there")
    else:
        need(receipt["head_hash"] == chain["tips"][seq], f"the receipt for place {seq} names another hash")


def verify(lines, trust):
    """Reads all lines; gives what is printed."""
    result = {"ok": False, "trusted": trust is not None, "reports": 0, "receipts": 0, "chains": [], "figures": [], "first_fault": None}
    chains, who, number = {}, ("", ""), 0
    try:
        for number, text in enumerate(lines, 1):
            need(text.endswith("\n"), "the last line is cut off")
            line = read_json(text)
            need(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" == text, "not in compact form")
            if number == 1:
                root, offered, keys = read_head(line, trust)
                who = (line["collector_id"], line["agent_id"])
            elif "frame" in line:
                result["reports"] += read_entry(line, who, keys, chains) == "report"
            elif "receipt" in line:
                read_receipt(line, who, root, chains)
                result["receipts"] += 1
            else:
                head = line["head"]
                need(head["key_id"] in offered, "a kept head of an unknown key")
                step(chains, head["chain_id"], head["seq"], head["last_seq"], head["prev_hash"], head["tip_hash"])["heads"] += 1
        need(number, "the file is empty")
        result["ok"] = True
    except Fault as fault:
        result["first_fault"] = f"line {number}: {fault}"
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as fault:
        result["first_fault"] = f"line {number}: a member is missing or of another form: {fault!r}"
    for name, chain in chains.items():
        result["chains"].append({"machine": who[1], "chain": name, "first_seq": chain["first_seq"], "last_seq": chain["next"] - 1,
                                 "losses": chain["losses"], "heads": chain["heads"]})
    if trust is None:
        result["note"] = NOTE
    return result


def main(arguments):
    try:
        trust = None
        if len(arguments) == 3 and arguments[1] == "--trust":
            with open(arguments[2], "rb") as file:
                trust = tomllib.load(file)
            if not isinstance(trust["collector_root"], str) or not all(isinstance(name, str) for name in trust["agents"]):
                raise ValueError("collector_root is one fingerprint, agents a list of them")
        elif len(arguments) != 1 or arguments[0].startswith("--"):
            raise ValueError("usage: verify.py FILE|- [--trust TRUST.toml]")
        with (sys.stdin if arguments[0] == "-" else open(arguments[0], encoding="utf-8", newline="\n")) as file:
            result = verify(file, trust)
    except (OSError, ValueError, KeyError, TypeError) as fault:
        print(fault, file=sys.stderr)
        return 2
    print(json.dumps(result, ensure_ascii=False))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
