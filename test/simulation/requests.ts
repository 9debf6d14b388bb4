import type { Command } from "../../src/reducers/decide/command.ts";
import type { Chance } from "./chance.ts";
import { drawNameRequest } from "./name-requests.ts";
import { drawRightRequest } from "./right-requests.ts";
import { isGuest } from "./rights.ts";
import { drawShareRequest, isShared, SHARERS } from "./share-requests.ts";
import type { Promises } from "./promises.ts";

const DEVICES = [2, 3, 4, 5, 6].map((host) => `192.168.77.${host}`);
const NONCES = ["a", "b", "c", "d", "e"].map((digit) => digit.repeat(24));
/** Few, so that requests meet. */
const PORT_FIRST = 2000;
const PORT_LAST = 2014;

/** What an operator undoes is named by a record of it. */
export type Asked = Command | { readonly type: "revert"; readonly seq: number };

export interface Request {
  readonly command: Asked;
  readonly source: string;
  readonly confirmWithin?: number;
}

/** What devices and operators ask for next. */
export function drawRequest(
  chance: Chance,
  promises: Promises,
  recent: readonly Request[] = [],
  sharing = false,
): Request {
  if (promises.rights !== null && chance.happens(0.55)) return drawRightRequest(chance, promises, promises.rights);
  if (promises.settings?.lan[0]?.dns === true && chance.happens(0.45))
    return drawNameRequest(chance, promises.names, recent);
  if (sharing && chance.happens(0.5)) return drawShareRequest(chance, promises);
  const kind = chance.weighted({ map: 60, renew: 14, unmap: 8, "unmap all": 2, operator: 16 });
  if (kind === "operator") return { command: drawOperator(chance, promises), source: "api:socket" };
  const command = kind === "unmap" || kind === "unmap all" ? drawUnmap(chance, kind) : drawMap(chance, promises, kind);
  return { command, source: `${command.by}:${command.device}` };
}

const somePort = (chance: Chance): number =>
  chance.happens(0.06) ? chance.pick([22, 80, 5351, 61_500]) : chance.between(PORT_FIRST, PORT_LAST);

function drawMap(chance: Chance, promises: Promises, kind: "map" | "renew"): Extract<Command, { type: "map" }> {
  const by = chance.happens(0.6) ? ("pcp" as const) : ("natpmp" as const);
  const fresh = {
    type: "map",
    by,
    interface: "lan0",
    device: chance.pick(DEVICES),
    clientPort: 40_000,
    protocol: chance.happens(0.03) ? 1 : chance.pick([6, 17]),
    internalPort: chance.happens(0.02) ? 0 : somePort(chance),
    suggestedPort: chance.happens(0.5) ? 0 : somePort(chance),
    suggestedAddress: null,
    lifetime: chance.pick([1, 20, 90, 300, 3600, 100_000]),
    nonce: by === "pcp" ? chance.pick(NONCES) : null,
    preferFailure: chance.happens(0.1) && by === "pcp",
    filters: [],
    portSet: null,
  } as const;
  const claims = [...promises.mappings.values()].flatMap((mapping) =>
    [...mapping.claims.values()]
      .filter(({ device }) => device !== null && !SHARERS.includes(device) && !isGuest(mapping.internalAddress))
      .map((claim) => ({ mapping, claim })),
  );
  if (kind === "map" || claims.length === 0) return fresh;
  const { mapping, claim } = chance.pick(claims);
  const source = claim.source === "pcp" ? ("pcp" as const) : ("natpmp" as const);
  return {
    ...fresh,
    by: source,
    device: mapping.internalAddress,
    protocol: mapping.protocol === "tcp" ? 6 : 17,
    internalPort: mapping.internalPort,
    nonce: source === "pcp" ? claim.key.slice("pcp:".length) : null,
    preferFailure: false,
  };
}

function drawUnmap(chance: Chance, kind: "unmap" | "unmap all"): Extract<Command, { type: "unmap" }> {
  const by = chance.happens(0.6) ? ("pcp" as const) : ("natpmp" as const);
  const protocol = chance.pick([6, 17]);
  return {
    type: "unmap",
    by,
    interface: "lan0",
    device: chance.pick(DEVICES),
    // Only PCP knows a request for all protocols.
    protocol: kind === "unmap all" && by === "pcp" && chance.happens(0.5) ? 0 : protocol,
    internalPort: kind === "unmap all" ? 0 : somePort(chance),
    nonce: by === "pcp" ? chance.pick(NONCES) : null,
  };
}

function drawOperator(chance: Chance, promises: Promises): Command {
  const plain = [...promises.mappings.values()].filter((each) => !isShared(each) && !isGuest(each.internalAddress));
  const ids = plain.map((mapping) => mapping.id);
  const id = ids.length === 0 ? "m000000000000" : chance.pick(ids);
  const verb = chance.weighted({ add: 38, remove: 16, keep: 8, block: 8, unblock: 12, switch: 12, move: 8, retime: 4 });
  switch (verb) {
    case "remove":
      return { type: "port.remove", id };
    case "keep":
      return { type: "port.keep", id };
    case "block":
      return { type: "port.block", id };
    case "unblock": {
      const [device = "192.168.77.2", protocol = "tcp", port = "2000"] = (
        promises.blocks.size === 0 ? "" : chance.pick([...promises.blocks])
      )
        .split("|")
        .filter((part) => part !== "");
      return { type: "port.unblock", device, protocol: protocol as "tcp" | "udp", internalPort: Number(port) };
    }
    case "switch":
      return { type: "port.edit", id, enabled: chance.happens(0.5), label: chance.pick([null, "camera"]) };
    case "move":
      return { type: "port.edit", id, externalPort: somePort(chance), internalAddress: chance.pick(DEVICES) };
    case "retime":
      return { type: "port.edit", id, lifetime: chance.pick([null, 60, 600]) };
    default: {
      const externalPort = somePort(chance);
      return {
        type: "port.add",
        protocol: chance.pick(["tcp", "udp"]),
        externalPort,
        count: chance.pick([1, 1, 1, 3, 4]),
        internalAddress: chance.happens(0.1) ? "10.20.30.40" : chance.pick(DEVICES),
        internalPort: chance.happens(0.6) ? externalPort : somePort(chance),
        label: null,
        enabled: chance.happens(0.85),
        lifetime: chance.pick([null, null, 90, 900]),
        sourceAddress: null,
        from: [],
        wan: chance.happens(0.3) ? (promises.settings?.wan.interfaces.at(-1) ?? null) : null,
      };
    }
  }
}
