/**
 * Thrown when there is so much to do that something is not begun. Answered with 503, and no fault that a log need explain. One
 * for all, because to make one takes longer than anything else that refusing does.
 */
export const overloaded = new Error('The service has more to do than it can. Ask again in a moment.');

/** Thrown for a request that is refused with the status that it names, from where no handler can return it. */
export class Refused extends Error {
  readonly status: number;
  /** The problem's name in the contract; may be left out where there is one of this status. */
  readonly type: string | undefined;
  constructor(status: number, detail: string, type?: string, options?: ErrorOptions) {
    super(detail, options);
    this.status = status;
    this.type = type;
  }
}
