/**
 * Proves that handlers which violate the contract do not compile. If one does, `npm run typecheck` reports its
 * `@ts-expect-error` as unused.
 */
import { implement, type Handlers } from '@task-manager/runtime/contract/handlers';

interface Note {
  id: string;
  text: string;
  due: string | null;
  tags: { name: string }[];
}
interface ProblemResponse {
  headers: { 'X-Request-Id': string; [name: string]: unknown };
  content: { 'application/problem+json': { type: string } };
}
interface Operations {
  createNote: {
    parameters: { query?: never; header?: never; path?: never; cookie?: never };
    requestBody: { content: { 'application/json': { text: string } } };
    responses: {
      201: {
        headers: { 'X-Request-Id': string; Location: string; [name: string]: unknown };
        content: { 'application/json': Note };
      };
      409: ProblemResponse;
    };
  };
  deleteNote: {
    parameters: { query: { limit: number; cursor?: string }; header?: never; path: { noteId: string }; cookie?: never };
    requestBody?: never;
    responses: {
      204: { headers: { 'X-Request-Id': string; [name: string]: unknown }; content?: never };
      404: ProblemResponse;
    };
  };
  followNotes: {
    parameters: { query?: never; header?: { 'Last-Event-ID'?: string }; path?: never; cookie?: never };
    requestBody?: never;
    responses: {
      200: {
        headers: { 'X-Request-Id': string; 'Cache-Control': 'no-cache'; ETag?: string; [name: string]: unknown };
        content: { 'application/json': { items: Note[] }; 'text/event-stream': string };
      };
    };
  };
}

declare const note: Note;
declare const noteWithMore: Note & { secret: string };
declare const stream: AsyncGenerator<string>;
const headers = { Location: '/notes/1' };
const valid = {
  createNote: () => Promise.resolve({ status: 201 as const, headers, body: note }),
  deleteNote: () => Promise.resolve({ status: 204 as const }),
  followNotes: () => Promise.resolve({ status: 200 as const, stream }),
} satisfies Handlers<Operations>;

// Valid handlers compile.
implement<Operations>()(valid);
implement<Operations>()({
  async createNote({ body }) {
    if (body.text === '') return { status: 409, problem: { detail: 'There is one already.' } };
    return { status: 201, headers, body: { id: '1', text: body.text, due: null, tags: [{ name: 'a' }] } };
  },
  async deleteNote({ path, query }) {
    const limit: number = query.limit;
    return path.noteId && limit ? { status: 204 } : { status: 404, problem: { detail: 'No such note.' } };
  },
  async followNotes({ accept, headers, db }) {
    const after: string | undefined = headers['Last-Event-ID'];
    if (accept === 'text/event-stream') return { status: 200, stream };
    return { status: 200, body: { items: await db.query<Note>({ text: 'select', values: [after] }) } };
  },
});

// An undeclared status does not compile.
implement<Operations>()({
  ...valid,
  // @ts-expect-error 200 is not declared
  async createNote() {
    return { status: 200, headers, body: note };
  },
});

// A missing field in a response.
implement<Operations>()({
  ...valid,
  // @ts-expect-error `due` and `tags` are missing
  async createNote() {
    return { status: 201, headers, body: { id: '1', text: 'a' } };
  },
});

// A missing header.
implement<Operations>()({
  ...valid,
  // @ts-expect-error `Location` is missing
  async createNote() {
    return { status: 201, body: note };
  },
});

// A field of the wrong type in a response.
implement<Operations>()({
  ...valid,
  // @ts-expect-error `id` is a string
  async createNote() {
    return { status: 201, headers, body: { ...note, id: 1 } };
  },
});

// An undeclared field in a literal.
implement<Operations>()({
  ...valid,
  // @ts-expect-error `secret` is not declared
  async createNote() {
    return { status: 201, headers, body: { id: '1', text: 'a', due: null, tags: [], secret: 'x' } };
  },
});

// An undeclared field in a variable.
implement<Operations>()({
  ...valid,
  // @ts-expect-error `secret` is not declared
  async createNote() {
    return { status: 201, headers, body: noteWithMore };
  },
});

// An undeclared field in a nested object.
implement<Operations>()({
  ...valid,
  // @ts-expect-error `colour` is not declared
  async createNote() {
    return { status: 201, headers, body: { ...note, tags: [{ name: 'a', colour: 'red' }] } };
  },
});

// An undeclared field next to a valid response.
implement<Operations>()({
  ...valid,
  // @ts-expect-error `secret` is not declared
  async createNote({ body }) {
    if (body.text === '') return { status: 409, problem: { detail: 'There is one already.' } };
    return { status: 201, headers, body: noteWithMore };
  },
});

// A body on a 204.
implement<Operations>()({
  ...valid,
  // @ts-expect-error a 204 has no body
  async deleteNote() {
    return { status: 204, body: note };
  },
});

// An undeclared field next to an event stream.
implement<Operations>()({
  ...valid,
  // @ts-expect-error `secret` is not declared
  async followNotes({ accept }) {
    return accept === 'text/event-stream' ? { status: 200, stream } : { status: 200, body: { items: [noteWithMore] } };
  },
});

// An undeclared event stream, and an undeclared media type.
implement<Operations>()({
  ...valid,
  // @ts-expect-error createNote returns only JSON
  async createNote() {
    return { status: 201, headers, stream };
  },
  async followNotes({ accept }) {
    // @ts-expect-error it is `text/event-stream`
    return accept === 'text/plain' ? { status: 200, stream } : { status: 200, stream };
  },
});

// An undeclared header.
implement<Operations>()({
  ...valid,
  async followNotes({ headers: received }) {
    // @ts-expect-error it is `Last-Event-ID`
    String(received['Last-Event-Id']);
    return { status: 200, stream };
  },
});

// A misspelt parameter.
implement<Operations>()({
  ...valid,
  async deleteNote({ path, query }) {
    // @ts-expect-error it is `noteId`
    String(path.noteID);
    // @ts-expect-error it is `limit`
    String(query.limitt);
    return { status: 204 };
  },
});

// A missing handler.
// @ts-expect-error `deleteNote` is missing
implement<Operations>()({ createNote: valid.createNote, followNotes: valid.followNotes });

// A handler of an operation that the contract does not have.
// @ts-expect-error `removeNote` is not an operation
implement<Operations>()({ ...valid, removeNote: valid.deleteNote });
