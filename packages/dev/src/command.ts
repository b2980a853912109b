/** Runs a command until it ends or is stopped by a signal, and reports errors in one line. */
import { once } from 'node:events';

export interface Command {
  name: string;
  /** `stopped` aborts when the command must stop. A rejection is printed in one line. */
  start: (stopped: AbortSignal) => Promise<void>;
  /** Stops, in order, everything that `start` started. */
  stop: () => Promise<void>;
  /** Kills the processes that `stop` waits for, on a second Ctrl-C. */
  kill: () => void;
}

const duplicateSignalMs = 500;

/**
 * Runs until SIGINT, SIGTERM or SIGHUP, then exits with 0. Exits with 1 and one line on standard error when `start`
 * rejects.
 */
export async function runUntilStopped({ name, start, stop, kill }: Command): Promise<never> {
  const controller = new AbortController();
  const stopped = controller.signal;
  let stoppedAt = Infinity;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // One Ctrl-C arrives twice: from the terminal, and forwarded by npm.
      if (Date.now() - stoppedAt > duplicateSignalMs) kill();
      stoppedAt = Math.min(stoppedAt, Date.now());
      controller.abort();
    });
  }
  let exitCode = 0;
  try {
    await start(stopped);
    if (!stopped.aborted) await once(stopped, 'abort');
  } catch (error) {
    if (!stopped.aborted) {
      console.error(`${name}: ${(error as Error).message}`);
      exitCode = 1;
    }
  }
  await stop();
  process.exit(exitCode);
}

/**
 * Runs a command that ends by itself. A signal aborts `stopped`, and the command still cleans up. A rejection is printed in
 * one line on standard error, and the process exits with 1.
 */
export async function runToEnd(name: string, run: (stopped: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      controller.abort(new Error('stopped'));
    });
  }
  try {
    await run(controller.signal);
  } catch (error) {
    console.error(`${name}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
