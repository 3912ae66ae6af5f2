"""Time-stamping as clients see it, and a program small enough to be signed in a test."""

from __future__ import annotations

import struct

import httpx
from pycryptoutil_protocols.tsp import codec
from pycryptoutil_protocols.tsp.messages import QUERY, REPLY, TimeStampReply, TimeStampRequest

from tests.support.pki import Ca


def post(ca: Ca, body: bytes, path: str = "/tsa", listener: str = "plain", kind: str = QUERY) -> httpx.Response:
    """Send bytes as a client does."""
    return ca.suite.http(listener=listener).post(path, content=body, headers={"Content-Type": kind} if kind else {})


def ask(ca: Ca, request: TimeStampRequest | bytes, path: str = "/tsa", listener: str = "plain") -> TimeStampReply:
    """Return the reply, which must come as RFC 3161 section 3.4 says."""
    answer = post(ca, request if isinstance(request, bytes) else codec.encode_request(request), path, listener)
    assert answer.status_code == 200, answer.content
    assert answer.headers["content-type"] == REPLY
    assert answer.headers["cache-control"] == "no-store"
    return codec.decode_reply(answer.content)


def minimal_program() -> bytes:
    """A PE file of two sectors that returns at once."""
    text = b"\xc3" + bytes(511)
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    coff = struct.pack("<HHIIIHH", 0x14C, 1, 0, 0, 0, 224, 0x102)
    optional = struct.pack("<HBBIIIIII", 0x10B, 14, 0, 512, 0, 0, 0x1000, 0x1000, 0x2000)
    optional += struct.pack("<IIIHHHHHHIIIIHH", 0x400000, 0x1000, 0x200, 6, 0, 0, 0, 6, 0, 0, 0x2000, 0x200, 0, 3, 0)
    optional += struct.pack("<IIIIII", 0x100000, 0x1000, 0x100000, 0x1000, 0, 16) + bytes(16 * 8)
    section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 1, 0x1000, 512, 512, 0, 0, 0, 0, 0x60000020)
    head = dos + b"PE\0\0" + coff + optional + section
    return head + bytes(512 - len(head)) + text
