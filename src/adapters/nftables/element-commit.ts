import { encodeElementsJson, encodeElementsText } from "../../protocols/nftables-json/element.ts";
import { nftErrorCode, nftErrorDisposition, nftErrorLine } from "../../protocols/nftables-json/error-code.ts";
import type { ReconcileError } from "../../reconcilers/contract.ts";
import { type ElementFields, type SetLayout, UPPER_WORDS } from "./element-columns.ts";
import { elementChanges, type FieldsChange } from "./element-encoding.ts";
import type { Refused } from "./messages.ts";
import type { Netfilter } from "./netfilter.ts";
import type { Nft } from "./nft-library.ts";

export function reconcileError(text: string): ReconcileError {
  const code = nftErrorCode(text);
  return { code, message: nftErrorLine(text), disposition: nftErrorDisposition(code) };
}

/** Elements of one table, and what is needed to commit them. */
export interface ElementTarget {
  readonly nft: Nft;
  readonly netfilter: Netfilter;
  readonly table: string;
  readonly sets: readonly SetLayout[];
}

/**
 * Deletes of intervals only where that very interval is: the kernel takes the one that holds the first port, wherever
 * it ends, and that could be another row.
 */
export function withExactIntervals(target: ElementTarget, changes: readonly FieldsChange[]): FieldsChange[] {
  return changes.map((change) => {
    const layout = target.sets[change.fields.set] as SetLayout;
    const isInterval = layout.key.includes("ports") || layout.key.includes("source6");
    if (change.operation === "add" || !isInterval) return change;
    if (sameKey(layout, target.netfilter.element(target.table, layout, change.fields), change.fields)) return change;
    return { operation: change.operation === "delete" ? "none" : "add", fields: change.fields };
  });
}

/** One transaction of more than this takes seconds and hundreds of megabytes; a plan has its deletes first. */
const TRANSACTION_ELEMENTS = 30_000;

/** As few transactions as there can be; refused rows are told apart from the others. */
export function commitElements(target: ElementTarget, changes: readonly FieldsChange[]): Refused[] {
  const refused: Refused[] = [];
  for (let offset = 0; offset < changes.length; offset += TRANSACTION_ELEMENTS) {
    refused.push(...commitSlice(target, changes.slice(offset, offset + TRANSACTION_ELEMENTS), offset));
  }
  return refused;
}

/**
 * Everything in one transaction; refused, in halves, down to the rows that are the reason. Rows of `changes` are named
 * by their index plus `offset`.
 */
function commitSlice(target: ElementTarget, changes: readonly FieldsChange[], offset: number): Refused[] {
  if (changes.length === 0) return [];
  const error = transactElements(target, changes);
  if (error === null) return [];
  if (changes.length === 1) {
    const refusal = commitAsFound(target, changes[0] as FieldsChange, error);
    return refusal === null ? [] : [{ index: offset, error: refusal }];
  }
  if (error.code === "EPERM" || !target.netfilter.tables().has(target.table)) {
    // Not a matter of rows: halving would ask the same thing thousands of times.
    return changes.flatMap(({ operation }, index) =>
      operation === "none" || (operation === "delete" && error.code === "ENOENT")
        ? []
        : [{ index: offset + index, error }],
    );
  }
  const middle = changes.length >> 1;
  return [
    ...commitSlice(target, changes.slice(0, middle), offset),
    ...commitSlice(target, changes.slice(middle), offset + middle),
  ];
}

function transactElements(target: ElementTarget, changes: readonly FieldsChange[]): ReconcileError | null {
  const { nft, table, sets } = target;
  const list = elementChanges(table, sets, changes);
  if (list.length === 0) return null;
  const result = nft.transact(encodeElementsJson(list));
  return result.ok ? null : reconcileError(result.error);
}

/** The observation this change was planned from may be wrong: looks at its one key, and does what that needs. */
function commitAsFound(target: ElementTarget, change: FieldsChange, error: ReconcileError): ReconcileError | null {
  if (error.code !== "ENOENT" && error.code !== "EEXIST") return error;
  const { netfilter, table, sets } = target;
  const { fields, operation } = change;
  const layout = sets[fields.set] as SetLayout;
  const found = netfilter.element(table, layout, fields);
  if (operation === "delete") return sameKey(layout, found, fields) ? error : null;
  if (found !== null && !sameKey(layout, found, fields)) return error;
  if (found !== null && sameData(found, fields)) return null;
  return transactElements(target, [{ operation: found === null ? "add" : "replace", fields }]);
}

const UPPER = Array.from({ length: UPPER_WORDS }, (_, word) => word);

const sameKey = (layout: SetLayout, found: ElementFields | null, wanted: ElementFields): boolean =>
  found !== null &&
  found.firstPort === wanted.firstPort &&
  found.lastPort === wanted.lastPort &&
  (!(layout.key.includes("source") || layout.key.includes("source6")) || sameData(found, wanted)) &&
  UPPER.every((word) => (found.upper?.[word] ?? 0) === (wanted.upper?.[word] ?? 0));

const sameData = (left: ElementFields, right: ElementFields): boolean =>
  left.toAddress === right.toAddress && left.toPort === right.toPort;

/** For a transaction that also writes a skeleton. */
export function elementsText(target: ElementTarget, changes: readonly FieldsChange[]): string {
  return encodeElementsText(elementChanges(target.table, target.sets, changes));
}
