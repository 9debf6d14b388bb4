import { describe, expect, it } from "vitest";
import { Frames, framed } from "../../../../src/protocols/dns/frames.ts";

const message = (...octets: number[]): Uint8Array => framed(Uint8Array.from(octets));

describe("a stream's pieces", () => {
  it("are the same messages however they were cut", () => {
    const stream = Buffer.concat([
      message(1, 2, 3),
      message(),
      message(4),
      message(...Array.from({ length: 700 }, () => 5)),
    ]);
    for (const cut of [1, 2, 3, 5, 7, 1000]) {
      const frames = new Frames();
      const got: number[] = [];
      for (let at = 0; at < stream.length; at += cut) {
        for (const each of frames.push(stream.subarray(at, at + cut))) got.push(each.length);
      }
      expect(got).toEqual([3, 0, 1, 700]);
      expect(frames.unfinished).toBe(false);
    }
  });
});
