import { chmod, chown, lstat, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CLIENT_HELLO_LUA } from "./client-hello-lua.ts";
import { FILES } from "./config.ts";
import { fileText, MAP_FILES, type MapEntry, type MapFile } from "./maps.ts";
import { configFile, type User } from "./process.ts";

const folderName = (instanceId: string): string => `haproxy-${instanceId}`;

/**
 * Removes the folder of an instance's HAProxy with all that is in it, if it is one: by its name, its owner, and what a
 * HAProxy of that instance reads in it. The path may be what a process that calls itself HAProxy has open.
 */
export async function removeFolder(path: string, instanceId: string): Promise<void> {
  if (basename(path) !== folderName(instanceId)) return;
  const [folder, config] = await Promise.all(
    [path, join(path, configFile(instanceId))].map((each) => lstat(each).catch(() => null)),
  );
  if (folder?.isDirectory() !== true || config?.isFile() !== true) return;
  const ours = process.geteuid?.() ?? folder.uid;
  if (folder.uid === ours && config.uid === ours) await rm(path, { recursive: true, force: true });
}

/**
 * The folder that a HAProxy of ours runs in. All of it is ours and nobody else may write it, but for the folder of its
 * admin socket, which nobody else may enter.
 */
export class HaproxyFolder {
  readonly path: string;
  readonly #instanceId: string;
  readonly #written = new Map<MapFile, string>();

  constructor(runtimeDir: string, instanceId: string) {
    this.path = join(runtimeDir, folderName(instanceId));
    this.#instanceId = instanceId;
  }

  get socket(): string {
    return join(this.path, FILES.socket);
  }

  async prepare(config: string, user: User | null): Promise<void> {
    const admin = dirname(this.socket);
    await mkdir(admin, { recursive: true, mode: 0o711 });
    await chmod(this.path, 0o711);
    await chmod(admin, 0o700);
    if (user !== null) await chown(admin, user.uid, user.gid);
    await this.#write(configFile(this.#instanceId), config);
    await this.#write(FILES.lua, CLIENT_HELLO_LUA);
    this.#written.clear();
  }

  /** What HAProxy has when it starts again. */
  async keep(entries: readonly MapEntry[]): Promise<void> {
    for (const map of MAP_FILES) {
      const text = fileText(map, entries);
      if (this.#written.get(map) === text) continue;
      await this.#write(map, text);
      this.#written.set(map, text);
    }
  }

  async remove(): Promise<void> {
    await removeFolder(this.path, this.#instanceId);
    this.#written.clear();
  }

  /** Whole or not at all, for HAProxy to read. */
  async #write(name: string, text: string): Promise<void> {
    const path = join(this.path, name);
    await writeFile(`${path}.new`, text, { mode: 0o644 });
    await rename(`${path}.new`, path);
  }
}
