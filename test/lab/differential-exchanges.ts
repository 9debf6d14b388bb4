/**
 * 500 fixed requests of PCP (RFC 6887) and NAT-PMP (RFC 6886), written from the RFCs and not by our codec. Each has
 * ports of its own unless it is about what came before it, so that a difference does not make others.
 */
export interface Exchange {
  /** "group/what". */
  readonly id: string;
  readonly bytes: Buffer;
}

export const CLIENT = "192.168.77.2";
const OTHER_HOST = "192.168.77.9";
const EXTERNAL = "11.22.33.1";
const NONCE = "000102030405060708090a0b";
const OTHER_NONCE = "ffeeddccbbaa998877665544";
const TCP = 6;
const UDP = 17;
const HOUR = 3600;

interface Map {
  readonly version?: number;
  readonly opcode?: number;
  readonly reserved?: number;
  readonly lifetime?: number;
  readonly client?: string;
  readonly nonce?: string;
  readonly protocol?: number;
  readonly internalPort?: number;
  readonly suggestedPort?: number;
  readonly suggestedAddress?: string;
  /** Hex, behind the 60 octets. */
  readonly options?: string;
}

const list: Exchange[] = [];
let lastPort = 10_000;

/** No other exchange uses it. */
function freshPort(): number {
  lastPort += 1;
  return lastPort;
}

function add(group: string, what: string | number, bytes: Buffer): void {
  list.push({ id: `${group}/${what}`, bytes });
}

/** RFC 6887 §5. */
function address(text: string): Buffer {
  if (text.includes(":")) return text === "::" ? Buffer.alloc(16) : Buffer.from(text.replaceAll(":", ""), "hex");
  return Buffer.from([...Array(10).fill(0), 0xff, 0xff, ...text.split(".").map(Number)]);
}

/** RFC 6887 §7.1, §11.1. */
function map(fields: Map = {}): Buffer {
  const port = freshPort();
  const bytes = Buffer.alloc(60);
  bytes[0] = fields.version ?? 2;
  bytes[1] = fields.opcode ?? 1;
  bytes.writeUInt16BE(fields.reserved ?? 0, 2);
  bytes.writeUInt32BE(fields.lifetime ?? HOUR, 4);
  address(fields.client ?? CLIENT).copy(bytes, 8);
  Buffer.from(fields.nonce ?? NONCE, "hex").copy(bytes, 24);
  bytes[36] = fields.protocol ?? TCP;
  bytes.writeUInt16BE(fields.internalPort ?? port, 40);
  bytes.writeUInt16BE(fields.suggestedPort ?? fields.internalPort ?? port, 42);
  address(fields.suggestedAddress ?? "0.0.0.0").copy(bytes, 44);
  return Buffer.concat([bytes, Buffer.from((fields.options ?? "").replaceAll(" ", ""), "hex")]);
}

/** RFC 6887 §14.1, and any opcode without a body of ours. */
const header = (opcode: number, rest = ""): Buffer =>
  Buffer.concat([Buffer.from([2, opcode, 0, 0, 0, 0, 0, 0]), address(CLIENT), Buffer.from(rest, "hex")]);

/** RFC 6887 §7.3: data padded to four octets. */
function option(code: number, data: Buffer = Buffer.alloc(0), length = data.length): string {
  const head = Buffer.from([code, 0, length >> 8, length & 0xff]);
  return Buffer.concat([head, data, Buffer.alloc((4 - (data.length % 4)) % 4)]).toString("hex");
}

/** RFC 6887 §13.3. */
const filter = (prefixLength: number, port: number, remote: string): string =>
  option(3, Buffer.concat([Buffer.from([0, prefixLength, port >> 8, port & 0xff]), address(remote)]));

const PREFER_FAILURE = option(2);
const thirdParty = (host: string): string => option(1, address(host));

/** RFC 6886 §3.3. */
function natPmp(
  opcode: number,
  internalPort: number,
  suggestedPort = internalPort,
  lifetime = HOUR,
  reserved = 0,
): Buffer {
  const bytes = Buffer.alloc(12);
  bytes[1] = opcode;
  bytes.writeUInt16BE(reserved, 2);
  bytes.writeUInt16BE(internalPort, 4);
  bytes.writeUInt16BE(suggestedPort, 6);
  bytes.writeUInt32BE(lifetime, 8);
  return bytes;
}

