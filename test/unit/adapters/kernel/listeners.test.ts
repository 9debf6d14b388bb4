import { createServer } from "node:net";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, expect, it, vi } from "vitest";
import type { ControllerPort, SubmissionInput } from "../../../../src/controller/port.ts";
import type { Outcome } from "../../../../src/reducers/decide/command.ts";
import { ListenerObserver, parseProcNet, procHex, readListeners } from "../../../../src/adapters/kernel/listeners.ts";

const named = (sockets: readonly { protocol: string; port: number }[]): string[] =>
  sockets.map(({ protocol, port }) => `${protocol} ${port}`);

describe("listeners of the gateway", () => {
  it("reads addresses as /proc/net prints them", () => {
    expect(procHex("127.0.0.1")).toBe("0100007F");
    expect(procHex("11.22.33.1")).toBe("0121160B");
  });

  it("takes listening TCP and unconnected UDP sockets, not connections", () => {
    const line = (local: string, state: string): string =>
      `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 4711 2`;
    const header = "  sl  local_address rem_address   st tx_queue";
    const tcp = [header, line("00000000:0016", "0A"), line("0121160B:01BB", "01"), ""].join("\n");
    expect(parseProcNet(tcp, "tcp")).toEqual([{ address: "00000000", port: 22, inode: "4711" }]);
    const udp = [header, line("0121160B:CA6C", "07"), line("0121160B:0035", "01"), ""].join("\n");
    expect(parseProcNet(udp, "udp")).toEqual([{ address: "0121160B", port: 51820, inode: "4711" }]);
  });

  it("sees wildcard sockets and those on a WAN address, not others, and marks what may be a UDP client", async () => {
    const wildcard = createServer().listen(0, "0.0.0.0");
    const loopback = createServer().listen(0, "127.0.0.2");
    const ephemeral = createSocket("udp4").bind(0, "0.0.0.0");
    await Promise.all([once(wildcard, "listening"), once(loopback, "listening"), once(ephemeral, "listening")]);
    const portOf = (server: typeof wildcard): number => (server.address() as { port: number }).port;
    const seen = await readListeners(["11.22.33.1"]);
    const onLoopback = await readListeners(["127.0.0.2"]);
    expect(named(seen)).toContain(`tcp ${portOf(wildcard)}`);
    expect(named(seen)).not.toContain(`tcp ${portOf(loopback)}`);
    expect(named(onLoopback)).toContain(`tcp ${portOf(loopback)}`);
    const ephemeralSeen = seen.find(({ protocol, port }) => protocol === "udp" && port === ephemeral.address().port);
    expect(ephemeralSeen?.maybeClient).toBe(true);
    wildcard.close();
    loopback.close();
    ephemeral.close();
  });
});

describe("ListenerObserver", () => {
  it("takes a UDP socket on an ephemeral port for a server once it has stayed, and at the start at once", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const looks: string[][] = [];
    let looked = (): void => {};
    const submit = async (command: SubmissionInput): Promise<Outcome> => {
      if (command.type === "listeners.observe") looks.push(named(command.listeners));
      looked();
      return { ok: true, seq: 1, changed: false, answer: { kind: "done" } };
    };
    const look = async (): Promise<void> => {
      const done = new Promise<void>((resolve) => {
        looked = resolve;
      });
      vi.advanceTimersByTime(2000);
      await done;
    };
    const [early, late] = [createSocket("udp4").bind(0, "0.0.0.0"), createSocket("udp4")];
    await once(early, "listening");
    const observer = new ListenerObserver({ submit } as unknown as ControllerPort, () => []);
    await observer.start();
    late.bind(0, "0.0.0.0");
    await once(late, "listening");
    await look();
    await look();
    const seen = (port: number): boolean[] => looks.map((names) => names.includes(`udp ${port}`));
    expect(seen(early.address().port)).toEqual([true, true, true]);
    expect(seen(late.address().port)).toEqual([false, false, true]);
    observer.close();
    early.close();
    late.close();
    vi.useRealTimers();
  });
});
