/** Other programs, run from the repository's root, and tools that are installed on demand. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from '@task-manager/dev/repository';

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
  /** Receives the lines of standard output instead of the terminal. */
  onLine?: (line: string) => void;
}

/** Resolves with the exit code. Rejects when the program cannot be started, or the signal aborts. */
export async function run(command: string, args: string[], { env, signal, onLine }: RunOptions = {}): Promise<number> {
  const child = spawn(command, args, {
    ...{ cwd: root, env: { ...process.env, ...env }, ...(signal && { signal }) },
    stdio: ['ignore', onLine ? 'pipe' : 'inherit', 'inherit'],
  });
  if (child.stdout && onLine) createInterface({ input: child.stdout }).on('line', onLine);
  const [code] = (await once(child, 'close')) as [number | null];
  return code ?? 1;
}

/** Installs a tool into `.tools/`, unless this version of it is there. Resolves with its folder. */
export async function installTool(
  name: string,
  version: string,
  commandsFor: (folder: string) => [command: string, ...args: string[]][],
  signal: AbortSignal,
): Promise<string> {
  const folder = join(root, '.tools', name);
  const installed = join(folder, 'installed.txt');
  if ((await readFile(installed, 'utf8').catch(() => '')) === version) return folder;
  console.log(`Installing ${name} into .tools/ …`);
  await rm(folder, { recursive: true, force: true });
  for (const [command, ...args] of commandsFor(folder)) {
    const code = await run(command, args, { signal }).catch(() => 1);
    signal.throwIfAborted();
    if (code !== 0) throw new Error(`cannot install ${name}: ${command} ${args.join(' ')} failed`);
  }
  await writeFile(installed, version);
  return folder;
}
