#!/usr/bin/env python3
"""Verifies a `ledger export` of an agent, or an `export` of a collector, offline, without any code of Mimamori
(docs/WIRE.md, "Ledger export", "Evidence export").

    verify.py FILE|- [--trust TRUST.toml]

Needs Python 3.11 and one Ed25519 library (`cryptography`). Exit: 0 holds, 1 verified and false, 2 usage or unreadable.
TRUST.toml holds what the facility wrote down itself: collector_root = "FINGERPRINT", agents = ["FINGERPRINT"].
"""
import base64, hashlib, json, re, sys, tomllib
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TYPES = ["report", "statement", "loss", "receipt", "refusal", "enrol", "enrolled", "certificate", "bundle"]
HEAD = ["schema", "collector_id", "agent_id", "root_key", "root_fingerprint", "keys", "exported_at_ms"]
KEPT_HEAD = ["agent_id", "collector_id", "facility", "key_id", "keys", "machine", "public_key", "root_key", "schema"]
KEPT = ["branch", "chain_id", "dsse", "epoch", "frame", "hash", "last_seq", "received_at_ms", "seq"]
ZERO = "0" * 64
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
Y8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
NOTE = "no --trust given: the keys come from the file itself and prove nothing on their own"

class Fault(Exception):
    """The file says something that does not hold."""

def need(holds, what):
    if not holds:
        raise Fault(what)

def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

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
    return len(point) == 32 and y < P and y not in (0, 1, P - 1, Y8, P - Y8)

def accepts(public, message, signature):
    """Strict Ed25519: canonical A, R and S, no small order, no cofactor (OpenSSL's equation has none)."""
    if len(signature) != 64 or not fit_point(public) or not fit_point(signature[:32]) or int.from_bytes(signature[32:], "little") >= L:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True

def no_twice(pairs):
    need(len(dict(pairs)) == len(pairs), "a key stands twice")
    return dict(pairs)

def read_json(text):
    try:
        return json.loads(text, object_pairs_hook=no_twice)
    except (ValueError, RecursionError) as fault:
        raise Fault(f"not JSON: {fault}") from None

def unpad(text):
    """Base64 in its one spelling."""
    data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text, "base64 that has not its one form")
    return data

def public_key(text):
    need(fit_point(unpad(text)), "a key that strict verification refuses")
    return unpad(text)

def open_frame(frame, keys):
    """Checks wrapper, key and signature of [payload, wrapper]; gives type, content, hash and key id."""
    payload, found = frame[0].encode(), re.fullmatch(r"([0-9a-f]{32}) ([A-Za-z0-9+/]{86}==)", frame[1])
    need(found and len(frame) == 2 and b"\n" not in payload, "the wrapper line has not its one form")
    need(found[1] in keys, f"signed by key {found[1]}, which is not among the trusted ones")
    kind = next((kind for kind in TYPES if payload.startswith(b'{"v":1,"type":"%s",' % kind.encode())), None)
    need(kind, "the payload begins like no known type")
    need(accepts(keys[found[1]], pae(media_type(kind), payload), unpad(found[2])), "the signature does not hold")
    return kind, read_json(payload), frame_hash(kind, payload), found[1]

def read_head(line, trust):
    """Line 1: the names, the root key, the keys that are offered and those that are trusted."""
    ledger = line["schema"] == "mimamori.ledger/1" and list(line) == HEAD
    need(ledger or (line["schema"] == "mimamori.export/1" and list(line) == KEPT_HEAD), "line 1 is neither of schema mimamori.ledger/1 nor mimamori.export/1")
    need(all(list(entry) == ["key_id", "public_key"] for entry in line["keys"]), "a key has other members than its schema")
    root, offered = public_key(line["root_key"]), {entry["key_id"]: public_key(entry["public_key"]) for entry in line["keys"]}
    need(not ledger or line["root_fingerprint"].replace("-", "") == key_id(root), "root_fingerprint is not that of root_key")
    need(ledger or offered.get(line["key_id"]) == public_key(line["public_key"]), "key_id and public_key are not among the keys")
    need(all(key_id(public) == name for name, public in offered.items()), "a key_id is not that of its key")
    if trust is None:
        return root, offered, dict(offered)
    need(key_id(root) == trust["collector_root"].replace("-", ""), "the root key is not the trusted one")
    agents = [name.replace("-", "") for name in trust["agents"]]
    need(any(name in agents for name in offered), "no key of the file is among the trusted ones")
    return root, offered, {name: public for name, public in offered.items() if name in agents}

