import { type Finding, ok, problem, warning } from "./finding.ts";

/** What the machine is like. */
export interface MachineFacts {
  readonly sysctls: readonly SysctlFacts[];
  readonly programs: readonly ProgramFacts[];
  /** Null: no WireGuard is wanted. */
  readonly wireguard: { readonly module: boolean; readonly userspace: boolean; readonly tun: boolean } | null;
  readonly clock: ClockFacts;
  /** Null: the data directory cannot be asked, as when it is gone. */
  readonly disk: DiskFacts | null;
  readonly sockets: readonly SocketFacts[];
  readonly threads: readonly ThreadFacts[];
  readonly routerAdvertisements: readonly AdvertisementFacts[];
  /** Whether there is any IPv6 default route. */
  readonly ipv6Default: boolean;
}

export interface SysctlFacts {
  readonly name: string;
  readonly wanted: string;
  /** Null: it cannot be read. */
  readonly found: string | null;
  readonly reason: string;
}

export interface ProgramFacts {
  readonly name: string;
  readonly found: boolean;
  readonly package: string;
  /** What does not work without it. */
  readonly reason: string;
  readonly required: boolean;
}

export interface ClockFacts {
  /** Kept by NTP, as the kernel says; null where it may not be asked. */
  readonly synchronised: boolean | null;
  /** The wall clock minus gateway time. */
  readonly aheadMs: number;
}

export interface DiskFacts {
  readonly path: string;
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Null where the file system has no fixed number of them. */
  readonly freeFiles: number | null;
}

/** A socket we want. */
export interface SocketFacts {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly bound: boolean;
  /** Who has the port: "miniupnpd (pid 812)". Null: nobody that can be seen. */
  readonly holder: string | null;
}

/** A thread that is replaced when it ends by itself. */
export interface ThreadFacts {
  readonly name: string;
  /** Since the start of the process. */
  readonly losses: number;
  /** Why the last one ended. */
  readonly reason: string | null;
}

/** An interface whose IPv6 default route the kernel learnt from a router (RFC 4861 §6.3.4). */
export interface AdvertisementFacts {
  readonly interface: string;
  readonly forwarding: boolean;
  readonly acceptRa: number;
}

export function judgeMachine(facts: MachineFacts): Finding[] {
  return [
    judgeSysctls(facts),
    ...judgePrograms(facts),
    judgeSockets(facts),
    judgeThreads(facts),
    judgeAdvertisements(facts),
    judgeClock(facts.clock),
    judgeDisk(facts.disk),
  ];
}

function judgeSysctls({ sysctls }: MachineFacts): Finding {
  const wrong = sysctls.filter(({ wanted, found }) => found !== wanted);
  if (wrong.length === 0) {
    const count = sysctls.length === 0 ? "none is needed yet" : `${sysctls.length} are as they have to be`;
    return ok("kernel-parameters", `kernel parameters: ${count}`);
  }
  const commands = wrong.map(({ name, wanted }) => `sysctl -w ${name}=${wanted}`);
  const details = wrong.map(({ name, found, reason }) => `${name} is ${found ?? "not there"}: ${reason}`);
  const next = `type \`${commands.join("; ")}\` and keep it in /etc/sysctl.d; where the daemon is sandboxed it cannot`;
  return problem("kernel-parameters", `${wrong.length} kernel parameters are not set`, next, details);
}

function judgePrograms({ programs, wireguard }: MachineFacts): Finding[] {
  const findings = programs
    .filter(({ found }) => !found)
    .map(({ name, package: source, reason, required }) => {
      const judge = required ? problem : warning;
      return judge("programs", `the program ${name} is missing: ${reason}`, `\`apt install ${source}\``);
    });
  if (wireguard !== null && !wireguard.module && !(wireguard.userspace && wireguard.tun)) {
    const why = wireguard.userspace ? "/dev/net/tun is not there" : "there is neither the module nor wireguard-go";
    const next = wireguard.userspace
      ? "`modprobe tun`, or let the container have /dev/net/tun"
      : "use a kernel with the wireguard module, or `apt install wireguard-go`";
    findings.push(problem("wireguard", `this kernel has no WireGuard: ${why}`, next));
  }
  return findings.length > 0 ? findings : [ok("programs", "all programs that are needed are installed")];
}