function pcpForm(): void {
  for (const length of [1, 2]) add("pcp-nothing", length, map().subarray(0, length));
  for (const length of [3, 4, 8, 12, 20, 22, 23]) add("pcp-no-header", length, map().subarray(0, length));
  for (const length of [24, 28, 32, 36, 40, 44, 48, 52, 56]) add("pcp-map-cut", length, map().subarray(0, length));
  for (const length of [25, 26, 27, 33, 42, 57, 58, 59]) add("pcp-map-cut-odd", length, map().subarray(0, length));
  for (const more of [1, 2, 3, 5, 6, 7])
    add("pcp-odd-length", 60 + more, Buffer.concat([map(), Buffer.alloc(more, 0xff)]));
  for (const length of [1096, 1100]) {
    add("pcp-long", length, map({ options: option(200, Buffer.alloc(length - 64)) }));
  }
  for (const length of [1104, 1200, 1400]) {
    add("pcp-too-long", length, map({ options: option(200, Buffer.alloc(length - 64)) }));
  }
  for (const version of [1, 3, 4, 9, 127, 128, 254, 255]) add("pcp-version", version, map({ version }));
  for (const version of [1, 3, 255]) {
    for (const length of [2, 4, 8, 12, 24]) {
      add("pcp-version-short", `${version}-${length}`, map({ version }).subarray(0, length));
    }
  }
  for (const opcode of [3, 4, 5, 16, 95, 96, 126, 127]) add("pcp-opcode", opcode, map({ opcode }));
  for (const opcode of [3, 127]) add("pcp-opcode-bare", opcode, header(opcode));
  for (const opcode of [128, 129, 130, 255]) add("pcp-response", opcode, map({ opcode }));
  for (const reserved of [1, 0x0100, 0xffff]) add("pcp-reserved", reserved, map({ reserved }));
  for (const [index, at] of [37, 38, 39].entries()) {
    const bytes = map();
    bytes[at] = 1 + index;
    add("pcp-map-reserved", at, bytes);
  }
  for (const client of [OTHER_HOST, "0.0.0.0", "::", "255.255.255.255", "127.0.0.1", EXTERNAL, "192.168.77.1"]) {
    add("pcp-mismatch", client, map({ client }));
  }
  add("pcp-mismatch", "ipv6", map({ client: "2001:0db8:0000:0000:0000:0000:0000:0001" }));
  add("pcp-mismatch", "announce", Buffer.concat([header(0).subarray(0, 8), address(OTHER_HOST)]));
  add("pcp-mismatch-opcode", 5, map({ opcode: 5, client: OTHER_HOST }));
  add("pcp-mismatch-delete", "map", map({ client: OTHER_HOST, lifetime: 0 }));
}

function announce(): void {
  add("announce", "plain", header(0));
  add("announce", "again", header(0));
  add("announce-options", "optional", header(0, option(200)));
  add("announce-options", "optional-data", header(0, option(255, Buffer.alloc(8))));
  add("announce-options-mandatory", "unknown", header(0, option(100)));
  add("announce-options-mandatory", "prefer-failure", header(0, PREFER_FAILURE));
  add("announce-options-mandatory", "third-party", header(0, thirdParty(OTHER_HOST)));
  add("announce-options-mandatory", "filter", header(0, filter(128, 0, EXTERNAL)));
  add("announce-odd", 25, header(0, "00"));
  add("announce-odd", 27, header(0, "000000"));
  add("announce-option-cut", "length", header(0, option(200, Buffer.alloc(0), 8)));
  const lifetime = header(0);
  lifetime.writeUInt32BE(HOUR, 4);
  add("announce", "lifetime", lifetime);
}

