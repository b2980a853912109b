/** The life of a command that runs other processes: from its start to Ctrl-C, leaving nothing behind. */
import { once } from 'node:events';

export interface Command {
  name: string;
  /** Given a signal that says when to give up. What it rejects with is said in one line. */
  start: (stopped: AbortSignal) => Promise<void>;
  /** Ends, in order, whatever `start` has started. */
  stop: () => Promise<void>;
  /** Ends at once what `stop` waits for: somebody pressed Ctrl-C again. */
  kill: () => void;
}

const sameSignalMs = 500;

/**
 * Runs until SIGINT, SIGTERM or SIGHUP, and then exits with 0. When `start` rejects it exits with 1 and one line on
 * standard error.
 */
export async function runUntilStopped({ name, start, stop, kill }: Command): Promise<never> {
  const controller = new AbortController();
  const stopped = controller.signal;
  let stoppedAt = Infinity;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // One Ctrl-C comes twice: from the terminal, and from npm, which passes on its own.
      if (Date.now() - stoppedAt > sameSignalMs) kill();
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
 * Runs a command that ends by itself. At a signal it is told to give up, and still cleans up after itself. What it rejects
 * with is said in one line on standard error, and the process exits with 1.
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
