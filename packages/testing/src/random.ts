/** Reproducible random choices: the same for the same seed. */
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

export class Random {
  readonly #generator: ReturnType<typeof xoroshiro128plus>;

  constructor(seed: number | ReturnType<typeof xoroshiro128plus>) {
    this.#generator = typeof seed === 'number' ? xoroshiro128plus(seed) : seed;
  }

  /** An independent source: its numbers do not depend on how many are drawn from this one. */
  fork(): Random {
    const fork = new Random(this.#generator.clone());
    this.#generator.jump();
    return fork;
  }

  chance(probability: number): boolean {
    return uniformFloat64(this.#generator) < probability;
  }

  /** From `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return uniformInt(this.#generator, min, max);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.integer(0, items.length - 1)] as Item;
  }

  /** The earlier an item, the more often it is picked. Undefined when there is none. */
  pickEarly<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(uniformFloat64(this.#generator) ** 2 * items.length)];
  }

  weighted<Item>(items: readonly (readonly [weight: number, item: Item])[]): Item {
    return this.pick(items.flatMap(([weight, item]) => Array.from({ length: weight }, () => item)));
  }

  shuffle<Item>(items: readonly Item[]): Item[] {
    const rest = [...items];
    return items.map(() => rest.splice(this.integer(0, rest.length - 1), 1)[0] as Item);
  }
}
