/** Replicas: processes that are started again when they end by themselves. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

export interface Replica {
  /** The process that runs now. */
  pid: () => number | undefined;
  /** Ends the process and starts a new one, which runs what was built meanwhile. */
  restart(): Promise<void>;
  /** Ends the process, once it has finished what it had begun or after a limit. */
  stop(): Promise<void>;
  /** Ends the process at once. */
  kill(): void;
}

export interface Program {
  /** What Node runs: a file, and what it is called with. */
  command: string[];
  environment: Record<string, string | undefined>;
  /** Called with each line that it writes. */
  print: (line: string) => void;
  /** Called each time it ends by itself, with the reason: its code or signal, and its error. */
  onEnd: (reason: string) => void;
}

const pauseMs = 500;
/** After one that ended soon: its start may fail again and again, and its reason should stay readable. */
const longPauseMs = 5000;
const stopTimeoutMs = 2500;

/** Runs a program until `stop`; when it ends by itself it is started again after a pause. */
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
      setTimeout(relaunch, Date.now() - startedAt < longPauseMs ? longPauseMs : pauseMs);
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
    // A process group of its own: Ctrl-C in the terminal is for the launcher, which stops things in order.
    detached: true,
  });
  let reason = '';
  createInterface({ input: child.stdout as Readable }).on('line', print);
  createInterface({ input: child.stderr as Readable }).on('line', (line) => {
    // Of an error that nobody caught the message, not the stack below it.
    if (/^[^\s}]/.test(line) && !line.startsWith('Node.js v')) reason = `: ${line}`;
    print(line);
  });
  // `close`, unlike `exit`, comes after the last line.
  child.once('close', (code, signal) => {
    onClose((signal ?? `code ${code}`) + reason);
  });
  return child;
}
