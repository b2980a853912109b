/** Fastify 5 and pg: JSON schemas validate what comes in and serialize what goes out, as Fastify's documentation shows. */
import fastify from 'fastify';
import { findTask, insertTask, listTasks, notFound, updateTask, type NewTask } from './tasks.ts';

const text = '^[^\\u0000]*$';
const uuid = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$';

const title = { type: 'string', minLength: 1, maxLength: 200, pattern: text };
const description = { type: 'string', maxLength: 10000, pattern: text };
const status = { type: 'string', enum: ['todo', 'in-progress', 'done'] };
const priority = { type: 'string', enum: ['low', 'normal', 'high'] };
const dueDate = { type: 'string', format: 'date', nullable: true };
const assigneeId = { type: 'string', pattern: uuid, nullable: true };
const labels = {
  type: 'array',
  maxItems: 20,
  uniqueItems: true,
  items: { type: 'string', minLength: 1, maxLength: 50, pattern: text },
};

const newTask = {
  type: 'object',
  required: ['title'],
  additionalProperties: false,
  properties: {
    title,
    description: { ...description, default: '' },
    status: { ...status, default: 'todo' },
    priority: { ...priority, default: 'normal' },
    dueDate: { ...dueDate, default: null },
    assigneeId: { ...assigneeId, default: null },
    labels: { ...labels, default: [] },
  },
};
const taskChanges = {
  type: 'object',
  additionalProperties: false,
  properties: { title, description, status, priority, dueDate, assigneeId, labels },
};
const task = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    title: { type: 'string' },
    description: { type: 'string' },
    status: { type: 'string' },
    priority: { type: 'string' },
    dueDate: { type: 'string', nullable: true },
    assigneeId: { type: 'string', nullable: true },
    labels: { type: 'array', items: { type: 'string' } },
    createdAt: { type: 'string', format: 'date-time' },
    updatedAt: { type: 'string', format: 'date-time' },
    completedAt: { type: 'string', format: 'date-time', nullable: true },
    version: { type: 'integer' },
  },
};
const taskPage = {
  type: 'object',
  properties: { items: { type: 'array', items: task }, nextCursor: { type: 'string', nullable: true } },
};
const params = { type: 'object', properties: { taskId: { type: 'string', pattern: uuid } } };
const querystring = {
  type: 'object',
  properties: { limit: { type: 'integer', minimum: 1, maximum: 100, default: 50 } },
};

const app = fastify();

app.post<{ Body: NewTask }>(
  '/tasks',
  { schema: { body: newTask, response: { 201: task } } },
  async (request, reply) => {
    const created = await insertTask(request.body);
    return reply.code(201).header('Location', `/tasks/${created.id}`).send(created);
  },
);

app.get<{ Querystring: { limit: number } }>(
  '/tasks',
  { schema: { querystring, response: { 200: taskPage } } },
  (request) => listTasks(request.query.limit),
);

app.get<{ Params: { taskId: string } }>(
  '/tasks/:taskId',
  { schema: { params, response: { 200: task } } },
  async (request, reply) => {
    const { taskId } = request.params;
    return (await findTask(taskId)) ?? reply.code(404).type('application/problem+json').send(notFound(taskId));
  },
);

app.patch<{ Params: { taskId: string }; Body: Partial<NewTask> }>(
  '/tasks/:taskId',
  { schema: { params, body: taskChanges, response: { 200: task } } },
  async (request, reply) => {
    const { taskId } = request.params;
    const changed = await updateTask(taskId, request.body);
    return changed ?? reply.code(404).type('application/problem+json').send(notFound(taskId));
  },
);

await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
