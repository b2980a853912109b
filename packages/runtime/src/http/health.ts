import { setMaxListeners } from 'node:events';

/** Whether the service is ready; `runService()` keeps it up to date. */
export class Health {
  reason: string | undefined = 'The service is starting.';
  readonly #controller = new AbortController();
  /** Aborted on SIGTERM. The service still responds, and closes each connection after its response. */
  readonly stopping: AbortSignal = this.#controller.signal;

  constructor() {
    setMaxListeners(0, this.stopping);
  }

  stop(): void {
    this.reason = 'The service is shutting down.';
    this.#controller.abort();
  }
}

/** `getHealth` (readiness) and `getLiveness` of a contract. Neither queries the database: a background check does. */
export function healthHandlers(health: Health) {
  return {
    async getHealth() {
      const { reason } = health;
      return reason === undefined ? ok : { status: 503 as const, problem: { detail: reason } };
    },
    async getLiveness() {
      return ok;
    },
  };
}

const ok = { status: 200 as const, body: { status: 'ok' as const } };

export const healthOperations: ReadonlySet<string | undefined> = new Set<keyof ReturnType<typeof healthHandlers>>([
  'getHealth',
  'getLiveness',
]);
