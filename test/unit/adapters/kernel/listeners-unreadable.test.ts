import { expect, it, vi } from "vitest";
import { ListenerObserver } from "../../../../src/adapters/kernel/listeners.ts";
import type { ControllerPort, SubmissionInput } from "../../../../src/controller/port.ts";

const failing = vi.hoisted(() => ({ code: "" }));
vi.mock("node:fs/promises", () => ({
  readFile: () => Promise.reject(Object.assign(new Error("no"), { code: failing.code })),
}));

async function submittedOnFailure(code: string): Promise<SubmissionInput[]> {
  failing.code = code;
  const submitted: SubmissionInput[] = [];
  const submit = async (command: SubmissionInput) => {
    submitted.push(command);
    return { ok: true, seq: 1, changed: false, answer: { kind: "done" } } as const;
  };
  const observer = new ListenerObserver({ submit } as unknown as ControllerPort, () => ["11.22.33.1"]);
  await observer.start();
  observer.close();
  return submitted;
}

it("F32 what cannot be read because no file can be opened is not taken for nothing listening", async () => {
  expect(await submittedOnFailure("EMFILE")).toEqual([]);
});

it("a kernel without IPv6 has fewer files to read", async () => {
  expect(await submittedOnFailure("ENOENT")).toMatchObject([{ type: "listeners.observe", listeners: [] }]);
});
