"""What an outsider finds at some addresses: every TCP port that answers a SYN, every UDP probe that gets a reply.

Raw SYNs, because what the gateway drops is silent: 65,535 connecting sockets would wait for their time-outs. The
kernel resets each SYN-ACK by itself. `wan-scan.py FROM TARGET[/TCP_PORT,...]:UDP_PORT,... ...` prints for each target, in
their order, {"tcp": [...], "udp": [...], "udpSent": n}; without TCP ports all of them are tried.
"""

import ctypes
import errno
import json
import os
import random
import select
import socket
import struct
import sys
import time

source = sys.argv[1]
SOURCE_PORT = random.randint(20000, 29999)
# Silence is an answer only if nothing was lost on the way: then once is enough.
MAX_ROUNDS = 3
UDP_ANSWER_S = 0.6
SEND_TRIES = 100
# What a connected socket is told of an earlier SYN by ICMP, of a firewall that rejects or a neighbour that is silent.
REFUSALS = {errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.ENETUNREACH, errno.ENOPROTOOPT}

# As many SYNs in one call: a scan is 65,535 of them and more.
BATCH = 64
SYN_LENGTH = 20
libc = ctypes.CDLL(None, use_errno=True)


class Iovec(ctypes.Structure):
    """struct iovec, see readv(2)."""

    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Mmsghdr(ctypes.Structure):
    """struct mmsghdr, see sendmmsg(2): a struct msghdr, and what was sent of it."""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.POINTER(Iovec)),
        ("iov_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("padding", ctypes.c_int),
        ("sent", ctypes.c_uint),
    ]


class TcpScan:
    """A raw socket that hears one target alone, and its SYNs: all of them the same but for the port and its checksum."""

    def __init__(self, target, ports):
        self.ports = ports
        self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.raw.bind((source, 0))
        self.raw.connect((target, 0))
        self.raw.setblocking(False)
        self.answered, self.found = set(), set()
        rest = struct.pack("!IIBBH", 1, 0, 5 << 4, 2, 64240)
        pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, 6, 20)
        self.sum = sum(struct.unpack("!13H", pseudo + struct.pack("!H", SOURCE_PORT) + rest))
        self.rest = rest
        self.segments = ctypes.create_string_buffer(BATCH * SYN_LENGTH)
        first = ctypes.addressof(self.segments)
        self.iovs = (Iovec * BATCH)(*((first + index * SYN_LENGTH, SYN_LENGTH) for index in range(BATCH)))
        self.messages = (Mmsghdr * BATCH)()
        for message, iov in zip(self.messages, self.iovs):
            message.iov, message.iov_count = ctypes.pointer(iov), 1

    def syn(self, port):
        total = self.sum + port
        total = (total >> 16) + (total & 0xFFFF)
        total += total >> 16
        return struct.pack("!HH12sHH", SOURCE_PORT, port, self.rest, ~total & 0xFFFF, 0)

    def receive(self):
        try:
            packet = self.raw.recv(256)
        except OSError as error:
            if error.errno not in REFUSALS:
                raise
            return
        segment = packet[(packet[0] & 15) * 4 :]
        port, to = struct.unpack("!HH", segment[:4])
        if to != SOURCE_PORT:
            return
        self.answered.add(port)
        if segment[13] & 0x12 == 0x12:
            self.found.add(port)

    def send(self, ports, drain):
        ctypes.memmove(self.segments, b"".join(map(self.syn, ports)), len(ports) * SYN_LENGTH)
        done, tries = 0, 0
        while done < len(ports):
            at = ctypes.byref(self.messages, done * ctypes.sizeof(Mmsghdr))
            sent = libc.sendmmsg(self.raw.fileno(), at, len(ports) - done, socket.MSG_DONTWAIT)
            if sent > 0:
                done, tries = done + sent, 0
                continue
            tries += 1
            error = ctypes.get_errno()
            if tries == SEND_TRIES:
                raise TimeoutError(f"the SYN to port {ports[done]} could not be sent")
            if error == errno.EAGAIN:
                drain(0.01)
            elif error not in REFUSALS:
                raise OSError(error, os.strerror(error))


