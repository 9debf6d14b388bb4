import { createServer } from "node:net";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { parseProcNet, procHex, readListeners } from "../../../../src/adapters/kernel/listeners.ts";

describe("listeners of the gateway", () => {
  it("reads addresses as /proc/net prints them", () => {
    expect(procHex("127.0.0.1")).toBe("0100007F");
    expect(procHex("11.22.33.1")).toBe("0121160B");
  });

  it("takes listening TCP and unconnected UDP sockets, not connections", () => {
    const line = (local: string, state: string): string =>
      `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000`;
    const header = "  sl  local_address rem_address   st tx_queue";
    const tcp = [header, line("00000000:0016", "0A"), line("0121160B:01BB", "01"), ""].join("\n");
    expect(parseProcNet(tcp, "tcp")).toEqual([{ address: "00000000", port: 22 }]);
    const udp = [header, line("0121160B:CA6C", "07"), line("0121160B:0035", "01"), ""].join("\n");
    expect(parseProcNet(udp, "udp")).toEqual([{ address: "0121160B", port: 51820 }]);
  });

  it("sees wildcard sockets and those on a WAN address, not others nor ephemeral UDP clients", async () => {
    const wildcard = createServer().listen(0, "0.0.0.0");
    const loopback = createServer().listen(0, "127.0.0.2");
    const ephemeral = createSocket("udp4").bind(0, "0.0.0.0");
    await Promise.all([once(wildcard, "listening"), once(loopback, "listening"), once(ephemeral, "listening")]);
    const portOf = (server: typeof wildcard): number => (server.address() as { port: number }).port;
    const seen = await readListeners(["11.22.33.1"]);
    const onLoopback = await readListeners(["127.0.0.2"]);
    expect(seen).toContainEqual({ protocol: "tcp", port: portOf(wildcard) });
    expect(seen).not.toContainEqual({ protocol: "tcp", port: portOf(loopback) });
    expect(onLoopback).toContainEqual({ protocol: "tcp", port: portOf(loopback) });
    expect(seen).not.toContainEqual({ protocol: "udp", port: ephemeral.address().port });
    wildcard.close();
    loopback.close();
    ephemeral.close();
  });
});
