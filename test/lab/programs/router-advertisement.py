"""Sends one router advertisement (RFC 4861 section 4.2): interface, router lifetime in seconds, on-link prefix."""

import socket
import struct
import sys

interface, lifetime, prefix = sys.argv[1], int(sys.argv[2]), sys.argv[3]
address, length = prefix.split("/")

ADVERTISEMENT = 134
PREFIX_INFORMATION = 3
ON_LINK_AUTONOMOUS = 0xC0
WEEK = 7 * 24 * 3600

header = struct.pack("!BBHBBHII", ADVERTISEMENT, 0, 0, 64, 0, lifetime, 0, 0)
option = struct.pack("!BBBBIII", PREFIX_INFORMATION, 4, int(length), ON_LINK_AUTONOMOUS, WEEK, WEEK, 0)
option += socket.inet_pton(socket.AF_INET6, address)

# The kernel fills in the checksum (RFC 3542 section 3.1), and takes the link-local address as the source.
sender = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
sender.sendto(header + option, ("ff02::1", 0, 0, socket.if_nametoindex(interface)))
