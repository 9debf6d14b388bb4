/** What can be armed to happen at the next append. */
export const APPEND_FAULTS = [
  "append fails",
  "append is slow",
  "append fails for good",
  "killed before the append",
  "killed between append and reply",
] as const;
/** What can be armed to happen at the next call to the kernel that looks at it or changes it. */
export const CALL_FAULTS = [
  "kernel call fails",
  "kernel call times out",
  "kernel call is slow",
  "reply of the kernel is lost",
  "half applied",
] as const;
/** What happens at once. */
export const SUDDEN_FAULTS = [
  "disk full for a while",
  "killed at an await",
  "element removed by others",
  "element changed by others",
  "element added by others",
  "many elements added by others",
  "rule changed by others",
  "table deleted by others",
  "ruleset flushed by others",
  "kernel refuses a row",
  "kernel refuses a row for good",
  "sysctl changed by others",
  "wall clock years ahead",
  "wall clock a day back",
  "suspended",
  "WAN address changed",
  "WAN address lost",
  "WAN address back",
  "interface flapped",
  "interface gone and back",
  "listeners changed",
  "request repeated",
  "request overtaken",
  "reconciler paused",
  "DNS thread ended",
  "DNS thread slow",
] as const;
/** Each ends one process; the next begins. */
export const RESTARTS = [
  "stopped and started",
  "killed and started",
  "rebooted",
  "rebooted with another wall clock",
  "started from a snapshot",
  "started with a source missing",
] as const;

export const FAULT_KINDS = [...APPEND_FAULTS, ...CALL_FAULTS, ...SUDDEN_FAULTS, ...RESTARTS] as const;
export type AppendFault = (typeof APPEND_FAULTS)[number];
export type CallFault = (typeof CALL_FAULTS)[number];
export type SuddenFault = (typeof SUDDEN_FAULTS)[number];
export type RestartKind = (typeof RESTARTS)[number];
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Which faults wait to happen, and how often each has. */
export class Faults {
  readonly fired = new Map<FaultKind, number>();
  #append: AppendFault[] = [];
  #call: CallFault[] = [];
  diskFull = false;

  count(kind: FaultKind): void {
    this.fired.set(kind, (this.fired.get(kind) ?? 0) + 1);
  }

  armAppend(fault: AppendFault): void {
    this.#append.push(fault);
  }

  armCall(fault: CallFault): void {
    this.#call.push(fault);
  }

  takeAppend(): AppendFault | null {
    const fault = this.#append.shift() ?? null;
    if (fault !== null) this.count(fault);
    return fault ?? (this.diskFull ? "append fails" : null);
  }

  /** `applies`: the call changes something, so that it can stop half-way. */
  takeCall(applies: boolean): CallFault | null {
    const [first] = this.#call;
    if (first === undefined || (first === "half applied" && !applies)) return null;
    this.#call.shift();
    if (first !== "half applied") this.count(first);
    return first;
  }

  /** From here on the world is kind. */
  clear(): void {
    [this.#append, this.#call] = [[], []];
    this.diskFull = false;
  }
}
