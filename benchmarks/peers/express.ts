/** The peer that the product is built like: Express 5, express-openapi-validator and pg, as their documentation shows them. */
import express, { type ErrorRequestHandler } from 'express';
import * as OpenApiValidator from 'express-openapi-validator';
import { findTask, insertTask, listTasks, notFound, updateTask, type NewTask } from './tasks.ts';

const app = express();
app.use(express.json());
app.use(
  OpenApiValidator.middleware({
    apiSpec: process.env.CONTRACT ?? '',
    // It does not take the contract's relative link to the documentation for a URI.
    validateApiSpec: false,
    validateRequests: true,
  }),
);

app.post('/tasks', async (req, res) => {
  const task = await insertTask(req.body as NewTask);
  res.status(201).location(`/tasks/${task.id}`).json(task);
});

app.get('/tasks', async (req, res) => {
  res.json(await listTasks(Number(req.query.limit)));
});

app.get('/tasks/:taskId', async (req, res) => {
  const task = await findTask(req.params.taskId);
  if (task) res.json(task);
  else res.status(404).type('application/problem+json').json(notFound(req.params.taskId));
});

app.patch('/tasks/:taskId', async (req, res) => {
  const task = await updateTask(req.params.taskId, req.body as Partial<NewTask>);
  if (task) res.json(task);
  else res.status(404).type('application/problem+json').json(notFound(req.params.taskId));
});

const answerError: ErrorRequestHandler = (
  error: { status?: number; message: string; errors?: unknown },
  _req,
  res,
  // Express takes it for an error handler by its four parameters.
  // eslint-disable-next-line @typescript-eslint/no-unused-vars
  _next,
) => {
  res.status(error.status ?? 500).json({ message: error.message, errors: error.errors });
};
app.use(answerError);

app.listen(Number(process.env.PORT), '127.0.0.1');