function protocolsAndPorts(): void {
  for (const protocol of [1, 2, 33, 41, 47, 50, 58, 132, 136, 255]) {
    add("pcp-protocol", protocol, map({ protocol }));
  }
  for (const protocol of [1, 47, 50, 132]) {
    add("pcp-protocol-all-ports", protocol, map({ protocol, internalPort: 0, suggestedPort: 0 }));
  }
  add("pcp-all-protocols", "port-0", map({ protocol: 0, internalPort: 0, suggestedPort: 0 }));
  add("pcp-all-protocols-port", "port", map({ protocol: 0 }));
  add("pcp-all-protocols", "suggested", map({ protocol: 0, internalPort: 0, suggestedPort: 9000 }));
  for (const protocol of [TCP, UDP]) {
    add("pcp-all-ports", protocol, map({ protocol, internalPort: 0, suggestedPort: 0 }));
    add("pcp-all-ports", `${protocol}-suggested`, map({ protocol, internalPort: 0, suggestedPort: 9100 }));
    for (const port of [1, 21, 80, 443, 1023]) {
      add("pcp-internal-low", `${protocol}-${port}`, map({ protocol, internalPort: port, suggestedPort: freshPort() }));
    }
    for (const port of [1024, 49152, 65534, 65535]) {
      add("pcp-internal", `${protocol}-${port}`, map({ protocol, internalPort: port, suggestedPort: freshPort() }));
    }
    for (const port of [1, 80, 443, 1023])
      add("pcp-external-low", `${protocol}-${port}`, map({ protocol, suggestedPort: port }));
    for (const port of [22])
      add("pcp-external-protected", `${protocol}-${port}`, map({ protocol, suggestedPort: port }));
    for (const port of [2048, 3000, 40000, 60999]) {
      add("pcp-external", `${protocol}-${port}`, map({ protocol, suggestedPort: port }));
    }
    for (const round of [1, 2, 3, 4, 5])
      add("pcp-external-any", `${protocol}-${round}`, map({ protocol, suggestedPort: 0 }));
    for (const round of [1, 2, 3, 4]) add("pcp-map", `${protocol}-${round}`, map({ protocol }));
  }
  add("pcp-external-own", "udp-5351", map({ protocol: UDP, suggestedPort: 5351 }));
  for (const text of [EXTERNAL, "0.0.0.0", "::"]) add("pcp-address", text, map({ suggestedAddress: text }));
  for (const text of ["11.22.33.9", "192.168.77.1", "255.255.255.255", "8.8.8.8"]) {
    add("pcp-address-other", text, map({ suggestedAddress: text }));
  }
  add("pcp-address-other", "ipv6", map({ suggestedAddress: "2001:0db8:0000:0000:0000:0000:0000:0001" }));
}

function lifetimes(): void {
  for (const protocol of [TCP, UDP]) {
    for (const lifetime of [1, 2, 30, 60, 119])
      add("pcp-lifetime-short", `${protocol}-${lifetime}`, map({ protocol, lifetime }));
    for (const lifetime of [120, 121, 600, 7200, 86_399, 86_400]) {
      add("pcp-lifetime", `${protocol}-${lifetime}`, map({ protocol, lifetime }));
    }
    for (const lifetime of [86_401, 604_800, 0x7fffffff, 0x80000000, 0xffffffff]) {
      add("pcp-lifetime-long", `${protocol}-${lifetime}`, map({ protocol, lifetime }));
    }
  }
}