function judgeSockets({ sockets }: MachineFacts): Finding {
  const closed = sockets.filter(({ bound }) => !bound);
  if (closed.length === 0) {
    const what = sockets.length === 0 ? "none is wanted yet" : `${sockets.length} are open`;
    return ok("sockets", `sockets for devices: ${what}`);
  }
  const details = closed.map(({ name, address, port, holder }) => {
    return `${name} on ${address}:${port}: ${holder === null ? "not open" : `taken by ${holder}`}`;
  });
  const holders = [...new Set(closed.flatMap(({ holder }) => holder ?? []))];
  return holders.length > 0
    ? problem(
        "sockets",
        "another program has our port",
        `stop ${holders.join(", ")}: it is tried again each second`,
        details,
      )
    : problem("sockets", "a socket for devices is not open", "`portreeve status` says why", details);
}

function judgeThreads({ threads }: MachineFacts): Finding {
  const lost = threads.filter(({ losses }) => losses > 0);
  if (lost.length === 0) return ok("threads", "no thread has ended by itself since the start");
  const times = (count: number): string => (count === 1 ? "once" : `${count} times`);
  const all = lost.map(({ name, losses }) => `the ${name} thread ended by itself ${times(losses)} since the start`);
  const next = "nothing, it is replaced each time; it is a bug in Portreeve, and its log says when it came";
  const details = lost.map(({ name, reason }) => `${name}: ${reason ?? "nobody knows why"}`);
  return warning("threads", all.join("; "), next, details);
}

/**
 * Linux stops listening to routers once it forwards, but for accept_ra=2 (Documentation/networking/ip-sysctl): the
 * default route stays until its lifetime ends, half an hour at most, and then the machine has no IPv6.
 */
function judgeAdvertisements({ routerAdvertisements }: MachineFacts): Finding {
  const lost = routerAdvertisements.filter(({ forwarding, acceptRa }) => forwarding && acceptRa === 1);
  if (lost.length === 0) return ok("ipv6-route", "no IPv6 default route is about to be lost");
  const names = lost.map((each) => each.interface);
  const commands = names.map((name) => `sysctl -w net.ipv6.conf.${name}.accept_ra=2`).join("; ");
  const message = `the IPv6 default route of ${names.join(", ")} will end: routers are not listened to while the machine forwards`;
  return problem("ipv6-route", message, `\`${commands}\`, and the same in /etc/sysctl.d`);
}

/** Leases follow the boot clock; what is shown, and what others check by time, follows the wall clock. */
const CLOCK_AHEAD_MAX_MS = 60_000;

function judgeClock({ synchronised, aheadMs }: ClockFacts): Finding {
  if (Math.abs(aheadMs) > CLOCK_AHEAD_MAX_MS) {
    const minutes = Math.round(Math.abs(aheadMs) / 60_000);
    const message = `the wall clock was set since the start: it is ${minutes} min ${aheadMs > 0 ? "ahead of" : "behind"} gateway time`;
    return warning("clock", message, "leases are right all the same; times shown are right again after a reboot");
  }
  if (synchronised === false) {
    const next =
      "install one that keeps it, systemd-timesyncd or chrony: certificates and one-time codes need the time";
    return warning("clock", "nothing keeps the clock: the kernel says it is not synchronised", next);
  }
  return ok("clock", synchronised === null ? "the clock runs with gateway time" : "the clock is synchronised");
}

const MIB = 1024 * 1024;
/** A commit needs a few KiB; LevelDB's compaction writes tables of 2 MiB anew, several at once. */
const DISK_MIN_BYTES = 64 * MIB;
const DISK_LOW_BYTES = 512 * MIB;

function judgeDisk(disk: DiskFacts | null): Finding {
  if (disk === null) {
    const next = "stop the daemon and put the directory back, from a backup if it must be";
    return problem("disk", "the data directory is not there or cannot be read", next);
  }
  const { path, freeBytes, totalBytes, freeFiles } = disk;
  const free = `${Math.floor(freeBytes / MIB)} MiB of ${Math.floor(totalBytes / MIB)} MiB are free in ${path}`;
  const next = "make room there: without it nothing new is promised to devices";
  if (freeFiles === 0) return problem("disk", `no more files fit in ${path}`, next);
  if (freeBytes < DISK_MIN_BYTES) return problem("disk", free, next);
  return freeBytes < DISK_LOW_BYTES ? warning("disk", free, next) : ok("disk", free);
}
