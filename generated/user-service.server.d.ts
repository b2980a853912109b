// made from api/user-service.yaml by `npm run generate`; edit that and run it again.
export interface paths {
    "/register": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Register a user
         * @description Stores a user and answers with it once it is durable. An e-mail address belongs to one user only, whatever the
         *     case of its letters.
         */
        post: operations["registerUser"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List users
         * @description Answers with one page of the users that fit every filter given, newest first. To read on, ask again with the same
         *     filters and `cursor` set to `nextCursor`; with others the cursor is refused with 400. A user who was there
         *     throughout is listed exactly once, whoever registers and leaves meanwhile.
         */
        get: operations["listUsers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/users/feed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow the users
         * @description What happened to users, oldest first, as [CloudEvents](https://cloudevents.io). An event is written together with
         *     the change that it tells of, and none is left out: remember `nextCursor` with what you made of the page, ask for
         *     what follows, and with `wait` the answer comes as soon as something happens. An event holds no more than which
         *     user, which version: nothing personal outlives a user.
         *
         *     With `Accept: text/event-stream` the events come one by one, as they happen, to an `EventSource`; after a lost
         *     connection it goes on where it was.
         */
        get: operations["listUserEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/users/{userId}": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The user's `id`.
                 * @example 01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10
                 */
                userId: components["schemas"]["Id"];
            };
            cookie?: never;
        };
        /**
         * Get a user
         * @description Answers with one user, as they are now.
         */
        get: operations["getUser"];
        put?: never;
        post?: never;
        /**
         * Delete a user
         * @description Removes the user for good. Their tasks become unassigned a moment later, when the task service has heard of it.
         */
        delete: operations["deleteUser"];
        options?: never;
        head?: never;
        /**
         * Change a user
         * @description Changes the fields that are given and leaves the others, as a merge patch
         *     ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)). Each change makes a new version.
         */
        patch: operations["updateUser"];
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * See whether it can serve
         * @description Answers 200 when the service can do its work and 503, with the reason, when it cannot: readiness, in the words
         *     of Kubernetes. Asked often, it costs the database nothing.
         */
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/live": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * See whether it lives
         * @description Answers 200 as long as the process runs, whatever its database does.
         */
        get: operations["getLiveness"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * @description What to call them. Any characters but NUL.
         * @example Alice
         */
        Name: string;
        /**
         * Format: email
         * @description Where to write to them. Kept as it was given; compared without regard to letter case.
         * @example alice@example.com
         */
        Email: string;
        /**
         * @description A user to register.
         * @example {
         *       "name": "Alice",
         *       "email": "alice@example.com"
         *     }
         */
        NewUser: {
            name: components["schemas"]["Name"];
            email: components["schemas"]["Email"];
        };
        /**
         * @description What to change of a user, as a merge patch.
         * @example {
         *       "name": "Alice Liddell"
         *     }
         */
        UserChanges: {
            name?: components["schemas"]["Name"];
            email?: components["schemas"]["Email"];
        };
        /**
         * @description A person who works on tasks.
         * @example {
         *       "id": "01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10",
         *       "name": "Alice",
         *       "email": "alice@example.com",
         *       "createdAt": "2026-11-23T09:28:27.766Z",
         *       "updatedAt": "2026-11-23T09:28:27.766Z",
         *       "version": 1
         *     }
         */
        User: {
            id: components["schemas"]["Id"];
            name: components["schemas"]["Name"];
            email: components["schemas"]["Email"];
            createdAt: components["schemas"]["Time"];
            updatedAt: components["schemas"]["Time"];
            version: components["schemas"]["Version"];
        };
        /**
         * @description One page of users, newest first.
         * @example {
         *       "items": [
         *         {
         *           "id": "01939c2e-9a05-7f3d-8b21-0d6c5b4a3928",
         *           "name": "Grace Hopper",
         *           "email": "grace@example.com",
         *           "createdAt": "2026-11-23T09:30:08.133Z",
         *           "updatedAt": "2026-11-24T10:00:41.905Z",
         *           "version": 2
         *         },
         *         {
         *           "id": "01939c2d-c4e8-7216-93af-5e4d3c2b1a09",
         *           "name": "Bob",
         *           "email": "bob@example.com",
         *           "createdAt": "2026-11-23T09:29:13.576Z",
         *           "updatedAt": "2026-11-23T09:29:13.576Z",
         *           "version": 1
         *         },
         *         {
         *           "id": "01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10",
         *           "name": "Alice",
         *           "email": "alice@example.com",
         *           "createdAt": "2026-11-23T09:28:27.766Z",
         *           "updatedAt": "2026-11-23T09:28:27.766Z",
         *           "version": 1
         *         }
         *       ],
         *       "nextCursor": null
         *     }
         */
        UserPage: {
            /** @description The users of this page. */
            items: components["schemas"]["User"][];
            nextCursor: components["schemas"]["NextCursor"];
        };
        /** @description Something that happened to a user, as a [CloudEvent](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md). */
        UserEvent: {
            /**
             * @description The version of CloudEvents.
             * @example 1.0
             * @constant
             */
            specversion: "1.0";
            id: components["schemas"]["EventId"];
            /**
             * @description Whose feed it is.
             * @example /users
             * @constant
             */
            source: "/users";
            /**
             * @description What happened.
             * @example user.registered
             * @enum {string}
             */
            type: "user.registered" | "user.updated" | "user.deleted";
            subject: components["schemas"]["Id"];
            time: components["schemas"]["Time"];
            /**
             * @description What `data` is.
             * @example application/json
             * @constant
             */
            datacontenttype: "application/json";
            /** @description Which user it happened to, and which version that made; of a deleted user the last. */
            data: {
                id: components["schemas"]["Id"];
                version: components["schemas"]["Version"];
            };
        };
        /**
         * @description Events, oldest first.
         * @example {
         *       "items": [
         *         {
         *           "specversion": "1.0",
         *           "id": "7520-17",
         *           "source": "/users",
         *           "type": "user.registered",
         *           "subject": "01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10",
         *           "time": "2026-11-23T09:28:27.766Z",
         *           "datacontenttype": "application/json",
         *           "data": {
         *             "id": "01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10",
         *             "version": 1
         *           }
         *         }
         *       ],
         *       "nextCursor": "7520-17"
         *     }
         */
        UserEventPage: {
            /** @description The events of this page. */
            items: components["schemas"]["UserEvent"][];
            nextCursor: components["schemas"]["FeedPosition"];
        };
        /**
         * @description A UUID of version 7 ([RFC 9562](https://www.rfc-editor.org/rfc/rfc9562)), made by the service. It begins with
         *     the time it was made, so ids sort by age.
         * @example 01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70
         */
        Id: string;
        /**
         * Format: date-time
         * @description A moment in UTC, to the millisecond ([RFC 3339](https://www.rfc-editor.org/rfc/rfc3339)).
         * @example 2026-11-23T09:30:00.000Z
         */
        Time: string;
        /**
         * Format: int32
         * @description Counts the changes, from 1. Its `ETag` is made of it.
         * @example 1
         */
        Version: number;
        /** @description A place in the request, and the rule it breaks. */
        InvalidPlace: {
            /**
             * @description A JSON Pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) into the request: `/body/title`,
             *     `/query/limit`, `/path/taskId`.
             * @example /body/title
             */
            pointer: string;
            /**
             * @description The rule.
             * @example must NOT have fewer than 1 characters
             */
            detail: string;
            /**
             * @description The rule's name, as JSON Schema has it, for programs.
             * @example minLength
             */
            code: string;
        };
        /**
         * @description What went wrong, as [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem details. Decide by `type` or
         *     `status`; `title` and `detail` are for people. Quote `requestId` when you report a problem.
         */
        Problem: {
            /**
             * Format: uri-reference
             * @description Names the kind of problem: a reference to the page that explains it, relative to the server. Its last
             *     segment stays the same wherever the service is mounted.
             * @example /problems/invalid-request
             */
            type: string;
            /**
             * @description The kind of problem in a few words.
             * @example The request is invalid
             */
            title: string;
            /**
             * Format: int32
             * @description The HTTP status code, repeated.
             * @example 400
             */
            status: number;
            /**
             * @description What happened this time, and what to do about it.
             * @example /body/title must NOT have fewer than 1 characters
             */
            detail: string;
            /**
             * Format: uri-reference
             * @description The path that was asked for; that of the homepage, where none could be read.
             * @example /tasks
             */
            instance: string;
            /**
             * @description The request's `X-Request-Id`; the service's log has it too.
             * @example 01939c2e-8f00-7a51-8f2c-0c1d2e3f4a5b
             */
            requestId: string;
            /** @description Each place in the request that breaks a rule. Only for invalid requests. */
            errors?: components["schemas"]["InvalidPlace"][];
        };
        /**
         * @description The `cursor` of the next page, or null when this page is the last.
         * @example WyJsaXN0VGFza3MiLCIwMTkzOWMyZSJd
         * @example null
         */
        NextCursor: string | null;
        /**
         * @description The event's place in the feed, and so the `cursor` from which to read on. It grows; what is in it may change.
         * @example 7531-42
         */
        EventId: string;
        /**
         * @description The `cursor` from which to read on; null when nothing has happened yet.
         * @example 7531-42
         * @example null
         */
        FeedPosition: string | null;
        /**
         * @description The service can do its work.
         * @example {
         *       "status": "ok"
         *     }
         */
        Health: {
            /**
             * @description Always `ok`; a service that cannot serve answers with a problem instead.
             * @example ok
             * @enum {string}
             */
            status: "ok";
        };
    };
    responses: {
        /** @description The e-mail address is taken, or another request with this `Idempotency-Key` is in flight. */
        RegistrationConflict: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Another user has this e-mail address. Nothing was written. */
        EmailTaken: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The address exists but does not have this method. `Allow` lists those it has. */
        MethodNotAllowed: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                Allow: components["headers"]["Allow"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /**
         * @description The request did not come to its end in time: 5 seconds for its headers, 6 for all of it. Nothing was written, and the
         *     connection is closed. Send it again when the line is better, or in smaller parts.
         */
        RequestTimeout: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /**
         * @description The service cannot meet what `Expect` asks for. It knows only `100-continue`: to be told, before the body is sent,
         *     that it is wanted. Nothing was written.
         */
        ExpectationFailed: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The headers are more than the service reads: 100 of them, 16 KB in all. Nothing was written. */
        HeadersTooLarge: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /**
         * @description The request breaks a rule of this contract. Nothing was written. `errors` names each place by a JSON Pointer into
         *     the request, with the rule it breaks.
         */
        InvalidRequest: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The service has no representation that the `Accept` header allows. It speaks `application/json`. */
        NotAcceptable: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body is larger than the service reads. Nothing was written. */
        ContentTooLarge: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /**
         * @description The body is of a kind the service does not read. Send `Content-Type: application/json` (of changes also
         *     `application/merge-patch+json`) in UTF-8, uncompressed or with gzip, deflate or br.
         */
        UnsupportedMediaType: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /**
         * @description This `Idempotency-Key` was sent before, with a different request. Nothing was done. Choose a new key for each thing
         *     that you want done, and send the same request with it at each retry.
         */
        KeyReused: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /**
         * @description This client has sent as many requests as it may for now. Nothing was done. Try again after `Retry-After` seconds.
         *     `RateLimit`, on each answer before, tells how many are left.
         */
        TooManyRequests: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "Retry-After": components["headers"]["Retry-After"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /**
         * @description The service failed in a way it did not foresee. The cause is in its log under `requestId`. Whether a change was
         *     made is not known: look before you try again.
         */
        InternalError: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /**
         * @description The service cannot do its work just now: its database or a service that it needs is away, or it is starting or
         *     shutting down. Try again after `Retry-After` seconds.
         */
        Unavailable: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "Retry-After": components["headers"]["Retry-After"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description What you have by this `If-None-Match` is still right. */
        NotModified: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoCache"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                ETag: components["headers"]["ETag"];
                [name: string]: unknown;
            };
            content?: never;
        };
        /** @description There is nothing at this address. It may have been deleted, or never have been. */
        NotFound: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /**
         * @description It no longer has the `ETag` that `If-Match` names: somebody has changed it since. Nothing was written. Get it again,
         *     look at what is new, and send your change with the new `ETag`.
         */
        PreconditionFailed: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: {
        /**
         * @description Makes the request safe to repeat: choose a new key, such as a UUID, for each thing that you want done, and send the
         *     same one with every retry. For 24 hours the same request gets the first answer again, with
         *     `Idempotent-Replayed: true`; a different request with this key is refused with 422. What was refused is not kept.
         * @example 5b8f0d52-6a3e-4c0e-9f0b-0d1f5f6f2c11
         */
        IdempotencyKey: string;
        /**
         * @description At most how many items the page holds.
         * @example 20
         */
        Limit: number;
        /**
         * @description Where the page begins: `nextCursor` of the page before. Opaque, and good only for the list that gave it; any
         *     other is refused with 400.
         */
        Cursor: string;
        /**
         * @description Answer 304, without a body, if what is asked for still has this `ETag`.
         * @example "3"
         */
        IfNoneMatch: string;
        /**
         * @description Where to read on: `nextCursor` of the page before, or the id of an event. `latest` begins after the newest event;
         *     without a cursor the feed begins with the oldest.
         * @example 7531-42
         */
        FeedCursor: string;
        /**
         * @description For how many seconds to wait for an event when there is none yet.
         * @example 0
         */
        Wait: number;
        /**
         * @description Where to read on, as an `EventSource` says it when it connects again. Goes before `cursor`.
         * @example 7531-42
         */
        LastEventId: string;
        /**
         * @description Change it only if it still has this `ETag` ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#name-if-match)),
         *     else answer 412: so nobody's edit is lost. `*` is any version.
         * @example "1"
         */
        IfMatch: string;
    };
    requestBodies: never;
    headers: {
        /**
         * @description Names the request in the service's log. Yours, when you sent one that fits; else made by the service.
         * @example 01939c2e-8f00-7a51-8f2c-0c1d2e3f4a5b
         */
        "X-Request-Id": string;
        /**
         * @description Do not keep it.
         * @example no-store
         */
        NoStore: "no-store";
        /**
         * @description How many requests this client has left (`r`), and in how many seconds it has all of them again (`t`), as in the draft
         *     [RateLimit header fields for HTTP](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/). Sent only
         *     where the service limits its clients.
         * @example "default";r=50;t=30
         */
        RateLimit: string;
        /**
         * @description How many requests a client may send (`q`) in how many seconds (`w`). Sent with `RateLimit`.
         * @example "default";q=100;w=60
         */
        "RateLimit-Policy": string;
        /**
         * @description Names this state of what was asked for. Send it back as `If-None-Match` or `If-Match`.
         * @example "1"
         */
        ETag: string;
        /**
         * @description Sent when this is the first answer again, by its `Idempotency-Key`; nothing was done this time.
         * @example true
         */
        "Idempotent-Replayed": "true";
        /**
         * @description After how many seconds to try again.
         * @example 1
         */
        "Retry-After": number;
        /**
         * @description Keep it, and ask with `If-None-Match` before each use.
         * @example no-cache
         */
        NoCache: "no-cache";
        /**
         * @description The next page, beside `nextCursor` ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288)), with the prefix that the
         *     request came with. Not there when there is none.
         * @example </tasks?limit=20&cursor=WyJsaXN0VGFza3MiLCIwMTkzOWMyZSJd>; rel="next"
         */
        Link: string;
        /**
         * @description The methods that the path has.
         * @example GET, HEAD, OPTIONS, POST
         */
        Allow: string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    registerUser: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Makes the request safe to repeat: choose a new key, such as a UUID, for each thing that you want done, and send the
                 *     same one with every retry. For 24 hours the same request gets the first answer again, with
                 *     `Idempotent-Replayed: true`; a different request with this key is refused with 422. What was refused is not kept.
                 * @example 5b8f0d52-6a3e-4c0e-9f0b-0d1f5f6f2c11
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewUser"];
            };
        };
        responses: {
            /** @description The user as it was stored. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["NoStore"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    "Idempotent-Replayed": components["headers"]["Idempotent-Replayed"];
                    /**
                     * @description Where the new user is, with the prefix the request came with.
                     * @example /user/users/01939c2f-5d18-7a92-8c47-1e0f2d3b4c5a
                     */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["User"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["RegistrationConflict"];
            413: components["responses"]["ContentTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    listUsers: {
        parameters: {
            query: {
                /**
                 * @description Only users with all of these words in name and e-mail address, whatever the case of their letters.
                 *     `"two words"` must stand together, `or` and `-word` mean what they do in a web search.
                 * @example grace hopper
                 */
                q?: string;
                /**
                 * @description Only the user with this e-mail address, whatever the case of its letters.
                 * @example alice@example.com
                 */
                email?: components["schemas"]["Email"];
                /**
                 * @description At most how many items the page holds.
                 * @example 20
                 */
                limit: components["parameters"]["Limit"];
                /**
                 * @description Where the page begins: `nextCursor` of the page before. Opaque, and good only for the list that gave it; any
                 *     other is refused with 400.
                 */
                cursor?: components["parameters"]["Cursor"];
            };
            header?: {
                /**
                 * @description Answer 304, without a body, if what is asked for still has this `ETag`.
                 * @example "3"
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One page of users. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["NoCache"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    Link: components["headers"]["Link"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UserPage"];
                };
            };
            304: components["responses"]["NotModified"];
            400: components["responses"]["InvalidRequest"];
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["TooManyRequests"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    listUserEvents: {
        parameters: {
            query: {
                /**
                 * @description Where to read on: `nextCursor` of the page before, or the id of an event. `latest` begins after the newest event;
                 *     without a cursor the feed begins with the oldest.
                 * @example 7531-42
                 */
                cursor?: components["parameters"]["FeedCursor"];
                /**
                 * @description At most how many items the page holds.
                 * @example 20
                 */
                limit: components["parameters"]["Limit"];
                /**
                 * @description For how many seconds to wait for an event when there is none yet.
                 * @example 0
                 */
                wait: components["parameters"]["Wait"];
            };
            header?: {
                /**
                 * @description Where to read on, as an `EventSource` says it when it connects again. Goes before `cursor`.
                 * @example 7531-42
                 */
                "Last-Event-ID"?: components["parameters"]["LastEventId"];
                /**
                 * @description Answer 304, without a body, if what is asked for still has this `ETag`.
                 * @example "3"
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Events, oldest first; none when there are none yet. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["NoCache"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    Link: components["headers"]["Link"];
                    /**
                     * @description Names this page. An event stream has none.
                     * @example "Zk3v0q1XJ0m5b0dC"
                     */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UserEventPage"];
                    /**
                     * @example id: 7520-17
                     *     event: user.registered
                     *     data: {"specversion":"1.0","id":"7520-17","source":"/users","type":"user.registered","subject":"01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10","time":"2026-11-23T09:28:27.766Z","datacontenttype":"application/json","data":{"id":"01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10","version":1}}
                     */
                    "text/event-stream": string;
                };
            };
            304: components["responses"]["NotModified"];
            400: components["responses"]["InvalidRequest"];
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["TooManyRequests"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    getUser: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Answer 304, without a body, if what is asked for still has this `ETag`.
                 * @example "3"
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /**
                 * @description The user's `id`.
                 * @example 01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10
                 */
                userId: components["schemas"]["Id"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The user. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["NoCache"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["User"];
                };
            };
            304: components["responses"]["NotModified"];
            400: components["responses"]["InvalidRequest"];
            404: components["responses"]["NotFound"];
            406: components["responses"]["NotAcceptable"];
            429: components["responses"]["TooManyRequests"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    deleteUser: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Change it only if it still has this `ETag` ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#name-if-match)),
                 *     else answer 412: so nobody's edit is lost. `*` is any version.
                 * @example "1"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /**
                 * @description The user's `id`.
                 * @example 01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10
                 */
                userId: components["schemas"]["Id"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They are gone. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["NoStore"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["InvalidRequest"];
            404: components["responses"]["NotFound"];
            412: components["responses"]["PreconditionFailed"];
            429: components["responses"]["TooManyRequests"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    updateUser: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Change it only if it still has this `ETag` ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#name-if-match)),
                 *     else answer 412: so nobody's edit is lost. `*` is any version.
                 * @example "1"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /**
                 * @description The user's `id`.
                 * @example 01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10
                 */
                userId: components["schemas"]["Id"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/merge-patch+json": components["schemas"]["UserChanges"];
                "application/json": components["schemas"]["UserChanges"];
            };
        };
        responses: {
            /** @description The user as they are now. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["NoStore"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["User"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            404: components["responses"]["NotFound"];
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["EmailTaken"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["ContentTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            429: components["responses"]["TooManyRequests"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    getHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Ready to serve. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["NoStore"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            406: components["responses"]["NotAcceptable"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    getLiveness: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The process lives. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["NoStore"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            406: components["responses"]["NotAcceptable"];
            500: components["responses"]["InternalError"];
        };
    };
}
