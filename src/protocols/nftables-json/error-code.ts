/**
 * nft's error text → errno name. libnftables gives no code, only strerror(3) in the C locale behind "Could not process
 * rule:", or a message of its own parser. Nothing else in the program matches on a message.
 */
const MESSAGES: readonly (readonly [RegExp, string])[] = [
  [/Operation not permitted|Permission denied/, "EPERM"],
  [/No such file or directory/, "ENOENT"],
  [/File exists|interval overlaps|conflicting intervals/, "EEXIST"],
  [/Device or resource busy/, "EBUSY"],
  [/No buffer space available/, "ENOBUFS"],
  [/Message too long/, "EMSGSIZE"],
  [/Cannot allocate memory|Memory allocation failure/, "ENOMEM"],
  [/Too many open files in system|No space left on device/, "ENOSPC"],
  [/Resource temporarily unavailable|Interrupted system call/, "EAGAIN"],
  [/Operation not supported|Protocol not supported|Address family not supported/, "EOPNOTSUPP"],
  [/Numerical result out of range/, "ERANGE"],
  [/Invalid argument/, "EINVAL"],
  // An errno that is not in this list.
  [/Could not process rule|cache initialization failed/, "EIO"],
  // What is left is nft's own parser and evaluation.
  [/Error:/, "EINVAL"],
];

/** Of the first error: the kernel goes on and reports more. EIO for a text that says nothing known. */
export function nftErrorCode(text: string): string {
  const line = errorLine(text);
  return MESSAGES.find(([pattern]) => pattern.test(line))?.[1] ?? "EIO";
}

const errorLine = (text: string): string =>
  text.split("\n").find((each) => each.includes("Error:")) ?? text.split("\n")[0] ?? "";

/** Codes that only another row can cure: asking again for this one changes nothing. */
const TERMINAL = new Set(["EINVAL", "ERANGE", "EOPNOTSUPP"]);

export function nftErrorDisposition(code: string): "transient" | "terminal" {
  return TERMINAL.has(code) ? "terminal" : "transient";
}

/** The first line that says what went wrong, for a person. */
export function nftErrorLine(text: string): string {
  return (
    errorLine(text)
      .replace(/^.*?Error:\s*/, "")
      .trim() || "nft refused without a reason"
  );
}
