import { type Action, type Actions, refuse } from "./action.ts";
import { CONNECTION_SERVICE_ID, deviceType } from "./documents.ts";
import type { Caller, Gateway, WanLink } from "./exchange.ts";
import type { Identity } from "./identity.ts";

/** ui4: a counter goes round, a rate that does not fit stays at the largest. */
const UI4 = 2 ** 32;

export async function wanOf({ controller, core, readWan }: Gateway, caller: Caller): Promise<WanLink | null> {
  const wan = core.wanOf(controller.state, caller);
  return wan === null ? null : await readWan(wan);
}

export const linkStatus = (link: WanLink | null): "Up" | "Down" => (link?.up === true ? "Up" : "Down");

const total = (name: string, read: (link: WanLink) => number): Action => {
  return async (gateway, caller) => {
    const link = await wanOf(gateway, caller);
    return [[name, link === null ? 0 : read(link) % UI4]];
  };
};

/** WANCommonInterfaceConfig:1 §2.4, of the caller's WAN. */
export const wanCommonActions: Actions = {
  GetCommonLinkProperties: async (gateway, caller) => {
    const link = await wanOf(gateway, caller);
    const rate = Math.min(link?.bitsPerSecond ?? 0, UI4 - 1);
    return [
      ["NewWANAccessType", "Ethernet"],
      ["NewLayer1UpstreamMaxBitRate", rate],
      ["NewLayer1DownstreamMaxBitRate", rate],
      ["NewPhysicalLinkStatus", linkStatus(link)],
    ];
  },
  GetTotalBytesSent: total("NewTotalBytesSent", ({ sent }) => sent.bytes),
  GetTotalBytesReceived: total("NewTotalBytesReceived", ({ received }) => received.bytes),
  GetTotalPacketsSent: total("NewTotalPacketsSent", ({ sent }) => sent.packets),
  GetTotalPacketsReceived: total("NewTotalPacketsReceived", ({ received }) => received.packets),
};

export const defaultConnectionService = ({ connection }: Identity, version = 1): string =>
  `${connection}:${deviceType("WANConnectionDevice", version).split(":").slice(-2).join(":")},${CONNECTION_SERVICE_ID}`;

/** Layer3Forwarding:1 §2.4. There is one connection service, so setting it to that one is all that can be done. */
export function layer3ForwardingActions(identity: Identity): Actions {
  return {
    GetDefaultConnectionService: () => [["NewDefaultConnectionService", defaultConnectionService(identity)]],
    SetDefaultConnectionService: (_gateway, _caller, args) => {
      const [device = "", service = ""] = args.text("NewDefaultConnectionService").trim().split(",");
      if (![1, 2].some((version) => defaultConnectionService(identity, version).startsWith(`${device},`)))
        return refuse(720, "there is no such device");
      if (service !== CONNECTION_SERVICE_ID) return refuse(721, "the device has no such service");
      return [];
    },
  };
}
