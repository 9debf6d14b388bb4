import { type Command, Option } from "commander";
import type { DeviceConfigDocument, DeviceDocument } from "../../api/schemas/device.ts";
import type { DnsKeyDocument } from "../../api/schemas/dns.ts";
import type { LinkDocument } from "../../api/schemas/account.ts";
import { qrLines } from "../../lib/qr.ts";
import type { Cli } from "../cli.ts";
import { DEVICE, devicePath } from "../device-choice.ts";
import { usage } from "../exit.ts";
import { sayLink } from "../one-time-link.ts";
import { examples } from "../program-parts.ts";
import { addMutationOptions, mutate, type MutationOptions, showPlan } from "../mutation.ts";

interface ConfigOptions {
  readonly profile?: string;
  readonly endpoint?: string;
  readonly qr?: true;
  readonly link?: true;
}

/** What holds or changes a device's keys. */
export function addDeviceConfigVerbs(device: Command, cli: Cli): void {
  examples(device.command("config"), [
    "portreeve device config nas",
    "portreeve device config nas --qr",
    "portreeve device config nas --link",
    "portreeve device config nas --profile full --endpoint gw.example.org",
  ])
    .description("its WireGuard configuration, with its private key: keep it to the device")
    .argument("<device>", DEVICE)
    .addOption(
      new Option("--profile <profile>", "without it the device's own").choices([
        "inbound",
        "full",
        "split",
        "starttunnel",
      ]),
    )
    .option("--endpoint <host[:port]>", "where the device finds the gateway, instead of the configured place")
    .option("--qr", "as a QR code, for the WireGuard app")
    .option("--link", "a link that shows it once, in a browser, within 15 minutes; with --qr a QR code of that")
    .action(async (name: string, { profile, endpoint, qr, link }: ConfigOptions) => {
      const query = { profile, endpoint };
      if (link === true) return await showLink(cli, name, query, qr === true);
      const config = await cli.client.call<DeviceConfigDocument>({ path: `${devicePath(name)}/config`, query });
      for (const note of config.notes) cli.say(`note: ${note}`);
      await cli.show(config, () => (qr === true ? `${qrLines(config.text).join("\n")}\n` : config.text));
    });
  examples(device.command("key"), ["portreeve device key nas", "portreeve device key nas --dns"])
    .description("its public key, and where its private key is; or the key that its DNS updates are signed with")
    .argument("<device>", DEVICE)
    .option("--dns", "the DNS key, as nsupdate -k takes it: keep it to the device")
    .addOption(new Option("--form <form>", "the DNS key as another program takes it").choices(Object.keys(KEY_FORMS)))
    .action(async (name: string, { dns, form }: { readonly dns?: true; readonly form?: KeyForm }) => {
      if (dns === true || form !== undefined) return await showDnsKey(cli, name, form ?? "nsupdate");
      const found = await cli.client.call<DeviceDocument>({ path: devicePath(name) });
      const { publicKey, privateKeyKept } = found;
      if (publicKey === null)
        throw usage(
          `${found.name} is on a LAN and has no WireGuard keys`,
          "only devices on a subnet have them; --dns shows the key of its DNS updates",
        );
      await cli.show({ name: found.name, publicKey, privateKeyKept }, () => `${publicKey}\n`);
      if (cli.machine === null) cli.say(privateKeyKept ? KEPT : NOT_KEPT);
    });
  const rekey = examples(device.command("rekey"), ["portreeve device rekey laptop"])
    .description("give it new keys; its configuration has to be made anew")
    .argument("<device>", DEVICE);
  addMutationOptions(rekey).action(async (name: string, options: MutationOptions) => {
    if (options.dryRun !== true) await cli.confirm(`end the keys of ${name} and make new ones`);
    await keyChange(cli, { method: "POST", path: `${devicePath(name)}/rekey` }, options, `${name} has new keys`);
  });
  const forget = examples(device.command("forget-key"), ["portreeve device forget-key nas"])
    .description("erase its private key here; the device goes on with its own copy")
    .argument("<device>", DEVICE);
  addMutationOptions(forget).action(async (name: string, options: MutationOptions) => {
    if (options.dryRun !== true) await cli.confirm(`erase the private key of ${name} here for good`);
    const call = { method: "DELETE", path: `${devicePath(name)}/private-key` } as const;
    await keyChange(cli, call, options, `the private key of ${name} is erased`);
  });
}

/** Programs, and which form of the key they take. */
const KEY_FORMS = { nsupdate: "bindFile", knsupdate: "option", certbot: "certbot", lego: "lego" } as const;
type KeyForm = keyof typeof KEY_FORMS;

async function showDnsKey(cli: Cli, name: string, form: KeyForm): Promise<void> {
  const key = await cli.client.call<DnsKeyDocument>({ method: "POST", path: `${devicePath(name)}/dns-key` });
  await cli.show(key, () => `${key.forms[KEY_FORMS[form]].trimEnd()}\n`);
  if (cli.machine === null) cli.say(`Updates go to ${key.server}, signed with ${key.keyName}.`);
}

const KEPT =
  "Its private key is kept here, sealed: `device config` shows it, `device forget-key` erases it, `device rekey` makes new keys.";
const NOT_KEPT = "Its private key is on the device alone; `device rekey` makes new keys here.";

async function showLink(cli: Cli, name: string, body: object, asCode: boolean): Promise<void> {
  const path = `${devicePath(name)}/config-link`;
  const link = await cli.client.call<LinkDocument>({ method: "POST", path, body });
  await cli.show(link, () => (asCode ? `${qrLines(link.url).join("\n")}\n` : `${link.url}\n`));
  sayLink(cli, link);
}

async function keyChange(
  cli: Cli,
  call: { readonly method: "POST" | "DELETE"; readonly path: string },
  options: MutationOptions,
  said: string,
): Promise<void> {
  if (options.dryRun === true) return await showPlan(cli, [call], options);
  const [result] = await mutate(cli, [call], options);
  await cli.show(result?.device ?? null, () => `${said}\n`);
}