def add_key(content, keys):
    """A `key` statement makes its new key trusted: a trusted key signed it, and the new key proves itself."""
    public = public_key(content["public_key"])
    proof = compact({"agent_id": content["agent_id"], "old_key_id": content["key_id"], "new_key_id": key_id(public),
                     "chain_id": content["chain_id"], "seq": content["seq"]}).encode()
    need(accepts(public, pae(media_type("key-proof"), proof), unpad(content["proof"])), "the new key's proof does not hold")
    keys[key_id(public)] = public

def step(chains, name, seq, last, prev, tip):
    """The chain's rule: every entry stands at the next place and follows the hash before it."""
    chain = chains.setdefault(name, {"next": 0, "head": ZERO, "losses": 0, "heads": 0, "tips": {}, "spans": []})
    need(seq == chain["next"], f"place {chain['next']} is missing or stands twice: found {seq}")
    need(prev == chain["head"] and last >= seq, f"place {seq} does not follow the hash before it")
    chain["tips"][last] = tip
    chain.update(next=last + 1, head=tip)
    return chain

def read_entry(line, who, keys, chains):
    kind, content, own_hash, signer = open_frame(line["frame"], keys)
    need(kind in ("report", "statement", "loss"), f"a {kind} has no place in a chain")
    need(line["hash"] == own_hash, "the hash given is not that of the payload")
    need((content["collector_id"], content["agent_id"]) == who, "it belongs to another collector or agent")
    need(content["key_id"] == signer, "key_id is not the key that signed")
    seq, says = content["seq"], content["statement"] if kind == "statement" else None
    need(kind == "loss" or (seq == 0) == (says == "open"), "a chain is opened at place 0 and nowhere else")
    last, tip = (content["last_seq"], content["last_hash"]) if kind == "loss" else (seq, own_hash)
    chain = step(chains, content["chain_id"], seq, last, content["prev_hash"], tip)
    if kind == "loss":
        need(content["first_seq"] == seq, "a loss record stands at its first place")
        need(sum(content["counts"].values()) == last - seq + 1, "a loss record counts something else than it bridges")
        chain["losses"] += 1
        chain["spans"].append((seq, last))
    elif says == "open" and content["previous"] and content["previous"]["chain_id"] in chains:
        before, old = content["previous"], chains[content["previous"]["chain_id"]]
        gone = content["reason"] == "state_lost" or any(first <= before["seq"] < last for first, last in old["spans"])
        need(old["tips"].get(before["seq"], gone and before["hash"]) == before["hash"], "previous names what does not stand there")
    elif says == "key":
        add_key(content, keys)
    return kind

def read_kept(line, who, keys, chains):
    """An entry as a collector keeps it: on a branch, whatever its body says, and a new key that was not taken beside others."""
    kind, content, own_hash, signer = open_frame(line["frame"], keys)
    need(kind in ("report", "statement", "loss"), f"a {kind} has no place in a chain")
    need((content["collector_id"], content["agent_id"], content["key_id"]) == (*who, signer), "it belongs to another collector, agent or key")
    name, branch, seq, prev = content["chain_id"], line["branch"], content["seq"], content["prev_hash"]
    last, tip = (content["last_seq"], content["last_hash"]) if kind == "loss" else (seq, own_hash)
    need((line["chain_id"], line["seq"], line["last_seq"], line["hash"]) == (name, seq, last, own_hash), "what stands beside the frame contradicts it")
    signature = {"keyid": signer, "sig": line["frame"][1].split(" ")[1]}
    dsse = {"payload": base64.b64encode(line["frame"][0].encode()).decode(), "payloadType": media_type(kind), "signatures": [signature]}
    need(line["dsse"] == compact(dsse), "the DSSE form is of another frame")
    need(all(type(line[number]) is int for number in ("branch", "epoch", "received_at_ms")), "branch, epoch and received_at_ms are whole numbers")
    need(all(other == line["epoch"] for (chain, _), other in chains["epochs"].items() if chain == name), "one chain has two epochs")
    chains["epochs"][name, branch] = line["epoch"]
    branches = chains["branches"]
    if branch and seq and (name, branch) not in branches:
        left = any(chain == name and other["tips"].get(seq - 1) == prev for (chain, _), other in branches.items())
        need(left, f"branch {branch} leaves no branch at place {seq}")
        branches[name, branch] = {"next": seq, "head": prev, "losses": 0, "heads": 0, "tips": {}, "spans": []}
    step(branches, (name, branch), seq, last, prev, tip)["losses"] += kind == "loss"
    if kind == "statement" and content.get("statement") == "key":
        try:
            add_key(content, keys)
        except (Fault, KeyError, TypeError, ValueError):
            pass  # kept as evidence, and not taken
    return kind

