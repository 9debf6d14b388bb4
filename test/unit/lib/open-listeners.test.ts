import { describe, expect, it } from "vitest";
import { PortreeveError } from "../../../src/lib/errors.ts";
import { OpenListeners } from "../../../src/lib/open-listeners.ts";

/** Opens what is named, unless its name says that it fails, and notes all that happens. */
function rig() {
  const events: string[] = [];
  const losing = new Map<string, (cause: Error) => void>();
  const listeners = new OpenListeners<string, { name: string }>({
    keyOf: (name) => name,
    open: async (name, lost) => {
      await Promise.resolve();
      if (name.startsWith("taken")) throw new PortreeveError("UNAVAILABLE", `${name} is taken`, "transient");
      if (name.startsWith("bug")) throw new TypeError(name);
      events.push(`open ${name}`);
      losing.set(name, lost);
      return { name };
    },
    close: async ({ name }, why) => {
      await Promise.resolve();
      events.push(`close ${name}: ${why}`);
    },
    onOpened: (opened, others) =>
      events.push(`opened ${opened.map(({ name }) => name).join()} beside ${others.map(({ name }) => name).join()}`),
    onLost: (name, { message }) => events.push(`lost ${name}: ${message}`),
  });
  const happened = (): string[] => events.splice(0);
  return { listeners, happened, lose: (name: string, why: string) => losing.get(name)?.(new Error(why)) };
}

describe("listeners and their sockets", () => {
  it("keeps what is served, closes before it opens, and tells which are new", async () => {
    const { listeners, happened } = rig();
    await listeners.serve(["a", "b"]);
    expect(happened()).toEqual(["open a", "open b", "opened a,b beside "]);
    await listeners.serve(["b", "c"]);
    expect(happened()).toEqual(["close a: no longer served", "open c", "opened c beside b"]);
    expect(listeners.served).toEqual(["b", "c"]);
  });

  it("names what could not be opened, serves the rest, and lets no bug pass for a fault", async () => {
    const { listeners } = rig();
    const faults = await listeners.serve(["taken a", "b"]);
    expect(faults.map(({ listener, error }) => [listener, error.code])).toEqual([["taken a", "UNAVAILABLE"]]);
    expect(listeners.served).toEqual(["b"]);
    await expect(listeners.serve(["bug"])).rejects.toThrow(TypeError);
    await expect(listeners.serve(["c"])).resolves.toEqual([]);
    expect(listeners.served).toEqual(["c"]);
  });

  it("gives up what was lost, once, and opens it again when asked", async () => {
    const { listeners, happened, lose } = rig();
    await listeners.serve(["a"]);
    happened();
    lose("a", "ENODEV");
    lose("a", "ENODEV");
    expect(listeners.served).toEqual([]);
    await listeners.serve(["a"]);
    expect(happened()).toEqual(["lost a: ENODEV", "close a: ENODEV", "open a", "opened a beside "]);
  });

  it("serves the last of several calls, and nothing once it is closed", async () => {
    const { listeners } = rig();
    await Promise.all([listeners.serve(["a"]), listeners.serve(["b"]), listeners.serve(["c"])]);
    expect(listeners.served).toEqual(["c"]);
    await Promise.all([listeners.close(), listeners.serve(["a"])]);
    expect(listeners.served).toEqual([]);
  });
});
