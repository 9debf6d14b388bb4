import { describe, expect, it } from "vitest";
import {
  decodeFlow,
  deleteFlowRequest,
  type Flow,
  flowsRequest,
  markFlowRequest,
} from "../../../../src/adapters/nftables/conntrack-message.ts";
import { eachMessage } from "../../../../src/adapters/nftables/netlink-message.ts";
import { parseIpv4 } from "../../../../src/lib/ip.ts";

/** Answer of Linux 6.18 for a UDP flow that was sent to 127.0.0.1:5000 and DNATed to 127.0.0.2:6000, mark 0x01000000. */
const DUMPED =
  "a40000000001220001000000757b0000020000003400018014000180080001007f000001080002007f0000011c00028005000100110000000600" +
  "0200115c000006000300138800003400028014000180080001007f000002080002007f0000011c0002800500010011000000060002001770000006" +
  "000300115c000008000300000001a8080008000100000008000c00c52c17dc08000b0000000001080007000000001d";

const [local, target] = [parseIpv4("127.0.0.1") as number, parseIpv4("127.0.0.2") as number];
const FLOW: Flow = {
  original: { source: local, destination: local, protocol: 17, sourcePort: 4444, destinationPort: 5000 },
  reply: { source: target, destination: local, protocol: 17, sourcePort: 6000, destinationPort: 4444 },
  destinationNat: true,
  sourceNat: false,
  mark: 0x01000000,
  id: 0xc52c17dc,
  zone: 0,
};

function decode(bytes: Buffer): (Flow | null)[] {
  const flows: (Flow | null)[] = [];
  eachMessage(bytes, bytes.length, ({ start, end }) => flows.push(decodeFlow(bytes, start, end)));
  return flows;
}

describe("flows from the kernel", () => {
  it("are read with both directions, NAT, mark and id", () => {
    expect(decode(Buffer.from(DUMPED, "hex"))).toEqual([FLOW]);
  });

  it("are null when they have no ports or are cut short, and never more than they say", () => {
    const portless = DUMPED.replace("0600030013880000", "0600090013880000");
    expect(decode(Buffer.from(portless, "hex"))).toEqual([null]);
    for (let length = 4; length < DUMPED.length / 2; length += 1) {
      const cut = Buffer.from(DUMPED, "hex").subarray(0, length);
      cut.writeUInt32LE(length, 0);
      const [flow] = decode(cut);
      if (flow !== undefined && flow !== null) expect(flow.original).toEqual(FLOW.original);
    }
  });

  it("are named by tuple and id when they are deleted or marked", () => {
    const tuple = DUMPED.slice(DUMPED.indexOf("34000180"), DUMPED.indexOf("34000280"));
    for (const request of [deleteFlowRequest(FLOW), markFlowRequest(FLOW, 0x02000000)]) {
      expect(request.toString("hex")).toContain(`${tuple}08000c00c52c17dc`);
    }
    expect(markFlowRequest(FLOW, 0x02000000).toString("hex")).toMatch(/0800080002000000080015000{0,1}2000000$/);
  });

  it("are asked for by the destination of one direction", () => {
    // CTA_FILTER: flags of the original tuple, "destination address" alone, in host order.
    expect(flowsRequest("original", local).toString("hex")).toMatch(/080002007f000001.*0c001980080001000{0,1}2000000$/);
    expect(flowsRequest("reply", local).toString("hex")).toMatch(/10000280|0800020002000000$/);
  });
});
