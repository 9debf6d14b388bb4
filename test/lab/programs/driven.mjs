// What a driver's program does of what it is told: JSON lines in, JSON lines out.
import { createInterface } from "node:readline";

/** Not a literal import: types come from the sources, and what runs is what was built. @param {string} path in dist/ */
export const built = (path) => import(new URL(`../../../dist/${path}.js`, import.meta.url).href);

/**
 * @param {Record<string, (args: any) => unknown>} operations
 * @param {() => Promise<void>} close Before the end of a driver that is closed.
 */
export function obey(operations, close) {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const { id, operation, args } = JSON.parse(line);
    let answer;
    try {
      const run = operations[operation];
      if (run === undefined) throw new Error(`the driver cannot ${operation}`);
      answer = { id, value: (await run(args)) ?? null };
    } catch (error) {
      answer = { id, error: { code: /** @type {any} */ (error).code ?? null, message: String(error) } };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  });
  lines.on("close", () => close().then(() => process.exit(0)));
  process.stdout.write(`${JSON.stringify({ id: 0, value: "ready" })}\n`);
}
