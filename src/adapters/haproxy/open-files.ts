import { readFileSync } from "node:fs";

/** How many files a program that we start may open at most. */
export function openFilesMax(limits: string = readFileSync("/proc/self/limits", "utf8")): number {
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(limits) ?? [];
  return hard === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(hard ?? 1024);
}
