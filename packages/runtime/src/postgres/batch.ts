/**
 * Many callers, one statement. A database spends most of its time for a small statement on the way there, the way back and
 * the commit, so those that wait at the same time share them: while a batch is on its way the next one gathers, and it is
 * sent when the first is back. Nothing waits for a timer, so a service with one client answers as fast as without. See decisions/012.
 */
import { Database, sqlState, Work, type Queryable } from './database.ts';

/**
 * Makes a function of one argument out of `run`, which does the same for many with one statement: its results are in the
 * order of its arguments. In a transaction each call is a statement of its own.
 *
 * A call resolves when its batch is durable. It is sent after it was made, so whoever was answered reads what they wrote.
 * When a statement fails, the halves of its batch are run by themselves, so that who is at fault fails alone. When the
 * connection is lost all of the batch fail, for whether it took effect is not known: nothing is sent twice.
 */
export function batched<Argument, Result>(
  run: (db: Queryable, args: Argument[]) => Promise<Result[]>,
): (db: Queryable, arg: Argument) => Promise<Result> {
  const batches = new WeakMap<Database, Batches<Argument, Result>>();
  return (db, arg) => {
    const work = workIn(db);
    if (!work) return run(db, [arg]).then(([result]) => result as Result);
    const own = batches.get(work.database) ?? new Batches(work.database, run);
    batches.set(work.database, own);
    return own.add(arg, work.deadline);
  };
}

/**
 * Makes a function that reads once for all who ask the same at the same time, and gives them the same result, which must
 * not be changed. None joins a reading that has begun, so whoever was answered reads what they wrote.
 */
export function shared<Argument, Result>(
  run: (db: Queryable, arg: Argument) => Promise<Result>,
): (db: Queryable, arg: Argument) => Promise<Result> {
  const readings = new WeakMap<Database, Map<string, Batches<Argument, Result>>>();
  const runFor = async (db: Queryable, args: Argument[]) =>
    Array<Result>(args.length).fill(await run(db, args[0] as Argument));
  return (db, arg) => {
    const work = workIn(db);
    if (!work) return run(db, arg);
    const own = readings.get(work.database) ?? new Map<string, Batches<Argument, Result>>();
    readings.set(work.database, own);
    const name = JSON.stringify(arg);
    const reading = own.get(name) ?? new Batches(work.database, runFor, () => own.delete(name));
    own.set(name, reading);
    return reading.add(arg, work.deadline);
  };
}

/** None in a transaction. */
function workIn(db: Queryable): Work | undefined {
  if (db instanceof Database) return db.work();
  return db instanceof Work ? db : undefined;
}

/** What was found of each id, in the order of the ids. */
export function inOrder<Row extends { id: string }>(ids: string[], rows: Row[]): (Row | undefined)[] {
  const found = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => found.get(id));
}

/** More than one statement should hold, fewer than would make the others wait long. */
export const sizeMax = 256;
/** A batch that takes longer, for the database has stalled, holds up those behind it no more. */
const patienceMs = 100;

interface Call<Argument, Result> {
  arg: Argument;
  deadline: number;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/** Calls, gathered into batches: as a rule one is on its way and one gathers, so nobody waits for more than these two. */
class Batches<Argument, Result> {
  readonly #database: Database;
  readonly #run: (db: Queryable, args: Argument[]) => Promise<Result[]>;
  readonly #idle: () => void;
  #gathered: Call<Argument, Result>[] = [];
  #sent = 0;
  #due = false;

  /** `idle` is called when nobody waits any more. */
  constructor(
    database: Database,
    run: (db: Queryable, args: Argument[]) => Promise<Result[]>,
    idle: () => void = () => undefined,
  ) {
    this.#database = database;
    this.#run = run;
    this.#idle = idle;
  }

  add(arg: Argument, deadline: number): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#gathered.push({ arg, deadline, resolve, reject });
      if (this.#sent === 0 || this.#gathered.length >= sizeMax) this.#sendSoon();
    });
  }

  /** When all that has arrived together has been read. */
  #sendSoon(): void {
    if (this.#due) return;
    this.#due = true;
    setImmediate(() => {
      this.#due = false;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    const batch = this.#gathered;
    if (batch.length === 0) return;
    this.#gathered = batch.length > sizeMax ? batch.splice(sizeMax) : [];
    this.#sent += 1;
    const impatience = setTimeout(() => {
      void this.#send();
    }, patienceMs);
    await this.#settle(batch);
    clearTimeout(impatience);
    this.#sent -= 1;
    if (this.#gathered.length > 0) this.#sendSoon();
    else if (this.#sent === 0) this.#idle();
  }

  /** Never rejects: each call is told by itself. */
  async #settle(batch: Call<Argument, Result>[]): Promise<void> {
    try {
      // They came at about the same time: the first deadline is a good one for all.
      const work = this.#database.work(Math.min(...batch.map(({ deadline }) => deadline)), true);
      const results = await this.#run(
        work,
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
