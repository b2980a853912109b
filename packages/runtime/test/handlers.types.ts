/**
 * What must not compile. `npm run typecheck` fails when one of these does: TypeScript then reports its
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
const right = {
  createNote: () => Promise.resolve({ status: 201 as const, headers, body: note }),
  deleteNote: () => Promise.resolve({ status: 204 as const }),
  followNotes: () => Promise.resolve({ status: 200 as const, stream }),
} satisfies Handlers<Operations>;

// What is right compiles.
implement<Operations>()(right);
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

// An undeclared status does not.
implement<Operations>()({
  ...right,
  // @ts-expect-error 200 is not declared
  async createNote() {
    return { status: 200, headers, body: note };
  },
});

// A missing field in a response does not.
implement<Operations>()({
  ...right,
  // @ts-expect-error `due` and `tags` are missing
  async createNote() {
    return { status: 201, headers, body: { id: '1', text: 'a' } };
  },
});

// A missing header does not.
implement<Operations>()({
  ...right,
  // @ts-expect-error `Location` is missing
  async createNote() {
    return { status: 201, body: note };
  },
});

// A wrong field in a response does not.
implement<Operations>()({
  ...right,
  // @ts-expect-error `id` is a string
  async createNote() {
    return { status: 201, headers, body: { ...note, id: 1 } };
  },
});

// An excess field in a response does not: in a literal,
implement<Operations>()({
  ...right,
  // @ts-expect-error `secret` is not declared
  async createNote() {
    return { status: 201, headers, body: { id: '1', text: 'a', due: null, tags: [], secret: 'x' } };
  },
});

// in a value made elsewhere,
implement<Operations>()({
  ...right,
  // @ts-expect-error `secret` is not declared
  async createNote() {
    return { status: 201, headers, body: noteWithMore };
  },
});

// deep inside,
implement<Operations>()({
  ...right,
  // @ts-expect-error `colour` is not declared
  async createNote() {
    return { status: 201, headers, body: { ...note, tags: [{ name: 'a', colour: 'red' }] } };
  },
});

// beside another answer that is right.
implement<Operations>()({
  ...right,
  // @ts-expect-error `secret` is not declared
  async createNote({ body }) {
    if (body.text === '') return { status: 409, problem: { detail: 'There is one already.' } };
    return { status: 201, headers, body: noteWithMore };
  },
});

// A body on a 204 does not.
implement<Operations>()({
  ...right,
  // @ts-expect-error a 204 has no body
  async deleteNote() {
    return { status: 204, body: note };
  },
});

// An excess field beside an event stream does not.
implement<Operations>()({
  ...right,
  // @ts-expect-error `secret` is not declared
  async followNotes({ accept }) {
    return accept === 'text/event-stream' ? { status: 200, stream } : { status: 200, body: { items: [noteWithMore] } };
  },
});

// An event stream where none is declared does not, nor a media type that the operation does not have.
implement<Operations>()({
  ...right,
  // @ts-expect-error createNote answers with JSON only
  async createNote() {
    return { status: 201, headers, stream };
  },
  async followNotes({ accept }) {
    // @ts-expect-error it is `text/event-stream`
    return accept === 'text/plain' ? { status: 200, stream } : { status: 200, stream };
  },
});

// A header that is not declared does not.
implement<Operations>()({
  ...right,
  async followNotes({ headers: given }) {
    // @ts-expect-error it is `Last-Event-ID`
    String(given['Last-Event-Id']);
    return { status: 200, stream };
  },
});

// A misspelt parameter does not.
implement<Operations>()({
  ...right,
  async deleteNote({ path, query }) {
    // @ts-expect-error it is `noteId`
    String(path.noteID);
    // @ts-expect-error it is `limit`
    String(query.limitt);
    return { status: 204 };
  },
});

// A missing handler does not.
// @ts-expect-error `deleteNote` is missing
implement<Operations>()({ createNote: right.createNote, followNotes: right.followNotes });

// A renamed operation does not: its handler has a name that the contract no longer has.
// @ts-expect-error `removeNote` is not an operation
implement<Operations>()({ ...right, removeNote: right.deleteNote });
