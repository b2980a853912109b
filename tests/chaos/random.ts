/** Chance that can be repeated: the same numbers for the same seed. */
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

export class Random {
  readonly #generator: ReturnType<typeof xoroshiro128plus>;

  constructor(seed: number | ReturnType<typeof xoroshiro128plus>) {
    this.#generator = typeof seed === 'number' ? xoroshiro128plus(seed) : seed;
  }

  /** Another source, whose numbers depend on nothing that is drawn from this one. */
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

  /** One of these, the first ones most often: the square of chance. None when there are none. */
  pickEarly<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(uniformFloat64(this.#generator) ** 2 * items.length)];
  }

  some<Item>(items: readonly Item[]): Item[] {
    return items.filter(() => this.chance(0.5));
  }

  shuffle<Item>(items: readonly Item[]): Item[] {
    const rest = [...items];
    return items.map(() => rest.splice(this.integer(0, rest.length - 1), 1)[0] as Item);
  }
}