def losses():
    """What was dropped on any way so far; None while the next hop is not known, as then packets go without being counted."""
    with open("/proc/net/softnet_stat") as lines:
        backlogs = sum(int(line.split()[1], 16) for line in lines)
    with open("/proc/net/raw") as lines:
        sockets = sum(int(line.split()[-1]) for line in list(lines)[1:])
    with open("/proc/net/arp") as lines:
        known = all(line.split()[2] != "0x0" for line in list(lines)[1:])
    return (backlogs, sockets) if known else None


def scan_tcp(targets):
    scans = [TcpScan(target, ports) for target, ports in targets]
    by_socket = {scan.raw: scan for scan in scans}

    def drain(wait):
        while ready := select.select(list(by_socket), [], [], wait)[0]:
            for raw in ready:
                by_socket[raw].receive()

    for _ in range(MAX_ROUNDS):
        before = losses()
        for scan in scans:
            ports = [port for port in scan.ports if port not in scan.answered]
            random.shuffle(ports)
            for first in range(0, len(ports), BATCH):
                scan.send(ports[first : first + BATCH], drain)
                drain(0)
        drain(0.3)
        if before is not None and losses() == before:
            break
    return [sorted(scan.found) for scan in scans]


DNS = bytes.fromhex("123401000001000000000000") + b"\x07example\x03com\x00\x00\x01\x00\x01"
SSDP = (
    b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n'
)
MDNS = bytes.fromhex("000000000001000000000000") + b"\x09_services\x07_dns-sd\x04_udp\x05local\x00\x00\x0c\x00\x01"
MAPPED_SOURCE = b"\0" * 10 + b"\xff\xff" + socket.inet_aton(source)
PCP_MAP = (
    bytes.fromhex("0201000000000e10")
    + MAPPED_SOURCE
    + b"\x11" * 12
    + bytes.fromhex("06000000")
    + struct.pack("!HH", 4711, 4711)
    + b"\0" * 10
    + b"\xff\xff\0\0\0\0"
)
PCP_ANNOUNCE = bytes.fromhex("0200000000000000") + MAPPED_SOURCE
WIREGUARD_INITIATION = b"\x01\0\0\0" + b"\x42" * 144

PROBES = {
    53: [DNS],
    1900: [SSDP],
    5350: [PCP_ANNOUNCE],
    5351: [PCP_MAP, PCP_ANNOUNCE, b"\0\0", bytes.fromhex("000200001267126700000e10")],
    5353: [MDNS],
    51820: [WIREGUARD_INITIATION],
}


def send_udp(target, extra):
    sockets = []
    for port in sorted(set(PROBES) | set(extra)):
        for probe in PROBES.get(port, []) + ([b"hello"] if port in extra else []):
            probe_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            probe_socket.bind((source, 0))
            probe_socket.sendto(probe, (target, port))
            sockets.append((probe_socket, port))
    return sockets


def answered_udp(sockets, deadline):
    found, by_socket = set(), dict(sockets)
    while True:
        readable = select.select(list(by_socket), [], [], max(0, deadline - time.monotonic()))[0]
        if not readable:
            return sorted(found)
        for probe_socket in readable:
            try:
                probe_socket.recv(2048)
                found.add(by_socket[probe_socket])
            except OSError:
                pass  # ICMP unreachable says nothing serves there
            del by_socket[probe_socket]


def wanted(argument):
    place, _, udp = argument.partition(":")
    target, slash, tcp = place.partition("/")
    return target, numbers(tcp) if slash else range(1, 65536), numbers(udp)


def numbers(text):
    return [int(port) for port in text.split(",") if port]


scanned = [wanted(argument) for argument in sys.argv[2:]]
udp = [send_udp(target, extra) for target, _, extra in scanned]
deadline = time.monotonic() + UDP_ANSWER_S
tcp = scan_tcp([(target, ports) for target, ports, _ in scanned])
results = [
    {"tcp": found, "udp": answered_udp(sockets, deadline), "udpSent": len(sockets)} for found, sockets in zip(tcp, udp)
]
print(json.dumps(results))
