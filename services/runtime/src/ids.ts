import { v7 } from 'uuid';

/** A UUID of version 7 (RFC 9562 §5.7): ids made later sort later. */
export function newId(): string {
  return v7();
}

/** When the id was made: the first 48 bits of a UUID of version 7 are milliseconds since 1970. */
export function timeOf(id: string): Date {
  return new Date(parseInt(id.slice(0, 8) + id.slice(9, 13), 16));
}
