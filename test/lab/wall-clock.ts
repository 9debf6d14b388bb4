import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { expect } from "vitest";
import { eventually, type Lab } from "./lab.ts";

/** The daemon starts under `command` from now on. */
export function prefixDaemon(lab: Lab, command: readonly string[]): void {
  const host = lab.topology.gateway;
  lab.gateway.host = { ...host, spawn: (program, options) => host.spawn([...command, ...program], options) };
}

/**
 * The daemon's wall clock and that of all it starts, by libfaketime: native code is deceived as well, and CLOCK_MONOTONIC,
 * CLOCK_BOOTTIME and file times are left alone, as when NTP steps the clock. The machine's own clock is not touched.
 */
export class WallClock {
  readonly prefix: readonly string[];
  readonly #file: string;
  readonly #lab: Lab;

  constructor(lab: Lab) {
    this.#lab = lab;
    this.#file = join(lab.gateway.folder, "wall-clock");
    this.set(0);
    const settings = {
      LD_PRELOAD: findLibfaketime(),
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      FAKETIME_DISABLE_SHM: "1",
      NO_FAKE_STAT: "1",
    };
    this.prefix = ["env", ...Object.entries(settings).map(([name, value]) => `${name}=${value}`)];
    prefixDaemon(lab, this.prefix);
  }

  set(shiftMs: number): void {
    writeFileSync(this.#file, `${shiftMs < 0 ? "" : "+"}${shiftMs / 1000}`);
  }

  /** Resolves once the daemon's own Date header shows it: a clock that was not shifted proves nothing. */
  async shift(shiftMs: number): Promise<void> {
    this.set(shiftMs);
    await eventually(async () => {
      const seen = await dateHeader(this.#lab.gateway.socket);
      expect(Math.abs(seen - Date.now() - shiftMs), "the daemon sees the shifted clock").toBeLessThan(60_000);
    });
  }
}

function findLibfaketime(): string {
  const found = readdirSync("/usr/lib")
    .map((folder) => `/usr/lib/${folder}/faketime/libfaketimeMT.so.1`)
    .find((path) => existsSync(path));
  if (found === undefined) throw new Error("libfaketimeMT.so.1 is not where Debian's libfaketime puts it");
  return found;
}

async function dateHeader(socketPath: string): Promise<number> {
  return await new Promise((resolve, reject) => {
    const sent = request({ socketPath, path: "/healthz", headers: { host: "localhost" } }, (response) => {
      response.resume();
      resolve(Date.parse(response.headers.date ?? ""));
    });
    sent.on("error", reject);
    sent.end();
  });
}