function renewals(): void {
  for (const protocol of [TCP, UDP]) {
    const internalPort = freshPort();
    const own = { protocol, internalPort, suggestedPort: internalPort };
    add("renew", `${protocol}-first`, map(own));
    add("renew", `${protocol}-same`, map(own));
    add("renew", `${protocol}-again`, map(own));
    add("renew", `${protocol}-longer`, map({ ...own, lifetime: 7200 }));
    add("renew", `${protocol}-shorter`, map({ ...own, lifetime: 600 }));
    add("renew-other-port", `${protocol}-suggested`, map({ ...own, suggestedPort: freshPort() }));
    add("renew-other-port", `${protocol}-any`, map({ ...own, suggestedPort: 0 }));
    add("renew", `${protocol}-its-address`, map({ ...own, suggestedAddress: EXTERNAL }));
    add("renew-prefer-failure", `${protocol}-same`, map({ ...own, options: PREFER_FAILURE }));
    add(
      "renew-prefer-failure-other",
      `${protocol}-other`,
      map({ ...own, suggestedPort: freshPort(), options: PREFER_FAILURE }),
    );
    add("other-nonce", `${protocol}-map`, map({ ...own, nonce: OTHER_NONCE }));
    add("other-nonce", `${protocol}-zero`, map({ ...own, nonce: "0".repeat(24) }));
    add("other-nonce", `${protocol}-last-bit`, map({ ...own, nonce: `${NONCE.slice(0, -1)}a` }));
    add("other-nonce-delete", `${protocol}-delete`, map({ ...own, nonce: OTHER_NONCE, lifetime: 0 }));
    add("renew", `${protocol}-still`, map(own));
    add("taken", `${protocol}-other-internal`, map({ protocol, suggestedPort: internalPort }));
    add(
      "taken-prefer-failure",
      `${protocol}-other-internal`,
      map({ protocol, suggestedPort: internalPort, options: PREFER_FAILURE }),
    );
    add("delete", `${protocol}-own`, map({ ...own, lifetime: 0 }));
    add("delete-again", `${protocol}-own`, map({ ...own, lifetime: 0 }));
    add("delete-again", `${protocol}-other-nonce`, map({ ...own, nonce: OTHER_NONCE, lifetime: 0 }));
    add("after-delete", `${protocol}-same`, map(own));
    add("delete", `${protocol}-no-suggestion`, map({ ...own, suggestedPort: 0, lifetime: 0 }));
    add("after-delete", `${protocol}-other-nonce`, map({ ...own, nonce: OTHER_NONCE }));
    add("delete", `${protocol}-other-nonce`, map({ ...own, nonce: OTHER_NONCE, lifetime: 0 }));
    add("delete-unknown", protocol, map({ protocol, lifetime: 0 }));
    add("delete-unknown", `${protocol}-suggested-address`, map({ protocol, lifetime: 0, suggestedAddress: EXTERNAL }));
    add(
      "delete-all-ports",
      protocol,
      map({ protocol, internalPort: 0, suggestedPort: 0, lifetime: 0, nonce: OTHER_NONCE }),
    );
    add("delete-prefer-failure", protocol, map({ protocol, lifetime: 0, options: PREFER_FAILURE }));
  }
  add(
    "delete-all-protocols",
    "port-0",
    map({ protocol: 0, internalPort: 0, suggestedPort: 0, lifetime: 0, nonce: OTHER_NONCE }),
  );
  add("delete-all-protocols-port", "port", map({ protocol: 0, lifetime: 0, nonce: OTHER_NONCE }));
  for (const protocol of [1, 47, 132]) add("delete-protocol", protocol, map({ protocol, lifetime: 0 }));
}

