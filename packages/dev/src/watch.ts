/** `npm run dev`: builds what was changed and says which services it concerns. */
import { execFile } from 'node:child_process';
import { watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { say } from './log.ts';

/** An editor saves a file in several steps, and often several files at once. */
const settleMs = 200;

/**
 * Watches the contracts, the sources and the migrations under `root` for as long as the process runs. After each change
 * that builds, `restart` is awaited with the services that it concerns; one that does not build is said and left alone.
 */
export function watchSources(root: string, services: string[], restart: (services: string[]) => Promise<void>): void {
  const changed = new Set<string>();
  let contractChanged = false;
  let working = false;

  async function work(): Promise<void> {
    if (working) return;
    working = true;
    while (changed.size > 0) {
      await sleep(settleMs);
      const concerned = services.filter((service) => changed.has(service));
      // Types first: the build reads them.
      const tasks = contractChanged ? ['generate', 'build'] : ['build'];
      changed.clear();
      contractChanged = false;
      if (await succeed(root, tasks)) {
        say(`built; restarting ${concerned.join(' and ')}`);
        await restart(concerned);
      }
    }
    working = false;
  }

  function note(concerned: string[]): void {
    for (const service of concerned) changed.add(service);
    void work();
  }

  watch(join(root, 'api'), (_event, file) => {
    // Editors keep files of their own beside the one they edit.
    if (!file?.endsWith('.yaml') || file.endsWith('.arazzo.yaml')) return;
    contractChanged = true;
    // Each contract is in the docs of the whole system too.
    note(services);
  });
  watch(join(root, 'packages/runtime/src'), { recursive: true }, () => {
    note(services);
  });
  for (const service of services) {
    watch(join(root, 'services', service, 'src'), { recursive: true }, () => {
      note([service]);
    });
    watch(join(root, 'services', service, 'migrations'), () => {
      note([service]);
    });
  }
}

/** Runs the tasks one after the other until one fails; then it says why. */
async function succeed(root: string, tasks: string[]): Promise<boolean> {
  const turbo = join(root, 'node_modules/.bin/turbo');
  try {
    for (const task of tasks) {
      await promisify(execFile)(turbo, ['run', task, '--output-logs=errors-only', '--log-prefix=none'], { cwd: root });
    }
    return true;
  } catch (error) {
    const { stdout, message } = error as { stdout?: string; message: string };
    say(`${errorsIn(stdout ?? message)}\nnot built: what ran before goes on`);
    return false;
  }
}

/** What a compiler or a script said, without what turbo and npm say around it. */
function errorsIn(output: string): string {
  const around = /^(npm |> |cache miss|\s*•|\s*(Tasks|Cached|Time|Failed):|\s*$)/;
  return output
    .split('\n')
    .filter((line) => !around.test(line))
    .join('\n');
}
