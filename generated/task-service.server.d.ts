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
         * @description Returns one page of the tasks that match every filter. For the next page, repeat the request with `cursor` set to
         *     `nextCursor` and the same filters and sort order. With other filters or another sort order, the service rejects the
         *     cursor with 400.
         *
         *     Changes to other tasks do not affect paging. A task that exists throughout and keeps its sort key appears exactly
         *     once.
         *
         *     In `q`, a word is a run of letters and digits, or an emoji. Case and Unicode normalization do not matter.
         *     Words joined by other characters, such as `PROJ-123` or a URL, match as a phrase. In scripts that are written
         *     without spaces (Chinese, Japanese, Thai, Lao, Khmer and Burmese), any part of a text matches.
         */
        get: operations["listTasks"];
        put?: never;
        /**
         * Create a task
         * @description Stores a task and returns it once it is durable. The assignee must be an existing user.
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
         * Create a batch of tasks
         * @description Stores up to 100 tasks, from a body of at most 1 MB, and returns them in the order of the request. If one task is
         *     invalid, the service stores none of them.
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
         * Stream task events
         * @description Returns the changes to tasks, oldest first, as [CloudEvents](https://cloudevents.io). The service writes each event
         *     in the same transaction as the change, so the feed is complete.
         *
         *     Process a page, store its `nextCursor` with your result, and continue from there. With `wait`, the service responds
         *     as soon as an event occurs. An event contains only the id and version of the task. Get the task for its current
         *     state.
         *
         *     With `Accept: text/event-stream`, the service sends each event to an `EventSource` as it occurs. After a lost
         *     connection, the `EventSource` resumes where it stopped.
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
                 * @description The `id` of the task.
                 * @example 01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70
                 */
                taskId: components["schemas"]["IdInput"];
            };
            cookie?: never;
        };
        /**
         * Get a task
         * @description Returns the current state of a task.
         */
        get: operations["getTask"];
        put?: never;
        post?: never;
        /**
         * Delete a task
         * @description Deletes the task permanently. The feed publishes the deletion.
         */
        delete: operations["deleteTask"];
        options?: never;
        head?: never;
        /**
         * Update a task
         * @description Applies a JSON merge patch ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)): fields in the body change, and all
         *     other fields keep their values. Null clears a nullable field. `labels` is replaced as a whole.
         *
         *     Finishing a task (`done`) sets `completedAt`. Reopening it clears `completedAt`. Each change creates a new version.
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
         * Check readiness
         * @description Returns 200 when the service can serve requests, or 503 with the reason when it cannot. The Kubernetes readiness
         *     probe calls it. Frequent calls are cheap, because none of them queries the database.
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
         * Check liveness
         * @description Returns 200 as long as the process runs, even if the database is unavailable.
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
         * @description A short summary of the work. Any character except NUL is allowed. Titles from before 0.2.0 may be blank.
         * @example Buy milk
         */
        Title: string;
        /**
         * @description A short summary of the work, with at least one visible character. Any character except NUL is allowed.
         * @example Buy milk
         */
        TitleInput: components["schemas"]["VisibleText"];
        /**
         * @description Further details, or an empty string. Any character except NUL is allowed.
         * @example 2L whole
         */
        Description: string;
        /**
         * @description The progress of the task.
         * @example todo
         * @enum {string}
         */
        Status: "todo" | "in-progress" | "done";
        /**
         * @description The importance of the task.
         * @example normal
         * @enum {string}
         */
        Priority: "low" | "normal" | "high";
        /**
         * Format: date
         * @description A calendar day in the years 0001 to 9999.
         * @example 2026-12-24
         */
        Day: string;
        /**
         * Format: date
         * @description The day by which the task is due. Null if it has no due date.
         * @example 2026-12-24
         * @example null
         */
        DueDate: string | null;
        /**
         * @description The `id` of the assigned user. Null if the task is unassigned or the user was deleted.
         * @example 01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10
         * @example null
         */
        AssigneeId: string | null;
        /**
         * Format: uuid
         * @description The `id` of an existing user, in lower or upper case. Null leaves the task unassigned.
         * @example 01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10
         * @example null
         */
        AssigneeIdInput: string | null;
        /**
         * @description A keyword for finding the task. Any character except NUL is allowed. Labels from before 0.2.0 may be blank.
         * @example finance
         */
        Label: string;
        /**
         * @description A keyword with at least one visible character. Any character except NUL is allowed.
         * @example finance
         */
        LabelInput: string & components["schemas"]["VisibleText"];
        /**
         * @description Keywords for finding the task. Each label must be unique.
         * @example [
         *       "finance",
         *       "review"
         *     ]
         */
        Labels: components["schemas"]["Label"][];
        /**
         * @description Keywords for finding the task. Each label must be unique.
         * @example [
         *       "finance",
         *       "review"
         *     ]
         */
        LabelsInput: components["schemas"]["LabelInput"][];
        /**
         * @description A task to create.
         * @example {
         *       "title": "Buy milk",
         *       "description": "2L whole"
         *     }
         */
        NewTask: {
            title: components["schemas"]["TitleInput"];
            /**
             * @description Further details, or an empty string. Any character except NUL is allowed.
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
            assigneeId: components["schemas"]["AssigneeIdInput"];
            /**
             * @description Keywords for finding the task. Each label must be unique.
             * @default []
             * @example [
             *       "finance",
             *       "review"
             *     ]
             */
            labels: components["schemas"]["LabelInput"][];
        };
        /** @description Tasks to create together. */
        NewTasks: {
            /** @description The tasks to create. */
            items: components["schemas"]["NewTask"][];
        };
        /**
         * @description The fields to change, as a JSON merge patch.
         * @example {
         *       "status": "done"
         *     }
         */
        TaskChanges: {
            title?: components["schemas"]["TitleInput"];
            description?: components["schemas"]["Description"];
            status?: components["schemas"]["Status"];
            priority?: components["schemas"]["Priority"];
            dueDate?: components["schemas"]["DueDate"];
            assigneeId?: components["schemas"]["AssigneeIdInput"];
            labels?: components["schemas"]["LabelsInput"];
        };
        /**
         * @description A unit of work with an optional assignee and due date.
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
             * @description The time at which the task was finished, in UTC. Null until it is done.
             * @example null
             * @example 2026-11-23T17:05:12.640Z
             */
            completedAt: string | null;
            version: components["schemas"]["Version"];
        };
        /** @description Tasks created together. */
        TaskList: {
            /** @description The tasks, in the order of the request. */
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
            /** @description The tasks on this page. */
            items: components["schemas"]["Task"][];
            nextCursor: components["schemas"]["NextCursor"];
        };
        /** @description A change to a task, as a [CloudEvent](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md). */
        TaskEvent: {
            /**
             * @description The CloudEvents version.
             * @example 1.0
             * @constant
             */
            specversion: "1.0";
            id: components["schemas"]["EventId"];
            /**
             * @description The feed that published the event.
             * @example /tasks
             * @constant
             */
            source: "/tasks";
            /**
             * @description The kind of change.
             * @example task.created
             * @enum {string}
             */
            type: "task.created" | "task.updated" | "task.deleted";
            subject: components["schemas"]["Id"];
            time: components["schemas"]["Time"];
            /**
             * @description The media type of `data`.
             * @example application/json
             * @constant
             */
            datacontenttype: "application/json";
            /** @description The task and the version that the change created. For a deleted task, its last version. */
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
         *           "id": "751-42",
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
         *       "nextCursor": "751-42"
         *     }
         */
        TaskEventPage: {
            /** @description The events on this page. */
            items: components["schemas"]["TaskEvent"][];
            nextCursor: components["schemas"]["FeedPosition"];
        };
        /**
         * Format: uuid
         * @description An id in a request, in lower or upper case. Responses use lower case.
         * @example 01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70
         */
        IdInput: string;
        /**
         * @description A UUID version 7 ([RFC 9562](https://www.rfc-editor.org/rfc/rfc9562)), generated by the service. It starts with
         *     the creation time, so ids sort by age.
         * @example 01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70
         */
        Id: string;
        /**
         * Format: date-time
         * @description A timestamp in UTC with millisecond precision ([RFC 3339](https://www.rfc-editor.org/rfc/rfc3339)).
         * @example 2026-11-23T09:30:00.000Z
         */
        Time: string;
        /**
         * Format: int32
         * @description The version number. It starts at 1 and increases with each change. The `ETag` contains it.
         * @example 1
         */
        Version: number;
        /**
         * @description The `cursor` of the next page. Null on the last page.
         * @example WyJsaXN0VGFza3MiLCIwMTkzOWMyZSJd
         * @example null
         */
        NextCursor: string | null;
        /** @description The location of a violation and the violated rule. */
        InvalidPlace: {
            /**
             * @description A JSON Pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) to the invalid part of the request, such
             *     as `/body/title`, `/query/limit` or `/path/taskId`.
             * @example /body/title
             */
            pointer: string;
            /**
             * @description The violated rule, for people.
             * @example must NOT have fewer than 1 characters
             */
            detail: string;
            /**
             * @description The violated rule, for programs. Rules of JSON Schema have the name of their keyword.
             * @example minLength
             */
            code: string;
        };
        /**
         * @description An error as [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem details. In code, check `type` or `status`.
         *     `title` and `detail` are for people. Quote `requestId` when you report a problem.
         */
        Problem: {
            /**
             * Format: uri-reference
             * @description Identifies the kind of problem. It is a relative reference to the page that explains the problem. Its last
             *     segment is the same under every path prefix.
             * @example /problems/invalid-request
             */
            type: string;
            /**
             * @description The kind of problem in a few words.
             * @example Invalid request
             */
            title: string;
            /**
             * Format: int32
             * @description The HTTP status code of the response.
             * @example 400
             */
            status: number;
            /**
             * @description The cause of this problem and how to fix it.
             * @example /body/title must NOT have fewer than 1 characters
             */
            detail: string;
            /**
             * Format: uri-reference
             * @description The path of the request. If it could not be parsed, the path of the homepage.
             * @example /tasks
             */
            instance: string;
            /**
             * @description The `X-Request-Id` of this request. The service logs it too.
             * @example 01939c2e-8f00-7a51-8f2c-0c1d2e3f4a5b
             */
            requestId: string;
            /** @description Every violation in the request. Present only for invalid requests. */
            errors?: components["schemas"]["InvalidPlace"][];
        };
        /**
         * @description Text with at least one visible character: not only white space, control characters and characters of zero width.
         *     Any character except NUL is allowed.
         * @example Buy milk
         */
        VisibleText: string;
        /**
         * @description The position of the event in the feed. Pass it as `cursor` to read the events that follow. Ids increase along
         *     the feed. Treat them as opaque, because their format may change.
         * @example 751-42
         */
        EventId: string;
        /**
         * @description Pass it as `cursor` to read the events that follow. Null while the feed has no events.
         * @example 751-42
         * @example null
         */
        FeedPosition: string | null;
        /**
         * @description The state of a healthy service.
         * @example {
         *       "status": "ok"
         *     }
         */
        Health: {
            /**
             * @description Always `ok`. A service that cannot serve requests returns a problem instead.
             * @example ok
             * @enum {string}
             */
            status: "ok";
        };
    };
    responses: {
        /** @description The assignee does not exist, or another request with this `Idempotency-Key` is still in progress. */
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
        /** @description The assignee does not exist. Nothing was written. */
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
        /** @description The path exists but does not support this method. Use one of the methods in `Allow`. */
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
         * @description The request did not arrive in time. The limit is 5 seconds for the headers and 6 seconds for the whole request.
         *     Nothing was written, and the service closes the connection. Retry on a faster connection or send a smaller request.
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
         * @description The service does not support this `Expect` header. Nothing was written. Send `Expect: 100-continue` to wait for the
         *     service before you send the body, or remove the header.
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
        /**
         * @description The request has more than 100 headers, or they are larger than 16 KB in total. Nothing was written. Send fewer or
         *     smaller headers.
         */
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
        /** @description The copy that `If-None-Match` identifies is still current. */
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
         * @description The request violates a rule of this contract, or an object in its body has a name twice. Nothing was written.
         *     `errors` lists each violation with a JSON Pointer to its location in the request. Correct the request before you
         *     send it again.
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
        /** @description The `Accept` header excludes every media type that the operation returns. Accept `application/json`. */
        NotAcceptable: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["NoStore"];
                Vary: components["headers"]["Vary"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /**
         * @description The client has used up its quota of requests. Nothing was written. Retry after `Retry-After` seconds. `RateLimit` in
         *     each response shows how many requests are left.
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
         * @description An unexpected error occurred. The service logs the cause under `requestId`. The change may have been written, so
         *     check before you retry.
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
         * @description The service cannot serve requests now. Its database or a service that it calls is unavailable, or it is overloaded,
         *     starting or shutting down. Retry after `Retry-After` seconds.
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
        /** @description The body is larger than 1 MB. Nothing was written. Send a smaller body or several requests. */
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
         * @description The service does not support the media type, character set or encoding of the body. Send
         *     `Content-Type: application/json` in UTF-8. For updates, you can also send `application/merge-patch+json`. Compress
         *     the body with gzip, deflate or br, or not at all.
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
         * @description This `Idempotency-Key` was already sent with a different request. Nothing was written. Generate a new key for each
         *     new request, and do not change a request when you retry it.
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
        /** @description The page that `If-None-Match` identifies is still current. */
        FeedNotModified: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                "Cache-Control": components["headers"]["FeedCacheControl"];
                Vary: components["headers"]["Vary"];
                "X-Accel-Buffering": components["headers"]["X-Accel-Buffering"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                ETag: components["headers"]["ETag"];
                [name: string]: unknown;
            };
            content?: never;
        };
        /** @description No resource exists at this path. It was deleted or never existed. Check the path and the id. */
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
         * @description The `ETag` in `If-Match` is stale, because the resource has changed since, or it is weak. Nothing was written. Get
         *     the resource again, review its changes, and send your change with the new `ETag`.
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
         * @description The maximum number of items on the page.
         * @example 20
         */
        Limit: number;
        /**
         * @description The `nextCursor` of the previous page. Treat it as opaque and send it only to the list that returned it. The
         *     service rejects any other cursor with 400.
         */
        Cursor: string;
        /**
         * @description Return 304 without a body if the response would still have this `ETag`.
         * @example "3"
         */
        IfNoneMatch: string;
        /**
         * @description Makes the request safe to retry. Generate a new key for each new request, such as a UUID, and send the same key
         *     with every retry. For 24 hours, a retry returns the stored response with `Idempotent-Replayed: true`. A different
         *     request with the same key returns 422. The service stores only successful responses.
         * @example 5b8f0d52-6a3e-4c0e-9f0b-0d1f5f6f2c11
         */
        IdempotencyKey: string;
        /**
         * @description The position to read from: the `nextCursor` of the previous page or the id of an event. `latest` starts after the
         *     newest event. Without a cursor, the feed starts with the oldest event. The service rejects a position that the
         *     feed has not reached with 400.
         * @example 751-42
         */
        FeedCursor: string;
        /**
         * @description The maximum time to wait for an event, in seconds. Applies only if no event is available yet.
         * @example 0
         */
        Wait: number;
        /**
         * @description The id of the last event received. An `EventSource` sends it on reconnect. It overrides `cursor`.
         * @example 751-42
         */
        LastEventId: string;
        /**
         * @description Apply the request only if the resource still has this `ETag`
         *     ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#name-if-match)). Otherwise the service returns 412, so
         *     concurrent edits are safe. `*` matches any version.
         * @example "1"
         */
        IfMatch: string;
    };
    requestBodies: never;
    headers: {
        /**
         * @description Identifies the request in the service's log. Echoes a valid client-supplied id; otherwise generated.
         * @example 01939c2e-8f00-7a51-8f2c-0c1d2e3f4a5b
         */
        "X-Request-Id": string;
        /**
         * @description Caches may store the response, but must revalidate it with `If-None-Match` before each use.
         * @example no-cache
         */
        NoCache: "no-cache";
        /**
         * @description The requests that the client has left (`r`) and the seconds until its quota resets (`t`). The format is that of the
         *     draft [RateLimit header fields for HTTP](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/).
         *     Present only if the service limits its clients.
         * @example "default";r=50;t=30
         */
        RateLimit: string;
        /**
         * @description The quota of a client in requests (`q`) per window in seconds (`w`). Present with `RateLimit`.
         * @example "default";q=100;w=60
         */
        "RateLimit-Policy": string;
        /**
         * @description Identifies this version of the resource or page. Send it back in `If-None-Match` or `If-Match`.
         * @example "1"
         */
        ETag: string;
        /**
         * @description The URL of the next page ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288)), with the path prefix of the request.
         *     Absent when `nextCursor` is null.
         * @example </tasks?limit=20&cursor=WyJsaXN0VGFza3MiLCIwMTkzOWMyZSJd>; rel="next"
         */
        Link: string;
        /**
         * @description Caches must not store the response.
         * @example no-store
         */
        NoStore: "no-store";
        /**
         * @description The response depends on the request header `Accept`, so caches store a copy for each value of it.
         * @example Accept
         */
        Vary: "Accept";
        /**
         * @description The time to wait before a retry, in seconds.
         * @example 1
         */
        "Retry-After": number;
        /**
         * @description Present when this is the stored response for the `Idempotency-Key`. This request changed nothing.
         * @example true
         */
        "Idempotent-Replayed": "true";
        /**
         * @description Caches must revalidate the response with `If-None-Match` before each use. Proxies must not transform it: one that
         *     compresses an event stream would delay the events.
         * @example no-cache, no-transform
         */
        FeedCacheControl: "no-cache, no-transform";
        /**
         * @description Tells proxies such as nginx to pass on each event at once.
         * @example no
         */
        "X-Accel-Buffering": "no";
        /**
         * @description The methods that the path supports.
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
                 * @description Only tasks with this status.
                 * @example todo
                 */
                status?: components["schemas"]["Status"];
                /**
                 * @description Only tasks assigned to this user.
                 * @example 01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10
                 */
                assigneeId?: components["schemas"]["IdInput"];
                /**
                 * @description Only tasks with this label. Case matters.
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
                 * @description Only tasks with all of these words in the title or description. As in a web search, quotes match a phrase
                 *     of whole words (`"two words"`), `or` matches either word and `-word` excludes a word. The last word also
                 *     matches longer words that begin with it, so that a client can search while the user types: `quarterly rev`
                 *     finds "Quarterly review". In quotes, it matches only the whole word.
                 * @example quarterly review
                 */
                q?: string;
                /**
                 * @description The sort order:
                 *
                 *     - `createdAt`: oldest first
                 *     - `-createdAt`: newest first
                 *     - `dueDate`: earliest due date first, tasks without a due date last
                 *     - `-dueDate`: latest due date first, tasks without a due date last
                 *     - `-updatedAt`: last updated first
                 *     - `priority`: highest priority first
                 *
                 *     Tasks with equal sort keys are ordered by id: oldest first for `createdAt` and `dueDate`, newest first for the
                 *     others.
                 * @example dueDate
                 */
                sort: "createdAt" | "-createdAt" | "dueDate" | "-dueDate" | "-updatedAt" | "priority";
                /**
                 * @description The maximum number of items on the page.
                 * @example 20
                 */
                limit: components["parameters"]["Limit"];
                /**
                 * @description The `nextCursor` of the previous page. Treat it as opaque and send it only to the list that returned it. The
                 *     service rejects any other cursor with 400.
                 */
                cursor?: components["parameters"]["Cursor"];
            };
            header?: {
                /**
                 * @description Return 304 without a body if the response would still have this `ETag`.
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
                 * @description Makes the request safe to retry. Generate a new key for each new request, such as a UUID, and send the same key
                 *     with every retry. For 24 hours, a retry returns the stored response with `Idempotent-Replayed: true`. A different
                 *     request with the same key returns 422. The service stores only successful responses.
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
            /** @description The stored task. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["NoStore"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    ETag: components["headers"]["ETag"];
                    "Idempotent-Replayed": components["headers"]["Idempotent-Replayed"];
                    /**
                     * @description The path of the new task, with the path prefix of the request.
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
                 * @description Makes the request safe to retry. Generate a new key for each new request, such as a UUID, and send the same key
                 *     with every retry. For 24 hours, a retry returns the stored response with `Idempotent-Replayed: true`. A different
                 *     request with the same key returns 422. The service stores only successful responses.
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
            /** @description The stored tasks. */
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
                 * @description The position to read from: the `nextCursor` of the previous page or the id of an event. `latest` starts after the
                 *     newest event. Without a cursor, the feed starts with the oldest event. The service rejects a position that the
                 *     feed has not reached with 400.
                 * @example 751-42
                 */
                cursor?: components["parameters"]["FeedCursor"];
                /**
                 * @description The maximum number of items on the page.
                 * @example 20
                 */
                limit: components["parameters"]["Limit"];
                /**
                 * @description The maximum time to wait for an event, in seconds. Applies only if no event is available yet.
                 * @example 0
                 */
                wait: components["parameters"]["Wait"];
            };
            header?: {
                /**
                 * @description The id of the last event received. An `EventSource` sends it on reconnect. It overrides `cursor`.
                 * @example 751-42
                 */
                "Last-Event-ID"?: components["parameters"]["LastEventId"];
                /**
                 * @description Return 304 without a body if the response would still have this `ETag`.
                 * @example "3"
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Events, oldest first. Empty if there are none yet. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    "Cache-Control": components["headers"]["FeedCacheControl"];
                    Vary: components["headers"]["Vary"];
                    "X-Accel-Buffering": components["headers"]["X-Accel-Buffering"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    Link: components["headers"]["Link"];
                    /**
                     * @description Identifies this page. Absent for an event stream.
                     * @example "Zk3v0q1XJ0m5b0dC"
                     */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskEventPage"];
                    /**
                     * @example id: 751-42
                     *     event: task.created
                     *     data: {"specversion":"1.0","id":"751-42","source":"/tasks","type":"task.created","subject":"01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70","time":"2026-11-23T09:30:00.001Z","datacontenttype":"application/json","data":{"id":"01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70","version":1}}
                     */
                    "text/event-stream": string;
                };
            };
            304: components["responses"]["FeedNotModified"];
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
                 * @description Return 304 without a body if the response would still have this `ETag`.
                 * @example "3"
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /**
                 * @description The `id` of the task.
                 * @example 01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70
                 */
                taskId: components["schemas"]["IdInput"];
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
                 * @description Apply the request only if the resource still has this `ETag`
                 *     ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#name-if-match)). Otherwise the service returns 412, so
                 *     concurrent edits are safe. `*` matches any version.
                 * @example "1"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /**
                 * @description The `id` of the task.
                 * @example 01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70
                 */
                taskId: components["schemas"]["IdInput"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The task was deleted. */
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
                 * @description Apply the request only if the resource still has this `ETag`
                 *     ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#name-if-match)). Otherwise the service returns 412, so
                 *     concurrent edits are safe. `*` matches any version.
                 * @example "1"
                 */
                "If-Match"?: components["parameters"]["IfMatch"];
            };
            path: {
                /**
                 * @description The `id` of the task.
                 * @example 01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70
                 */
                taskId: components["schemas"]["IdInput"];
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
            /** @description The updated task. */
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
            /** @description The service is ready. */
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
            /** @description The process is running. */
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
