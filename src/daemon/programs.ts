import type { Programs } from "../cli/programs.ts";

/** Loaded when they are started: asking a running daemon needs none of them. */
export const programsOf = (version: string): Programs => ({
  run: async (options) => await (await import("./run-daemon.ts")).runDaemon({ ...options, version }),
  replay: async (dataDir, to) => await (await import("./offline.ts")).replayDataDir(dataDir, to),
  verifyLog: async (dataDir) => await (await import("../events/leveldb/verify.ts")).verifyLog(dataDir),
  planSalvage: async (dataDir, restore) => await (await import("./offline.ts")).planSalvage(dataDir, restore),
  acceptLog: async (dataDir) => await (await import("../events/leveldb/restored.ts")).acceptLog(dataDir),
  addException: async (exception) => await (await import("./firewall-exceptions.ts")).addException(exception),
  findExceptions: async () => await (await import("./firewall-exceptions.ts")).findExceptions(),
  readImport: async (source, path) => (await import("./import.ts")).readImport(source, path),
  backup: async (request) => await (await import("./backup.ts")).backup(request),
  restore: async (request) => await (await import("./backup.ts")).restore(request),
  teardown: async (dataDir) => await (await import("./offline.ts")).teardown(dataDir),
});
