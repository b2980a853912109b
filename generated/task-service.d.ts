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
         * @description Answers with one page of the tasks, newest first. To read on, ask again with `cursor` set to `nextCursor`. A task
         *     that was there throughout is listed exactly once, whatever is added meanwhile.
         */
        get: operations["listTasks"];
        put?: never;
        /**
         * Create a task
         * @description Stores a task and answers with it once it is durable.
         */
        post: operations["createTask"];
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
            path?: never;
            cookie?: never;
        };
        /**
         * Get a task
         * @description Answers with one task, as it is now.
         */
        get: operations["getTask"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
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
        /** @description A task to create. */
        NewTask: {
            /**
             * @description What is to be done. Any characters but NUL.
             * @example Buy milk
             */
            title: string;
            /**
             * @description More about it, if there is more to say. Any characters but NUL.
             * @default
             * @example 2L whole
             */
            description?: string;
        };
        /**
         * @description Something to be done.
         * @example {
         *       "id": "01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70",
         *       "title": "Buy milk",
         *       "description": "2L whole",
         *       "createdAt": "2026-11-23T09:30:00.000Z"
         *     }
         */
        Task: {
            id: components["schemas"]["Id"];
            /**
             * @description What is to be done.
             * @example Buy milk
             */
            title: string;
            /**
             * @description More about it; empty when there is no more to say.
             * @example 2L whole
             */
            description: string;
            createdAt: components["schemas"]["Time"];
        };
        /**
         * @description One page of tasks, newest first.
         * @example {
         *       "items": [
         *         {
         *           "id": "01939c2f-03b2-7d10-8a44-6c2f0b9d1e35",
         *           "title": "Call the plumber",
         *           "description": "",
         *           "createdAt": "2026-11-23T09:30:35.000Z"
         *         },
         *         {
         *           "id": "01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70",
         *           "title": "Buy milk",
         *           "description": "2L whole",
         *           "createdAt": "2026-11-23T09:30:00.000Z"
         *         },
         *         {
         *           "id": "01939bd0-5c11-7b0a-b3de-51f0a7c92d48",
         *           "title": "Prepare the quarterly review",
         *           "description": "Numbers from finance, a page on what went wrong, two slides at most.",
         *           "createdAt": "2026-11-23T07:47:11.377Z"
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
             * @description The path that was asked for.
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
        /** @description The address exists but does not have this method. `Allow` lists those it has. */
        MethodNotAllowed: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
                Allow: components["headers"]["Allow"];
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
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /**
         * @description The service cannot do its work just now: its database is away, or it is starting or shutting down. Try again
         *     after `Retry-After` seconds.
         */
        Unavailable: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
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
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /**
         * @description The body is of a kind the service does not read. Send `Content-Type: application/json` in UTF-8, uncompressed or
         *     with gzip, deflate or br.
         */
        UnsupportedMediaType: {
            headers: {
                "X-Request-Id": components["headers"]["X-Request-Id"];
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
    };
    requestBodies: never;
    headers: {
        /**
         * @description Names the request in the service's log. Yours, when you sent one that fits; else made by the service.
         * @example 01939c2e-8f00-7a51-8f2c-0c1d2e3f4a5b
         */
        "X-Request-Id": string;
        /**
         * @description After how many seconds to try again.
         * @example 1
         */
        "Retry-After": number;
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
            query?: {
                /**
                 * @description At most how many items the page holds.
                 * @example 20
                 */
                limit?: components["parameters"]["Limit"];
                /**
                 * @description Where the page begins: `nextCursor` of the page before. Opaque, and good only for the list that gave it; any
                 *     other is refused with 400.
                 */
                cursor?: components["parameters"]["Cursor"];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One page of tasks. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskPage"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            406: components["responses"]["NotAcceptable"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    createTask: {
        parameters: {
            query?: never;
            header?: never;
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
            413: components["responses"]["ContentTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    getTask: {
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
        requestBody?: never;
        responses: {
            /** @description The task. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Task"];
                };
            };
            400: components["responses"]["InvalidRequest"];
            404: components["responses"]["NotFound"];
            406: components["responses"]["NotAcceptable"];
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
