import { expect, it } from "vitest";
import { ListenerObserver } from "../../../../src/adapters/kernel/listeners.ts";
import { listenersObserved } from "../../../../src/events/interface.ts";
import type { ControllerPort, SubmissionInput } from "../../../../src/controller/port.ts";

async function submitted(failure: string, tcp = ""): Promise<SubmissionInput[]> {
  const read = (path: string): Promise<string> =>
    path === "/proc/net/tcp" && tcp !== ""
      ? Promise.resolve(tcp)
      : Promise.reject(Object.assign(new Error("no"), { code: failure }));
  const commands: SubmissionInput[] = [];
  const submit = async (command: SubmissionInput) => {
    commands.push(command);
    return { ok: true, seq: 1, changed: false, answer: { kind: "done" } } as const;
  };
  const observer = new ListenerObserver({ submit } as unknown as ControllerPort, () => ["11.22.33.1"], read);
  await observer.start();
  observer.close();
  return commands;
}

it("F32 what cannot be read because no file can be opened is not taken for nothing listening", async () => {
  expect(await submitted("EMFILE")).toEqual([]);
});

it("a kernel without IPv6 has fewer files to read", async () => {
  expect(await submitted("ENOENT")).toMatchObject([{ type: "listeners.observe", listeners: [] }]);
});

it("more listeners than an event takes leave it readable: the lowest ports are named", async () => {
  const line = (port: number): string =>
    `   ${port}: 00000000:${port.toString(16).toUpperCase().padStart(4, "0")} 00000000:0000 0A 0:0 00:0 0 0 0 ${port} 1`;
  const ports = Array.from({ length: 5000 }, (_, index) => 6000 - index);
  const [command] = await submitted("ENOENT", ["  sl  local_address", ...ports.map(line)].join("\n"));
  if (command?.type !== "listeners.observe") throw new Error("nothing was observed");
  expect(() => listenersObserved.parse({ listeners: command.listeners })).not.toThrow();
  expect(command.listeners.map(({ port }) => port)).toEqual(Array.from({ length: 4096 }, (_, index) => 1001 + index));
});