function options(): void {
  for (const code of [0, 4, 5, 64, 99, 126, 127]) add("option-mandatory", code, map({ options: option(code) }));
  for (const code of [4, 127]) {
    for (const length of [1, 4, 17]) {
      add("option-mandatory", `${code}-data-${length}`, map({ options: option(code, Buffer.alloc(length, 7)) }));
    }
  }
  for (const code of [128, 131, 160, 191, 192, 222, 226, 254, 255])
    add("option-optional", code, map({ options: option(code) }));
  for (const length of [1, 2, 3, 4, 17, 200]) {
    add("option-optional", `200-data-${length}`, map({ options: option(200, Buffer.alloc(length, 7)) }));
  }
  add("option-optional", "two", map({ options: option(200) + option(201) }));
  add("option-optional", "twice", map({ options: option(200) + option(200) }));
  add("option-optional", "port-set", map({ options: option(130, Buffer.from([0, 4, 0, 80, 0])) }));
  add("option-mixed", "optional-mandatory", map({ options: option(200) + option(100) }));
  add("option-mixed", "mandatory-optional", map({ options: option(100) + option(200) }));
  for (const length of [1, 4, 5, 100, 0xffff]) {
    add("option-cut", `200-${length}`, map({ options: option(200, Buffer.alloc(0), length) }));
  }
  for (const length of [4, 0xffff])
    add("option-cut-mandatory", `100-${length}`, map({ options: option(100, Buffer.alloc(0), length) }));
  add("option-reserved", "prefer-failure", map({ options: "02ff0000" }));
  add("option-reserved", "optional", map({ options: "c8ff0000" }));

  for (const protocol of [TCP, UDP]) {
    add("prefer-failure", protocol, map({ protocol, options: PREFER_FAILURE }));
    add(
      "prefer-failure",
      `${protocol}-address`,
      map({ protocol, options: PREFER_FAILURE, suggestedAddress: EXTERNAL }),
    );
    add("prefer-failure-address", protocol, map({ protocol, options: PREFER_FAILURE, suggestedAddress: "11.22.33.9" }));
    add("prefer-failure-no-port", protocol, map({ protocol, suggestedPort: 0, options: PREFER_FAILURE }));
    add("prefer-failure-twice", protocol, map({ protocol, options: PREFER_FAILURE + PREFER_FAILURE }));
    for (const length of [1, 4]) {
      add("prefer-failure-data", `${protocol}-${length}`, map({ protocol, options: option(2, Buffer.alloc(length)) }));
    }
    add("prefer-failure-optional", protocol, map({ protocol, options: PREFER_FAILURE + option(200) }));
    add("prefer-failure-low", protocol, map({ protocol, suggestedPort: 80, options: PREFER_FAILURE }));
  }
  for (const host of [OTHER_HOST, CLIENT, EXTERNAL, "0.0.0.0", "::"]) {
    add("third-party", host, map({ options: thirdParty(host) }));
    add("third-party-delete", host, map({ options: thirdParty(host), lifetime: 0 }));
  }
  for (const length of [0, 4, 12, 15, 20])
    add("third-party-length", length, map({ options: option(1, Buffer.alloc(length)) }));
  add("third-party-twice", "same", map({ options: thirdParty(OTHER_HOST) + thirdParty(OTHER_HOST) }));
  for (const [prefix, port, remote] of [
    [128, 0, "11.22.33.2"],
    [120, 0, "11.22.33.0"],
    [96, 0, "0.0.0.0"],
    [128, 443, "11.22.33.2"],
    [0, 0, "0.0.0.0"],
    [0, 0, "::"],
  ] as const) {
    add("filter", `${prefix}-${port}-${remote}`, map({ options: filter(prefix, port, remote) }));
  }
  for (const prefix of [1, 24, 95, 129, 255])
    add("filter-prefix", prefix, map({ options: filter(prefix, 0, "11.22.33.2") }));
  for (const length of [0, 4, 19, 24]) add("filter-length", length, map({ options: option(3, Buffer.alloc(length)) }));
}

function natPmpForm(): void {
  add("natpmp-address", "plain", Buffer.from([0, 0]));
  add("natpmp-address", "again", Buffer.from([0, 0]));
  for (const length of [3, 4, 8, 12, 60]) add("natpmp-address-longer", length, Buffer.alloc(length));
  add("natpmp-no-opcode", 1, Buffer.from([0]));
  for (const opcode of [1, 2]) {
    for (const length of [2, 3, 4, 8, 11]) {
      add("natpmp-map-cut", `${opcode}-${length}`, natPmp(opcode, freshPort()).subarray(0, length));
    }
    for (const more of [1, 4, 48]) {
      add("natpmp-map-longer", `${opcode}-${more}`, Buffer.concat([natPmp(opcode, freshPort()), Buffer.alloc(more)]));
    }
    for (const reserved of [1, 0xffff]) {
      const port = freshPort();
      add("natpmp-reserved", `${opcode}-${reserved}`, natPmp(opcode, port, port, HOUR, reserved));
    }
  }
  for (const opcode of [3, 4, 16, 126, 127]) {
    add("natpmp-opcode", opcode, natPmp(opcode, freshPort()));
    add("natpmp-opcode-short", opcode, Buffer.from([0, opcode]));
  }
  for (const opcode of [128, 129, 130, 255]) add("natpmp-response", opcode, natPmp(opcode, freshPort()));
}