def read_receipt(line, who, root, chains):
    kind, certificate, _, _ = open_frame(line["certificate"], {key_id(root): root})
    need(kind == "certificate" and certificate["collector_id"] == who[0], "not a certificate of this collector")
    public = public_key(certificate["public_key"])
    kind, receipt, _, _ = open_frame(line["receipt"], {certificate["key_id"]: public})
    need(kind == "receipt" and certificate["key_id"] == key_id(public), "not a receipt under the certificate")
    need((receipt["collector_id"], receipt["agent_id"]) == who, "a receipt of another collector or for another agent")
    need(receipt["chain_id"] in chains, "a receipt for a chain that does not stand before it")
    chain, seq = chains[receipt["chain_id"]], receipt["seq"]
    inside = any(first <= seq < last for first, last in chain["spans"])  # no hash is left there
    need(inside or chain["tips"].get(seq) == receipt["head_hash"], f"the receipt for place {seq} names another hash")

def verify(lines, trust):
    """Reads all lines; gives what is printed."""
    result = {"ok": False, "trusted": trust is not None, "entries": 0, "reports": 0, "receipts": 0, "chains": [], "figures": [], "first_fault": None}
    chains, kept, who, number = {}, None, ("", ""), 0
    check, ended = bytes(32), True
    try:
        for number, text in enumerate(lines, 1):
            need(not (kept and ended), "something stands behind the last line")
            line = read_json(text)
            need(compact(line) + "\n" == text, "not in compact form, or the last newline is missing")
            if number == 1:
                root, offered, keys = read_head(line, trust)
                who = (line["collector_id"], line["agent_id"])
                if line["schema"] == "mimamori.export/1":
                    kept, ended = {"branches": chains, "epochs": {}}, False
            elif kept and list(line) == ["check", "entries"]:
                need(line == {"check": check.hex(), "entries": result["entries"]}, "the check is not that of the lines before it")
                ended = True
            elif kept:
                need(list(line) == KEPT, "no line of an export")
                result["reports"] += read_kept(line, who, keys, kept) == "report"
                result["entries"] += 1
            elif list(line) == ["frame", "hash"]:
                result["reports"] += read_entry(line, who, keys, chains) == "report"
                result["entries"] += 1
            elif list(line) == ["receipt", "certificate"]:
                read_receipt(line, who, root, chains)
                result["receipts"] += 1
            else:
                need(list(line) == ["head"] and line["head"]["key_id"] in offered, "no line of a ledger, or a head of an unknown key")
                step(chains, *(line["head"][name] for name in ("chain_id", "seq", "last_seq", "prev_hash", "tip_hash")))["heads"] += 1
                result["entries"] += 1
            check = hashlib.sha256(check + text.encode()).digest()
        need(number, "the file is empty")
        need(ended, "the last line is missing: it was cut off")
        result["ok"] = True
    except (Fault, KeyError, TypeError, ValueError, AttributeError, IndexError) as fault:
        result["first_fault"] = f"line {number}: {fault}" if isinstance(fault, Fault) else f"line {number}: not of its form: {fault!r}"
    told = lambda name: {"chain": name[0], "branch": name[1]} if kept else {"chain": name}
    result["chains"] = [{"machine": who[1], **told(name), "first_seq": min(chain["tips"], default=0) if kept else 0, "last_seq": chain["next"] - 1,
                         "losses": chain["losses"], "heads": chain["heads"]} for name, chain in chains.items()]
    return result if trust else result | {"note": NOTE}

def main(arguments):
    try:
        if not (len(arguments) == 1 or (len(arguments) == 3 and arguments[1] == "--trust")) or arguments[0].startswith("--"):
            raise ValueError("usage: verify.py FILE|- [--trust TRUST.toml]")
        trust = None
        if len(arguments) == 3:
            with open(arguments[2], "rb") as file:
                trust = tomllib.load(file)
            if not isinstance(trust.get("collector_root"), str) or not isinstance(trust.get("agents"), list):
                raise ValueError("a trust file has collector_root = FINGERPRINT and agents = [FINGERPRINT, ...]")
        with open(0 if arguments[0] == "-" else arguments[0], encoding="utf-8", newline="\n") as file:
            result = verify(file, trust)
    except (OSError, ValueError) as fault:
        print(fault, file=sys.stderr)
        return 2
    print(compact(result))
    return 0 if result["ok"] else 1

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
