/** Batching: concurrent calls share one statement; while it is in flight, the next one fills (decision 012). */
import { Database, Session, sqlState, type Queryable } from './database.ts';

/**
 * Batches calls of a function. A call resolves when its batch is durable, and reads what was written before it.
 * A failed batch is split until only invalid items fail; after a lost connection all of it fails, for it may have taken effect.
 */
export function batched<Argument, Result>(
  run: (db: Queryable, args: Argument[]) => Promise<Result[]>,
): (db: Queryable, arg: Argument) => Promise<Result> {
  const batchers = new WeakMap<Database, Batcher<Argument, Result>>();
  return (db, arg) => {
    const session = sessionOf(db);
    if (!session) return run(db, [arg]).then(([result]) => result as Result);
    const batcher = batchers.get(session.database) ?? new Batcher(session.database, run);
    batchers.set(session.database, batcher);
    return batcher.add(arg, session.deadline);
  };
}

/** Shares one read among concurrent calls with equal arguments. They must not modify the result. */
export function shared<Argument, Result>(
  run: (db: Queryable, arg: Argument) => Promise<Result>,
): (db: Queryable, arg: Argument) => Promise<Result> {
  const reads = new WeakMap<Database, Map<string, Batcher<Argument, Result>>>();
  const runForAll = async (db: Queryable, args: Argument[]) =>
    Array<Result>(args.length).fill(await run(db, args[0] as Argument));
  return (db, arg) => {
    const session = sessionOf(db);
    if (!session) return run(db, arg);
    const byArgument = reads.get(session.database) ?? new Map<string, Batcher<Argument, Result>>();
    reads.set(session.database, byArgument);
    const key = JSON.stringify(arg);
    const batcher = byArgument.get(key) ?? new Batcher(session.database, runForAll, () => byArgument.delete(key));
    byArgument.set(key, batcher);
    return batcher.add(arg, session.deadline);
  };
}

function sessionOf(db: Queryable): Session | undefined {
  if (db instanceof Database) return db.session();
  return db instanceof Session ? db : undefined;
}

export function inOrder<Row extends { id: string }>(ids: string[], rows: Row[]): (Row | undefined)[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => byId.get(id));
}

export const maxBatchSize = 256;
/** After this time in flight, a batch no longer holds up the next one. */
const maxWaitMs = 100;

interface Call<Argument, Result> {
  arg: Argument;
  deadline: number;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/** Usually one batch is in flight and one fills, so that a call waits for at most two. */
class Batcher<Argument, Result> {
  readonly #database: Database;
  readonly #run: (db: Queryable, args: Argument[]) => Promise<Result[]>;
  readonly #onIdle: () => void;
  #calls: Call<Argument, Result>[] = [];
  #inFlight = 0;
  #isScheduled = false;

  constructor(
    database: Database,
    run: (db: Queryable, args: Argument[]) => Promise<Result[]>,
    onIdle: () => void = () => undefined,
  ) {
    this.#database = database;
    this.#run = run;
    this.#onIdle = onIdle;
  }

  add(arg: Argument, deadline: number): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#calls.push({ arg, deadline, resolve, reject });
      if (this.#inFlight === 0 || this.#calls.length >= maxBatchSize) this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    const batch = this.#calls;
    if (batch.length === 0) return;
    this.#calls = batch.length > maxBatchSize ? batch.splice(maxBatchSize) : [];
    this.#inFlight += 1;
    const timer = setTimeout(() => {
      void this.#send();
    }, maxWaitMs);
    await this.#settle(batch);
    clearTimeout(timer);
    this.#inFlight -= 1;
    if (this.#calls.length > 0) this.#schedule();
    else if (this.#inFlight === 0) this.#onIdle();
  }

  async #settle(batch: Call<Argument, Result>[]): Promise<void> {
    try {
      // The calls arrived at about the same time, so the first deadline is right for all.
      const session = this.#database.session(Math.min(...batch.map(({ deadline }) => deadline)), true);
      const results = await this.#run(
        session,
        batch.map(({ arg }) => arg),
      );
      batch.forEach(({ resolve }, index) => {
        resolve(results[index] as Result);
      });
    } catch (error) {
      if (batch.length === 1 || sqlState(error) === undefined) {
        for (const { reject } of batch) reject(error);
      } else {
        const middle = batch.length >> 1;
        await Promise.all([this.#settle(batch.slice(0, middle)), this.#settle(batch.slice(middle))]);
      }
    }
  }
}