function natPmpMaps(): void {
  for (const opcode of [1, 2]) {
    for (const round of [1, 2, 3]) add("natpmp-map", `${opcode}-${round}`, natPmp(opcode, freshPort()));
    for (const round of [1, 2, 3]) add("natpmp-any-port", `${opcode}-${round}`, natPmp(opcode, freshPort(), 0));
    for (const port of [1, 80, 1023])
      add("natpmp-external-low", `${opcode}-${port}`, natPmp(opcode, freshPort(), port));
    for (const port of [1, 80, 1023])
      add("natpmp-internal-low", `${opcode}-${port}`, natPmp(opcode, port, freshPort()));
    for (const lifetime of [1, 60, 119]) {
      const port = freshPort();
      add("natpmp-lifetime-short", `${opcode}-${lifetime}`, natPmp(opcode, port, port, lifetime));
    }
    for (const lifetime of [120, 7200, 86_400]) {
      const port = freshPort();
      add("natpmp-lifetime", `${opcode}-${lifetime}`, natPmp(opcode, port, port, lifetime));
    }
    for (const lifetime of [86_401, 0x80000000, 0xffffffff]) {
      const port = freshPort();
      add("natpmp-lifetime-long", `${opcode}-${lifetime}`, natPmp(opcode, port, port, lifetime));
    }
    const port = freshPort();
    add("natpmp-renew", `${opcode}-first`, natPmp(opcode, port));
    add("natpmp-renew", `${opcode}-same`, natPmp(opcode, port));
    add("natpmp-renew", `${opcode}-longer`, natPmp(opcode, port, port, 7200));
    add("natpmp-renew-other-port", `${opcode}-other`, natPmp(opcode, port, freshPort()));
    add("natpmp-renew-other-port", `${opcode}-any`, natPmp(opcode, port, 0));
    add("natpmp-taken", opcode, natPmp(opcode, freshPort(), port));
    add("natpmp-delete", `${opcode}-own`, natPmp(opcode, port, 0, 0));
    add("natpmp-delete-again", `${opcode}-own`, natPmp(opcode, port, 0, 0));
    add("natpmp-delete-unknown", opcode, natPmp(opcode, freshPort(), 0, 0));
    add("natpmp-delete-unknown", `${opcode}-suggested`, natPmp(opcode, freshPort(), 9000, 0));
    add("natpmp-port-0", opcode, natPmp(opcode, 0, 0, HOUR));
    add("natpmp-port-0", `${opcode}-suggested`, natPmp(opcode, 0, 9000, HOUR));
    add("natpmp-delete-all-suggested", opcode, natPmp(opcode, 0, 9000, 0));
  }
}

function bothProtocols(): void {
  for (const [opcode, protocol] of [
    [1, UDP],
    [2, TCP],
  ] as const) {
    const first = freshPort();
    add("natpmp-then-pcp", `${protocol}-natpmp`, natPmp(opcode, first));
    add("natpmp-then-pcp-same", protocol, map({ protocol, internalPort: first }));
    add("natpmp-then-pcp-delete", protocol, map({ protocol, internalPort: first, lifetime: 0 }));
    const second = freshPort();
    add("pcp-then-natpmp", `${protocol}-pcp`, map({ protocol, internalPort: second }));
    add("pcp-then-natpmp-same", protocol, natPmp(opcode, second));
    add("pcp-then-natpmp-delete", protocol, natPmp(opcode, second, 0, 0));
    // The last of all, as they end everything that stands.
    add("natpmp-delete-all", opcode, natPmp(opcode, 0, 0, 0));
    add("natpmp-delete-all", `${opcode}-again`, natPmp(opcode, 0, 0, 0));
  }
}

function peer(): void {
  for (const [what, bytes] of [
    ["whole", Buffer.concat([map({ opcode: 2 }), Buffer.from("01bb0000", "hex"), address("11.22.33.2")])],
    ["cut", map({ opcode: 2 })],
    ["bare", header(2)],
  ] as const) {
    add("pcp-peer", what, bytes);
  }
}

for (const group of [
  pcpForm,
  announce,
  protocolsAndPorts,
  lifetimes,
  renewals,
  options,
  peer,
  natPmpForm,
  natPmpMaps,
  bothProtocols,
])
  group();

export const EXCHANGES: readonly Exchange[] = list;
