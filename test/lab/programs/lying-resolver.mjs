// Resolvers that are slow, silent or lie, one an address: { "11.22.33.5": "silent", … } as JSON in argv.
import { createSocket } from "node:dgram";

const TRUE = [11, 22, 33, 80];
const FALSE = [11, 22, 33, 66];
const SLOW_MS = 1500;

/** @param {Buffer} query @param {number[]} address */
function answer(query, address) {
  let end = 12;
  while (query[end] !== 0) end += 1 + (query[end] ?? 0);
  end += 5;
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address]);
  const reply = Buffer.concat([query.subarray(0, end), record]);
  reply.writeUInt16BE(0x8180, 2);
  reply.writeUInt16BE(1, 6);
  reply.writeUInt16BE(0, 10);
  return reply;
}

/** @param {Buffer} bytes @param {(bytes: Buffer) => void} edit */
function edited(bytes, edit) {
  edit(bytes);
  return bytes;
}

/** What each sends, and after how long. @type {Record<string, (query: Buffer) => [number, Buffer][]>} */
const BEHAVIOURS = {
  silent: () => [],
  slow: (query) => [[SLOW_MS, answer(query, TRUE)]],
  "wrong-id": (query) => [
    [0, edited(answer(query, FALSE), (lie) => lie.writeUInt16BE(lie.readUInt16BE(0) ^ 1, 0))],
    [100, answer(query, TRUE)],
  ],
  "wrong-name": (query) => [
    [0, edited(answer(query, FALSE), (lie) => (lie[13] = 0x7a))],
    [100, answer(query, TRUE)],
  ],
  private: (query) => [[0, answer(query, [192, 168, 1, 1])]],
};

for (const [address, name] of Object.entries(JSON.parse(process.argv[2] ?? "{}"))) {
  const behave = BEHAVIOURS[name];
  if (behave === undefined) throw new Error(`no behaviour is called ${name}`);
  const socket = createSocket("udp4");
  socket.on("message", (query, { port, address: from }) => {
    for (const [afterMs, reply] of behave(query)) setTimeout(() => socket.send(reply, port, from), afterMs);
  });
  await new Promise((resolve) => socket.bind(53, address, () => resolve(undefined)));
}
console.log("ready");
