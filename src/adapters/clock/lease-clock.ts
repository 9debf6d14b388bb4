import type { ControllerPort } from "../../controller/port.ts";
import type { Clock } from "../../lib/clock.ts";

/** Leases end within this of their deadline. */
const TICK_MS = 250;
/** Deadlines that renewals moved are written at most this often. */
const CHECKPOINT_MS = 60_000;

/** While nothing can be logged (a full disk) an end that is due is tried this often: each try reopens the log. */
const REFUSED_WAIT_MS = 5000;

/** Says whether there is anything to end: the lease book of leases. */
export interface NextDeadline {
  next(): number | null;
}

/** The passing of time as commands: ends leases and devices that are due and writes moved deadlines now and then. */
export class LeaseClock {
  readonly #controller: ControllerPort;
  readonly #leases: NextDeadline;
  readonly #devices: NextDeadline;
  readonly #clock: Clock;
  #alarm: { cancel(): void } | null = null;
  #checkpointAt: number;
  #ticks = 0;
  #expireFrom = 0;

  constructor(controller: ControllerPort, ends: { leases: NextDeadline; devices: NextDeadline }, clock: Clock) {
    this.#controller = controller;
    this.#leases = ends.leases;
    this.#devices = ends.devices;
    this.#clock = clock;
    this.#checkpointAt = clock.now() + CHECKPOINT_MS;
  }

  start(): void {
    this.#alarm = this.#clock.setAlarm(this.#clock.now() + TICK_MS, () => void this.#tick());
  }

  close(): void {
    this.#alarm?.cancel();
    this.#alarm = null;
  }

  async #tick(): Promise<void> {
    const now = this.#clock.now();
    this.#ticks += 1;
    const requestId = `clock-${now}-${this.#ticks}`;
    await this.#end("leases.expire", this.#leases, { now, requestId });
    await this.#end("devices.expire", this.#devices, { now, requestId });
    if (now >= this.#checkpointAt) {
      this.#checkpointAt = now + CHECKPOINT_MS;
      await this.#controller.submit({ type: "leases.checkpoint", source: "clock", requestId, now });
    }
    if (this.#alarm !== null) this.start();
  }

  async #end(
    type: "leases.expire" | "devices.expire",
    ends: NextDeadline,
    { now, requestId }: { readonly now: number; readonly requestId: string },
  ): Promise<void> {
    const next = ends.next();
    if (next === null || next > now || now < this.#expireFrom) return;
    const outcome = await this.#controller.submit({ type, source: "clock", requestId, now });
    if (!outcome.ok) this.#expireFrom = now + REFUSED_WAIT_MS;
  }
}
