/** `npm run dev`: rebuilds changed sources and restarts the services that use them. */
import { execFile } from 'node:child_process';
import { watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { say } from './log.ts';

/** Editors save a file in several steps, and often several files at once. */
const settleMs = 200;

/**
 * Watches the contracts, the sources and the migrations under `root` until the process ends. Calls `restart` with the
 * affected services after each successful build, and prints the errors of a failed one.
 */
export function watchSources(root: string, services: string[], restart: (services: string[]) => Promise<void>): void {
  const changed = new Set<string>();
  let contractChanged = false;
  let working = false;

  async function rebuild(): Promise<void> {
    if (working) return;
    working = true;
    while (changed.size > 0) {
      await sleep(settleMs);
      const affected = services.filter((service) => changed.has(service));
      // The build reads the generated types.
      const tasks = contractChanged ? ['generate', 'build'] : ['build'];
      changed.clear();
      contractChanged = false;
      if (await runTasks(root, tasks)) {
        say(`built; restarting ${affected.join(' and ')}`);
        await restart(affected);
      }
    }
    working = false;
  }

  function schedule(affected: string[]): void {
    for (const service of affected) changed.add(service);
    void rebuild();
  }

  watch(join(root, 'api'), (_event, file) => {
    // Editors also write temporary files.
    if (!file?.endsWith('.yaml') || file.endsWith('.arazzo.yaml')) return;
    contractChanged = true;
    // Every service serves the joined docs.
    schedule(services);
  });
  watch(join(root, 'packages/runtime/src'), { recursive: true }, () => {
    schedule(services);
  });
  for (const service of services) {
    watch(join(root, 'services', service, 'src'), { recursive: true }, () => {
      schedule([service]);
    });
    watch(join(root, 'services', service, 'migrations'), () => {
      schedule([service]);
    });
  }
}

/** Runs the tasks in order. Prints the errors of the first that fails and returns false. */
async function runTasks(root: string, tasks: string[]): Promise<boolean> {
  const turbo = join(root, 'node_modules/.bin/turbo');
  try {
    for (const task of tasks) {
      await promisify(execFile)(turbo, ['run', task, '--output-logs=errors-only', '--log-prefix=none'], { cwd: root });
    }
    return true;
  } catch (error) {
    const { stdout, message } = error as { stdout?: string; message: string };
    say(`${errorsIn(stdout ?? message)}\nthe build failed: the services keep running the previous one`);
    return false;
  }
}

/** The output of the compiler or script, without the lines of turbo and npm. */
function errorsIn(output: string): string {
  const noise = /^(npm |> |cache miss|\s*•|\s*(Tasks|Cached|Time|Failed):|\s*$)/;
  return output
    .split('\n')
    .filter((line) => !noise.test(line))
    .join('\n');
}
