/** Replicas: processes that are restarted when they exit unexpectedly. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

export interface Replica {
  /** The id of the current process. */
  pid: () => number | undefined;
  /** Stops the process and starts a new one, which runs the current build. */
  restart(): Promise<void>;
  /** Sends SIGTERM, and SIGKILL after a timeout. */
  stop(): Promise<void>;
  /** Sends SIGKILL. */
  kill(): void;
}

export interface Program {
  /** The arguments of Node: a file and its own arguments. */
  command: string[];
  environment: Record<string, string | undefined>;
  /** Called with each line of its output. */
  print: (line: string) => void;
  /** Called each time it exits unexpectedly, with its code or signal and its error. */
  onEnd: (reason: string) => void;
}

const restartDelayMs = 500;
/** After an early exit: the start may keep failing, and its reason should stay readable. */
const longRestartDelayMs = 5000;
const stopTimeoutMs = 2500;

/** Runs a program until `stop` and restarts it when it exits unexpectedly. */
export function runReplica(program: Program): Replica {
  let stopped = false;
  let endedByUs: ChildProcess | undefined;
  let child = launch();

  function launch(): ChildProcess {
    const startedAt = Date.now();
    const launched = spawnNode(program, (reason) => {
      if (launched === endedByUs) return;
      program.onEnd(reason);
      const relaunch = () => {
        if (!stopped && child === launched) child = launch();
      };
      setTimeout(relaunch, Date.now() - startedAt < longRestartDelayMs ? longRestartDelayMs : restartDelayMs);
    });
    return launched;
  }

  async function end(): Promise<void> {
    endedByUs = child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const limit = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
    child.kill('SIGTERM');
    await once(child, 'close');
    clearTimeout(limit);
  }

  return {
    pid: () => child.pid,
    async restart() {
      await end();
      if (!stopped) child = launch();
    },
    async stop() {
      stopped = true;
      await end();
    },
    kill: () => child.kill('SIGKILL'),
  };
}

function spawnNode({ command, environment, print }: Program, onClose: (reason: string) => void): ChildProcess {
  const preload = new URL('end-with-launcher.js', import.meta.url).href;
  const child = spawn(process.execPath, ['--import', preload, ...command], {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // A new process group: Ctrl-C in the terminal reaches only the launcher, which stops the replicas in order.
    detached: true,
  });
  let reason = '';
  createInterface({ input: child.stdout as Readable }).on('line', print);
  createInterface({ input: child.stderr as Readable }).on('line', (line) => {
    // The message of an uncaught error, without its stack.
    if (/^[^\s}]/.test(line) && !line.startsWith('Node.js v')) reason = `: ${line}`;
    print(line);
  });
  // `close`, unlike `exit`, is emitted after the last line.
  child.once('close', (code, signal) => {
    onClose((signal ?? `code ${code}`) + reason);
  });
  return child;
}
