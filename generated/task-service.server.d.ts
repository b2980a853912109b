// made from api/task-service.yaml by `npm run generate`; edit that and run it again.
export interface paths {
    "/tasks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List tasks
         * @description Answers with one page of the tasks that fit every filter given. To read on, ask again with the same filters and
         *     sort, and `cursor` set to `nextCursor`; with others the cursor is refused with 400. A task that was there
         *     throughout, and whose sort key did not change, is listed exactly once, whatever is added, changed and removed
         *     meanwhile.
         */
        get: operations["listTasks"];
        put?: never;
        /**
         * Create a task
         * @description Stores a task and answers with it once it is durable. Who it is given to must be a user of the user service.
         */
        post: operations["createTask"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/tasks/batch": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Create many tasks
         * @description Stores up to 100 tasks, in a body of at most 1 MB: all of them, or none if one is refused. Answers with them in the
         *     order they were given.
         */
        post: operations["createTasks"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/tasks/feed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow the tasks
         * @description What happened to tasks, oldest first, as [CloudEvents](https://cloudevents.io). An event is written together with
         *     the change that it tells of, and none is left out: remember `nextCursor` with what you made of the page, ask for
         *     what follows, and with `wait` the answer comes as soon as something happens. An event holds no more than which
         *     task, which version: get the task for how it is now.
         *
         *     With `Accept: text/event-stream` the events come one by one, as they happen, to an `EventSource`; after a lost
         *     connection it goes on where it was.
         */
        get: operations["listTaskEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/tasks/{taskId}": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The task's `id`.
                 * @example 01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70
                 */
                taskId: components["schemas"]["Id"];
            };
            cookie?: never;
        };
        /**
         * Get a task
         * @description Answers with one task, as it is now.
         */
        get: operations["getTask"];
        put?: never;
        post?: never;
        /**
         * Delete a task
         * @description Removes the task for good. Its feed tells that it went.
         */
        delete: operations["deleteTask"];
        options?: never;
        head?: never;
        /**
         * Change a task
         * @description Changes the fields that are given and leaves the others, as a merge patch
         *     ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)): null empties a field that may be empty, and `labels` are
         *     replaced as a whole. Finishing a task (`done`) sets `completedAt`, reopening it clears it. Each change makes a new
         *     version.
         */
        patch: operations["updateTask"];
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
         * @description What is to be done. Any characters but NUL.
         * @example Buy milk
         */
        Title: string;
        /**
         * @description More about it; empty when there is no more to say. Any characters but NUL.
         * @example 2L whole
         */
        Description: string;
        /**
         * @description How far it has come.
         * @example todo
         * @enum {string}
         */
        Status: "todo" | "in-progress" | "done";
        /**
         * @description How much it matters.
         * @example normal
         * @enum {string}
         */
        Priority: "low" | "normal" | "high";
        /**
         * Format: date
         * @description A day of the calendar, of the years 0001 to 9999.
         * @example 2026-12-24
         */
        Day: string;
        /**
         * Format: date
         * @description The day by which it should be done; null when there is none.
         * @example 2026-12-24
         * @example null
         */
        DueDate: string | null;
        /**
         * @description The `id` of the user who is to do it; null when it is given to nobody, or that user was deleted.
         * @example 01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10
         * @example null
         */
        AssigneeId: string | null;
        /**
         * @description A word or two by which to find it. Any characters but NUL.
         * @example finance
         */
        Label: string;
        /**
         * @description Words by which to find it, each of them once.
         * @example [
         *       "finance",
         *       "review"
         *     ]
         */
        Labels: components["schemas"]["Label"][];
        /**
         * @description A task to create.
         * @example {
         *       "title": "Buy milk",
         *       "description": "2L whole"
         *     }
         */
        NewTask: {
            title: components["schemas"]["Title"];
            /**
             * @description More about it; empty when there is no more to say. Any characters but NUL.
             * @default
             * @example 2L whole
             */
            description: string;
            /** @default todo */
            status: components["schemas"]["Status"];
            /** @default normal */
            priority: components["schemas"]["Priority"];
            /** @default null */
            dueDate: components["schemas"]["DueDate"];
            /** @default null */
            assigneeId: components["schemas"]["AssigneeId"];
            /**
             * @description Words by which to find it, each of them once.
             * @default []
             * @example [
             *       "finance",
             *       "review"
             *     ]
             */
            labels: components["schemas"]["Label"][];
        };
        /** @description Tasks to create together. */
        NewTasks: {
            /** @description The tasks. */
            items: components["schemas"]["NewTask"][];
        };
        /**
         * @description What to change of a task, as a merge patch.
         * @example {
         *       "status": "done"
         *     }
         */
        TaskChanges: {
            title?: components["schemas"]["Title"];
            description?: components["schemas"]["Description"];
            status?: components["schemas"]["Status"];
            priority?: components["schemas"]["Priority"];
            dueDate?: components["schemas"]["DueDate"];
            assigneeId?: components["schemas"]["AssigneeId"];
            labels?: components["schemas"]["Labels"];
        };
        /**
         * @description Something to be done.
         * @example {
         *       "id": "01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70",
         *       "title": "Buy milk",
         *       "description": "2L whole",
         *       "status": "todo",
         *       "priority": "normal",
         *       "dueDate": null,
         *       "assigneeId": null,
         *       "labels": [],
         *       "createdAt": "2026-11-23T09:30:00.001Z",
         *       "updatedAt": "2026-11-23T09:30:00.001Z",
         *       "completedAt": null,
         *       "version": 1
         *     }
         */
        Task: {
            id: components["schemas"]["Id"];
            title: components["schemas"]["Title"];
            description: components["schemas"]["Description"];
            status: components["schemas"]["Status"];
            priority: components["schemas"]["Priority"];
            dueDate: components["schemas"]["DueDate"];
            assigneeId: components["schemas"]["AssigneeId"];
            labels: components["schemas"]["Labels"];
            createdAt: components["schemas"]["Time"];
            updatedAt: components["schemas"]["Time"];
            /**
             * Format: date-time
             * @description When it was finished, in UTC; null while it is not.
             * @example null
             * @example 2026-11-23T17:05:12.640Z
             */
            completedAt: string | null;
            version: components["schemas"]["Version"];
        };
        /** @description Tasks that were created together. */
        TaskList: {
            /** @description The tasks, in the order they were given. */
            items: components["schemas"]["Task"][];
        };
        /**
         * @description One page of tasks.
         * @example {
         *       "items": [
         *         {
         *           "id": "01939c2f-03b2-7d10-8a44-6c2f0b9d1e35",
         *           "title": "Call the plumber",
         *           "description": "",
         *           "status": "todo",
         *           "priority": "normal",
         *           "dueDate": null,
         *           "assigneeId": null,
         *           "labels": [],
         *           "createdAt": "2026-11-23T09:30:35.186Z",
         *           "updatedAt": "2026-11-23T09:30:35.186Z",
         *           "completedAt": null,
         *           "version": 1
         *         },
         *         {
         *           "id": "01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70",
         *           "title": "Buy milk",
         *           "description": "2L whole",
         *           "status": "todo",
         *           "priority": "normal",
         *           "dueDate": null,
         *           "assigneeId": null,
         *           "labels": [],
         *           "createdAt": "2026-11-23T09:30:00.001Z",
         *           "updatedAt": "2026-11-23T09:30:00.001Z",
         *           "completedAt": null,
         *           "version": 1
         *         },
         *         {
         *           "id": "01939bcf-4bd1-7b0a-b3de-51f0a7c92d48",
         *           "title": "Prepare the quarterly review",
         *           "description": "Numbers from finance, a page on what went wrong, two slides at most.",
         *           "status": "in-progress",
         *           "priority": "high",
         *           "dueDate": "2026-12-04",
         *           "assigneeId": "01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10",
         *           "labels": [
         *             "finance",
         *             "review"
         *           ],
         *           "createdAt": "2026-11-23T07:46:03.473Z",
         *           "updatedAt": "2026-11-24T08:12:40.291Z",
         *           "completedAt": null,
         *           "version": 2
         *         }
         *       ],
         *       "nextCursor": null
         *     }
         */
        TaskPage: {
            /** @description The tasks of this page. */
            items: components["schemas"]["Task"][];
            nextCursor: components["schemas"]["NextCursor"];
        };
        /** @description Something that happened to a task, as a [CloudEvent](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md). */
        TaskEvent: {
            /**
             * @description The version of CloudEvents.
             * @example 1.0
             * @constant
             */
            specversion: "1.0";
            id: components["schemas"]["EventId"];
            /**
             * @description Whose feed it is.
             * @example /tasks
             * @constant
             */
            source: "/tasks";
            /**
             * @description What happened.
             * @example task.created
             * @enum {string}
             */
            type: "task.created" | "task.updated" | "task.deleted";
            subject: components["schemas"]["Id"];
            time: components["schemas"]["Time"];
            /**
             * @description What `data` is.
             * @example application/json
             * @constant
             */
            datacontenttype: "application/json";
            /** @description Which task it happened to, and which version that made; of a deleted task the last. */
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
         *           "id": "7531-42",
         *           "source": "/tasks",
         *           "type": "task.created",
         *           "subject": "01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70",
         *           "time": "2026-11-23T09:30:00.001Z",
         *           "datacontenttype": "application/json",
         *           "data": {
         *             "id": "01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70",
         *             "version": 1
         *           }
         *         }
         *       ],
         *       "nextCursor": "7531-42"
         *     }
         */
        TaskEventPage: {
            /** @description The events of this page. */
            items: components["schemas"]["TaskEvent"][];
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
        /**
         * @description The `cursor` of the next page, or null when this page is the last.
         * @example WyJsaXN0VGFza3MiLCIwMTkzOWMyZSJd
         * @example null
         */
        NextCursor: string | null;
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
        /** @description The task cannot be given to this user, or another request with this `Idempotency-Key` is in flight. */
        AssignmentConflict: {
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
        /** @description The task cannot be given to this user. Nothing was written. */
        UnknownAssignee: {
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
         * @description Makes the request safe to repeat: choose a new key, such as a UUID, for each thing that you want done, and send the
         *     same one with every retry. For 24 hours the same request gets the first answer again, with
         *     `Idempotent-Replayed: true`; a different request with this key is refused with 422. What was refused is not kept.
         * @example 5b8f0d52-6a3e-4c0e-9f0b-0d1f5f6f2c11
         */
        IdempotencyKey: string;
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
         * @description Keep it, and ask with `If-None-Match` before each use.
         * @example no-cache
         */
        NoCache: "no-cache";
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
         * @description The next page, beside `nextCursor` ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288)), with the prefix that the
         *     request came with. Not there when there is none.
         * @example </tasks?limit=20&cursor=WyJsaXN0VGFza3MiLCIwMTkzOWMyZSJd>; rel="next"
         */
        Link: string;
        /**
         * @description Do not keep it.
         * @example no-store
         */
        NoStore: "no-store";
        /**
         * @description After how many seconds to try again.
         * @example 1
         */
        "Retry-After": number;
        /**
         * @description Sent when this is the first answer again, by its `Idempotency-Key`; nothing was done this time.
         * @example true
         */
        "Idempotent-Replayed": "true";
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
    listTasks: {
        parameters: {
            query: {
                /**
                 * @description Only tasks of this status.
                 * @example todo
                 */
                status?: components["schemas"]["Status"];
                /**
                 * @description Only tasks given to this user.
                 * @example 01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10
                 */
                assigneeId?: components["schemas"]["Id"];
                /**
                 * @description Only tasks that bear this label, in just these letters.
                 * @example finance
                 */
                label?: components["schemas"]["Label"];
                /**
                 * @description Only tasks due before this day.
                 * @example 2026-12-24
                 */
                dueBefore?: components["schemas"]["Day"];
                /**
                 * @description Only tasks due after this day.
                 * @example 2026-11-30
                 */
                dueAfter?: components["schemas"]["Day"];
                /**
                 * @description Only tasks with all of these words in title and description, whatever the case of their letters. `"two words"`
                 *     must stand together, `or` and `-word` mean what they do in a web search.
                 * @example quarterly review
                 */
                q?: string;
                /**
                 * @description The order: oldest first by `createdAt` and newest first by `-createdAt`, soonest first by `dueDate` and latest
                 *     first by `-dueDate` (without a due date last, either way), last changed first by `-updatedAt`, `high` first by
                 *     `priority`. What is equal comes by id: newest first by `-` and by `priority`, else oldest first.
                 * @example dueDate
                 */
                sort: "createdAt" | "-createdAt" | "dueDate" | "-dueDate" | "-updatedAt" | "priority";
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
            /** @description One page of tasks. */
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
                    "application/json": components["schemas"]["TaskPage"];
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
    createTask: {
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
                "application/json": components["schemas"]["NewTask"];
            };
        };
        responses: {
            /** @description The task as it was stored. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["NoStore"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    "Idempotent-Replayed": components["headers"]["Idempotent-Replayed"];
                    /**
                     * @description Where the new task is, with the prefix the request came with.
                     * @example /tasks/01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70
                     */
                    Location: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Task"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["AssignmentConflict"];
            413: components["responses"]["ContentTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    createTasks: {
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
                "application/json": components["schemas"]["NewTasks"];
            };
        };
        responses: {
            /** @description The tasks as they were stored. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["NoStore"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "Idempotent-Replayed": components["headers"]["Idempotent-Replayed"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskList"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["AssignmentConflict"];
            413: components["responses"]["ContentTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["KeyReused"];
            429: components["responses"]["TooManyRequests"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    listTaskEvents: {
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
                    "application/json": components["schemas"]["TaskEventPage"];
                    /**
                     * @example id: 7531-42
                     *     event: task.created
                     *     data: {"specversion":"1.0","id":"7531-42","source":"/tasks","type":"task.created","subject":"01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70","time":"2026-11-23T09:30:00.001Z","datacontenttype":"application/json","data":{"id":"01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70","version":1}}
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
    getTask: {
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
                 * @description The task's `id`.
                 * @example 01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70
                 */
                taskId: components["schemas"]["Id"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The task. */
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
                    "application/json": components["schemas"]["Task"];
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
    deleteTask: {
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
                 * @description The task's `id`.
                 * @example 01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70
                 */
                taskId: components["schemas"]["Id"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone. */
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
    updateTask: {
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
                 * @description The task's `id`.
                 * @example 01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70
                 */
                taskId: components["schemas"]["Id"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/merge-patch+json": components["schemas"]["TaskChanges"];
                "application/json": components["schemas"]["TaskChanges"];
            };
        };
        responses: {
            /** @description The task as it is now. */
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
                    "application/json": components["schemas"]["Task"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            404: components["responses"]["NotFound"];
            406: components["responses"]["NotAcceptable"];
            409: components["responses"]["UnknownAssignee"];
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
