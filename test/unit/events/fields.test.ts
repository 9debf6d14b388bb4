import { describe, expect, it } from "vitest";
import { givenLabel, givenName, label, objectName } from "../../../src/events/fields.ts";

describe("a name that is given", () => {
  it.each(["home", "Büro", "日本", "שלום", "a \u{1F3E0}"])("may be %j", (text) => {
    expect([givenName, givenLabel].map((each) => each.safeParse(text).success)).toEqual([true, true]);
  });

  it.each(["pay\u202Elap", "\u2066x", "a\u061C", "half\uD83C", "\uDFE0"])("may not be %j", (text) => {
    expect([givenName, givenLabel].map((each) => each.safeParse(text).success)).toEqual([false, false]);
  });

  it("is read from records all the same, as earlier versions took it", () => {
    expect([objectName, label].map((each) => each.safeParse("pay\u202Elap").success)).toEqual([true, true]);
  });
});
