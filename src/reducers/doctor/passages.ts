import type { Proxied } from "../select/proxied.ts";
import type { Packet } from "./walk.ts";

/** What the gateway needs others to let through, in the words of who serves it. */
export interface Served {
  readonly wans: readonly string[];
  /** Interfaces of devices: LANs, and WireGuard's while it is there. */
  readonly inside: readonly Inside[];
  readonly services: readonly Service[];
  /** Forwards there are: a firewall may let some of them through. */
  readonly forwards: readonly Forward[];
  /** What arrives at ports of our HAProxy: it goes through the hooks of what is for the machine itself. */
  readonly proxied: readonly Proxied[];
  /** Bits of the connection mark that forwarded flows bear. */
  readonly forwardMark: number;
}

export interface Inside {
  readonly interface: string;
  /** Ours on it; null while it has none. */
  readonly address: string | null;
  readonly kind: "lan" | "wireguard";
}

export interface Service {
  readonly name: string;
  readonly interface: string;
  readonly address: string | null;
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** Port control's packets are kept out of connection tracking. */
  readonly tracked: boolean;
}

export interface Forward {
  readonly protocol: "tcp" | "udp";
  readonly address: string;
  readonly port: number;
  readonly interface: string;
}

/** What an exception lets through: no more than what is dropped. */
export type Allow =
  /** Flows that bear our connection mark: nothing but what Portreeve forwards. */
  | { readonly kind: "forwarded" }
  /** Of these, what came to a port of our HAProxy: never who asks for that port itself. */
  | { readonly kind: "proxied"; readonly port: number }
  /** Answers to connections that the machine opened to hosts of an interface. */
  | { readonly kind: "answers"; readonly interface: string }
  | { readonly kind: "between"; readonly from: string; readonly to: string }
  | {
      readonly kind: "service";
      readonly interface: string;
      readonly protocol: "tcp" | "udp";
      readonly port: number;
    };

/** One way packets have to take, both directions. */
export interface Passage {
  readonly allow: Allow;
  /** "from wan0 to lan0", "port control on lan0 (5351/udp)". */
  readonly subject: string;
  readonly packets: readonly { readonly hook: string; readonly packet: Packet }[];
  /** Of a forward that exists; null: of any that may come. */
  readonly forward: Forward | null;
}

/** As many forwards as are looked at one by one. */
const FORWARDS_MAX = 256;

export function passagesOf(served: Served): Passage[] {
  const { wans, inside, services } = served;
  const passages = services.map(servicePassage);
  for (const { interface: own, kind } of inside) {
    for (const wan of wans) {
      passages.push(forwardedPassage(served.forwardMark, wan, own, null), betweenPassage(own, wan));
    }
    if (kind === "wireguard") passages.push(betweenPassage(own, own));
  }
  for (const forward of served.forwards.slice(0, FORWARDS_MAX)) {
    for (const wan of wans) passages.push(forwardedPassage(served.forwardMark, wan, forward.interface, forward));
  }
  for (const proxied of served.proxied.slice(0, FORWARDS_MAX)) passages.push(...proxiedPassages(served, proxied));
  return passages;
}

const ANY = { protocol: "tcp", source: null, destination: null, sourcePort: null, destinationPort: null } as const;

function forwardedPassage(mark: number, wan: string, inside: string, forward: Forward | null): Passage {
  const from = { ...ANY, iif: wan, oif: inside, mark, direction: "original", states: ["new", "dnat"] } as const;
  const back = { ...ANY, iif: inside, oif: wan, mark, direction: "reply", states: ["established", "dnat"] } as const;
  const to = forward === null ? {} : { destination: forward.address, destinationPort: forward.port };
  const reply = forward === null ? {} : { source: forward.address, sourcePort: forward.port };
  const protocols = forward === null ? (["tcp", "udp"] as const) : [forward.protocol];
  return {
    allow: { kind: "forwarded" },
    subject: `from ${wan} to ${inside}`,
    packets: protocols.flatMap((protocol) => [
      { hook: "forward", packet: { ...from, ...to, protocol } },
      { hook: "forward", packet: { ...back, ...reply, protocol } },
    ]),
    forward,
  };
}

function betweenPassage(from: string, to: string): Passage {
  const out = { ...ANY, iif: from, oif: to, mark: 0, direction: "original", states: ["new"] } as const;
  const back = { ...ANY, iif: to, oif: from, mark: 0, direction: "reply", states: ["established"] } as const;
  return {
    allow: { kind: "between", from, to },
    subject: from === to ? `between devices on ${from}` : `from ${from} out to ${to}`,
    packets: (["tcp", "udp"] as const).flatMap((protocol) => [
      { hook: "forward", packet: { ...out, protocol } },
      { hook: "forward", packet: { ...back, protocol } },
    ]),
    forward: null,
  };
}

/** From the WAN and from devices (hairpin) to HAProxy, and from it to the hosts of its routes, with the way back. */
function proxiedPassages(
  { forwardMark: mark, inside }: Served,
  { interface: wan, address, port, targets }: Proxied,
): Passage[] {
  // An address of ours stands for its segment.
  const from = [
    { interface: wan, source: null },
    ...inside.map((each) => ({ interface: each.interface, source: each.address })),
  ];
  const arriving = from.map(({ interface: own, source }): Passage => {
    const asked = { ...ANY, iif: own, oif: null, source, destination: address, destinationPort: port } as const;
    const answer = { ...ANY, iif: null, oif: own, source: address, destination: source, sourcePort: port } as const;
    return {
      allow: { kind: "proxied", port },
      subject: `from ${own}`,
      packets: [
        { hook: "input", packet: { ...asked, mark, direction: "original", states: ["new", "dnat"] } },
        { hook: "output", packet: { ...answer, mark, direction: "reply", states: ["established", "dnat"] } },
      ],
      forward: null,
    };
  });
  return [...arriving, ...targets.flatMap(({ interface: own, ...target }) => targetPassage(own, target))];
}

function targetPassage(
  own: string | null,
  { internalAddress, internalPort }: Pick<Proxied["targets"][number], "internalAddress" | "internalPort">,
): Passage[] {
  if (own === null) return [];
  // The client's address is on our side of it: any of the Internet.
  const asked = { ...ANY, iif: null, oif: own, destination: internalAddress, destinationPort: internalPort } as const;
  const answer = { ...ANY, iif: own, oif: null, source: internalAddress, sourcePort: internalPort } as const;
  return [
    {
      allow: { kind: "answers", interface: own },
      subject: `on ${own}`,
      packets: [
        { hook: "output", packet: { ...asked, mark: 0, direction: "original", states: ["new"] } },
        { hook: "input", packet: { ...answer, mark: 0, direction: "reply", states: ["established"] } },
      ],
      forward: null,
    },
  ];
}

function servicePassage({ name, interface: own, address, protocol, port, tracked }: Service): Passage {
  const common = { protocol, mark: 0 } as const;
  const asked = {
    ...common,
    iif: own,
    oif: null,
    source: null,
    destination: address,
    sourcePort: null,
    destinationPort: port,
    direction: "original",
    states: [tracked ? "new" : "untracked"],
  } as const;
  const answer = {
    ...common,
    iif: null,
    oif: own,
    source: address,
    destination: null,
    sourcePort: port,
    destinationPort: null,
    direction: "reply",
    states: [tracked ? "established" : "untracked"],
  } as const;
  return {
    allow: { kind: "service", interface: own, protocol, port },
    subject: `${name} on ${own} (${port}/${protocol})`,
    packets: [
      { hook: "input", packet: asked },
      { hook: "output", packet: answer },
    ],
    forward: null,
  };
}
