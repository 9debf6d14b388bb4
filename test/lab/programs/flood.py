"""Sends port-control datagrams as fast as asked, from inside a host's namespace. One JSON line in, one out.

Frames are made before and sent in batches on a packet socket, so that one process reaches some 100,000 a second and
sources and link-layer addresses can be anyone's.
"""

import ctypes
import itertools
import json
import os
import random
import socket
import struct
import sys
import time

ETH_P_IP = 0x0800
ETH_P_ARP = 0x0806
SERVER_PORT = 5351
POOL = 16384
BATCH = 64
# It stands for another machine, so whoever is measured comes before it on the cores they share.
NICE = 5


class IoVector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(IoVector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint32),
    ]


def map_request(dice, source, number):
    """RFC 6887 sections 7.1 and 11.1: TCP, any external port, a nonce of its own."""
    client = bytes(10) + b"\xff\xff" + source
    head = struct.pack("!BBHI", 2, 1, 0, 7200) + client
    port = 1024 + number % 60000
    body = dice.randbytes(12) + struct.pack("!BBHHH", 6, 0, 0, port, 0) + bytes(10) + b"\xff\xff" + bytes(4)
    return head + body


def natpmp_request(_dice, _source, number):
    """RFC 6886 section 3.3: TCP, any external port."""
    return struct.pack("!BBHHHI", 0, 2, 0, 1024 + number % 60000, 0, 7200)


def malformed(dice, _source, _number):
    return dice.randbytes(dice.randint(1, 1200))


PAYLOADS = {"map": map_request, "natpmp": natpmp_request, "malformed": malformed}


def checksum(header):
    total = sum(struct.unpack("!10H", header))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_packet(flood, dice, number, source):
    target = socket.inet_aton(flood["server"])
    payload = PAYLOADS[flood["payload"]](dice, source, number // len(flood["sources"]))
    # A checksum of 0 is none (RFC 768).
    udp = struct.pack("!HHHH", 20000 + number % 40000, SERVER_PORT, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0, source, target)
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + udp


def arp_request(flood, station, source):
    """RFC 826: asks for the gateway, and so says whose address this is."""
    target = socket.inet_aton(flood["server"])
    return struct.pack("!HHBBH", 1, ETH_P_IP, 6, 4, 1) + station + source + bytes(6) + target


def frames(flood, dice):
    to = bytes.fromhex(flood["serverStation"].replace(":", ""))
    own = bytes.fromhex(flood["station"].replace(":", ""))
    number = 0
    while True:
        source = socket.inet_aton(flood["sources"][number % len(flood["sources"])])
        station = b"\x02" + dice.randbytes(5) if flood["inventStations"] else own
        if flood["announce"]:
            yield to + station + struct.pack("!H", ETH_P_ARP) + arp_request(flood, station, source)
        yield to + station + struct.pack("!H", ETH_P_IP) + udp_packet(flood, dice, number, source)
        number += 1


def main():
    flood = json.loads(sys.stdin.readline())
    dice = random.Random(flood["seed"])
    os.nice(NICE)
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.bind((flood["interface"], 0))
    sender.setblocking(True)
    pool = itertools.islice(frames(flood, dice), POOL)
    buffers = [ctypes.create_string_buffer(data, len(data)) for data in pool]
    vectors = (IoVector * POOL)(*[IoVector(ctypes.addressof(each), len(each)) for each in buffers])
    messages = (Message * POOL)(*[Message(None, 0, ctypes.pointer(each), 1, None, 0, 0, 0) for each in vectors])
    sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
    size = ctypes.sizeof(Message)
    start = ctypes.addressof(messages)
    print("flooding", flush=True)
    begun = time.monotonic()
    end = begun + flood["seconds"]
    per_second = flood["perSecond"]
    sent = 0
    while (now := time.monotonic()) < end:
        ahead = sent / per_second - (now - begun)
        if ahead > 0:
            time.sleep(ahead)
            continue
        first = sent % POOL
        count = min(BATCH, POOL - first)
        done = sendmmsg(sender.fileno(), ctypes.c_void_p(start + first * size), count, 0)
        if done < 0:
            # ENOBUFS: the link is full, which a flood may be.
            if ctypes.get_errno() != 105:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            continue
        sent += done
    print(json.dumps({"sent": sent, "seconds": time.monotonic() - begun}), flush=True)


main()
