/** Rejects a request with a status that no handler can return. */
export class HttpError extends Error {
  readonly status: number;
  readonly type: string | undefined;

  constructor(status: number, detail: string, type?: string, options?: ErrorOptions) {
    super(detail, options);
    this.status = status;
    this.type = type;
  }
}

/** `pointer` is a JSON Pointer (RFC 6901) into the request: `/body/title`. */
export interface InvalidField {
  pointer: string;
  detail: string;
  code: string;
}

/** Rejects a request with 400 for rules that JSON Schema cannot express. */
export class InvalidRequest extends Error {
  readonly errors: InvalidField[];

  constructor(errors: InvalidField[]) {
    super(errors.map(({ pointer, detail }) => `${pointer} ${detail}`).join(', '));
    this.errors = errors;
  }
}

/** Rejects work with 503 under overload. One instance for all: creating an error costs more than the rest of a rejection. */
export const overloaded = new Error('The service is overloaded. Retry in a moment.');
