"""Verifies a log's folder. Written from RFC 6962, RFC 8032, c2sp.org/signed-note, tlog-checkpoint, tlog-tiles and
tlog-proof alone; shares nothing with what wrote the log. Arguments: folder, public key. Prints what it found."""

import base64
import hashlib
import os
import sys

# RFC 8032, section 5.1: the curve, and how points are encoded.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def recover(y, sign):
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def point(data):
    y = int.from_bytes(data, "little")
    x = recover(y & (1 << 255) - 1, y >> 255)
    return None if x is None else (x, y & (1 << 255) - 1)


def add(one, other):
    (a, b), (c, d) = one, other
    k = D * a * b * c * d % P
    return ((a * d + b * c) * pow(1 + k, P - 2, P) % P, (b * d + a * c) * pow(1 - k, P - 2, P) % P)


def times(number, at):
    result = (0, 1)
    while number:
        if number & 1:
            result = add(result, at)
        at = add(at, at)
        number >>= 1
    return result


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (recover(BASE_Y, 0), BASE_Y)


def signed(key, message, signature):
    a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or a is None or r is None or s >= L:
        return False
    digest = hashlib.sha512(signature[:32] + key + message).digest()
    h = int.from_bytes(digest, "little") % L
    return times(s, BASE) == add(r, times(h, a))


# RFC 6962, section 2.1.
def leaf(data):
    return hashlib.sha256(b"\0" + data).digest()


def root(hashes):
    if not hashes:
        return hashlib.sha256().digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root(hashes[:k]) + root(hashes[k:])).digest()


def included(index, size, at, path):
    """RFC 6962, section 2.1.1, from the definition: the root that the path makes."""
    if size == 1:
        return None if path else at
    if not path:
        return None
    k = 1 << (size - 1).bit_length() - 1
    if index < k:
        left, right = included(index, k, at, path[:-1]), path[-1]
    else:
        left, right = path[-1], included(index - k, size - k, at, path[:-1])
    return None if left is None or right is None else hashlib.sha256(b"\1" + left + right).digest()


# c2sp.org/signed-note and c2sp.org/tlog-checkpoint.
def opened(note, vkey):
    name, key_id, encoded = vkey.strip().split("+", 2)
    raw = base64.b64decode(encoded, validate=True)
    assert raw[0] == 1 and len(raw) == 33, "not an Ed25519 key"
    number = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    assert number.hex() == key_id, "the key's id"
    text, signatures = note.rsplit("\n\n", 1)
    text += "\n"
    for line in signatures.splitlines():
        dash, signer, encoded = line.split(" ")
        data = base64.b64decode(encoded, validate=True)
        if dash == "\u2014" and signer == name and data[:4] == number:
            assert signed(raw[1:], text.encode(), data[4:]), "the signature"
            origin, size, digest = text.splitlines()[:3]
            assert origin == name and str(int(size)) == size
            return int(size), base64.b64decode(digest, validate=True)
    raise AssertionError("no signature of this key")


# c2sp.org/tlog-tiles.
def tile_path(level, index, width):
    digits = f"{index:03}"
    while len(digits) % 3:
        digits = "0" + digits
    parts = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    path = "/".join(["x" + part for part in parts[:-1]] + [parts[-1]])
    return f"tile/{level}/{path}" + ("" if width == 256 else f".p/{width}")


def tiles(folder, hashes):
    count, level = 0, 0
    while hashes:
        for index in range(0, len(hashes), 256):
            part = hashes[index : index + 256]
            path = os.path.join(folder, tile_path(level, index // 256, len(part)))
            with open(path, "rb") as file:
                assert file.read() == b"".join(part), path
            count += 1
        full = len(hashes) // 256
        hashes = [root(hashes[i * 256 : (i + 1) * 256]) for i in range(full)]
        level += 1
    return count


def main():
    folder, vkey = sys.argv[1], sys.argv[2]
    lines = []
    records = os.path.join(folder, "records")
    for name in sorted(os.listdir(records)):
        if name.endswith(".jsonl"):
            assert int(name.split(".")[0]) == len(lines), name
            with open(os.path.join(records, name), "rb") as file:
                lines += file.read().splitlines()
    hashes = [leaf(line) for line in lines]
    heads = [os.path.join(records, name) for name in os.listdir(records) if name.endswith(".checkpoint")]
    for path in [os.path.join(folder, "checkpoint"), *heads]:
        with open(path, encoding="utf-8", newline="") as file:
            size, digest = opened(file.read(), vkey)
        assert root(hashes[:size]) == digest, path
    with open(os.path.join(folder, "checkpoint"), encoding="utf-8", newline="") as file:
        size, digest = opened(file.read(), vkey)
    count = tiles(folder, hashes[:size])
    for path in sys.argv[3:]:
        with open(path, encoding="utf-8", newline="") as file:
            body, note = file.read().split("\n\n", 1)
        first, extra, index, *path = body.splitlines()
        assert first == "c2sp.org/tlog-proof@v1"
        record = base64.b64decode(extra.removeprefix("extra "), validate=True)
        number = int(index.removeprefix("index "))
        assert record == lines[number]
        proof_size, proof_root = opened(note, vkey)
        path = [base64.b64decode(line, validate=True) for line in path]
        assert included(number, proof_size, leaf(record), path) == proof_root, "the proof"
    print(f"{size} of {len(lines)} records, {1 + len(heads)} heads, {count} tiles, {len(sys.argv) - 3} proofs")


main()
