import { setMaxListeners } from 'node:events';
import type { ProblemDetails } from '../contract/handlers.ts';

/** Whether the service can do its work now; `start()` keeps it up to date. */
export class Health {
  /** Why it cannot, for the person who asks; undefined when it can. */
  reason: string | undefined = 'The service is starting.';
  readonly #stopping = new AbortController();

  constructor() {
    // As many listen as wait for what happens.
    setMaxListeners(0, this.#stopping.signal);
  }

  /** Comes when the service is told to stop: it answers what still comes, and closes each connection after it. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  stop(): void {
    this.reason = 'The service is shutting down.';
    this.#stopping.abort();
  }
}

/** `getHealth` (readiness) and `getLiveness` of a contract. Neither asks the database: `start()` did, a moment ago. */
export function healthHandlers(health: Health) {
  return {
    async getHealth() {
      const { reason } = health;
      return reason === undefined ? ok : { status: 503 as const, problem: { detail: reason } satisfies ProblemDetails };
    },
    async getLiveness() {
      return ok;
    },
  };
}

/** Whether this is asked by an orchestrator, at whatever prefix. It asks every few seconds, and is answered whatever happens. */
export function isHealth(url: string): boolean {
  return /\/health(\/live)?$/.test(url);
}

const ok = { status: 200 as const, body: { status: 'ok' as const } };
